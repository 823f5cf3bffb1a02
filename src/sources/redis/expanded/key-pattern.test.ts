import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { globOf, keyOf, keyPatternProblem, matchKey, parsePattern } from "./key-pattern.ts";

function columns(pattern: string, key: string): string[] | null {
  const bytes = Buffer.from(key);
  const found = matchKey(parsePattern(pattern), bytes, 0, bytes.length);
  if (found === null) return null;
  return Array.from({ length: found.length / 2 }, (_, part) =>
    bytes.toString("utf8", found[part * 2], found[part * 2 + 1]),
  );
}

describe("a pattern of keys", () => {
  test.each([
    ["user:{id}", "user:12", ["12"]],
    ["user:{id}", "user:12:profile", null],
    ["user:{id}", "user:", null],
    ["user:{id}", "users:12", null],
    ["user:{id*}", "user:12:profile", ["12:profile"]],
    ["user:{id}:profile", "user:12:profile", ["12"]],
    ["user:{id}:profile", "user:12:profiles", null],
    ["{shop}:order:{number}", "a:order:7", ["a", "7"]],
    ["{a*}-x", "1-x-x", ["1-x"]],
    ["{a}-{b}", "1-2-3", ["1", "2-3"]],
    ["größe:{ä}", "größe:ß", ["ß"]],
  ] as const)("%s with %s", (pattern, key, expected) => {
    expect(columns(pattern, key)).toEqual(expected);
  });

  test("gives the key back from its columns", () => {
    const part = fc.string({ unit: "grapheme", minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(part, part, (a, b) => {
        const key = `x:${a}:y:${b}`;
        const found = columns("x:{a}:y:{b*}", key);
        if (found === null) return;
        expect(
          keyOf(
            parsePattern("x:{a}:y:{b*}"),
            found.map((text) => Buffer.from(text)),
          ).toString(),
        ).toBe(key);
      }),
    );
  });

  test("is asked of the server as a glob, what is special there escaped", () => {
    expect(globOf(parsePattern("a*[b]?:{id}\\")).toString()).toBe("a\\*\\[b\\]\\?:*\\\\");
  });

  test.each([
    ["users", "must have a name in braces for the part that differs, as user:{id}"],
    ["{a}{b}", "must have text between two parts in braces"],
    ["{a}:{a}", "names a part twice"],
    ["user:{id}", null],
  ])("%s: %s", (pattern, problem) => {
    expect(keyPatternProblem(pattern)).toBe(problem);
  });
});
