import { expect, test } from "vitest";
import { choice, flag, optionalPassword, optionalText, whole } from "./settings.ts";

test.each([undefined, null, "", "  "])("%j is a setting that is not set", (blank) => {
  for (const schema of [whole(1, 9), flag, optionalText, optionalPassword, choice(["a", "b"])])
    expect(schema.parse(blank)).toBeUndefined();
});

test("numbers and switches may come as text", () => {
  expect([whole(0, 99).parse(" 12 "), whole(-9, 9).parse("-3"), whole(0, 99).parse(12)]).toEqual([12, -3, 12]);
  expect(["True", "yes", "on", true].map((given) => flag.parse(given))).toEqual([true, true, true, true]);
  expect(["False", "no", "off", false].map((given) => flag.parse(given))).toEqual([false, false, false, false]);
  expect(whole(0, 99).safeParse("1.5").error!.issues[0]!.message).toBe("must be a whole number from 0 to 99");
  expect(flag.safeParse("maybe").error!.issues[0]!.message).toBe("must be true or false");
});

test("text loses the spaces at its ends, a password does not", () => {
  expect([optionalText.parse(" a "), optionalPassword.parse(" a ")]).toEqual(["a", " a "]);
});

test("a choice is one of some words", () => {
  const level = choice(["ONE", "ALL"], "in any case");
  expect(level.parse(" all ")).toBe("ALL");
  expect(level.safeParse("two").error!.issues[0]!.message).toBe("must be one of ONE, ALL");
});
