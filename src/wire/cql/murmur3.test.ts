import { expect, test } from "vitest";
import { murmur3Token, partitionKeyBytes } from "./murmur3.ts";

/** As Cassandra 5.0 gives them: `SELECT token(k)`. */
test.each([
  ["a", "-8839064797231613815"],
  ["headwaters", "-7205520489548978820"],
  ["é €", "-1549841454264775590"],
  ["ÿþ longer than sixteen ÿþýü", "-550430402917337625"],
  ["thirty-three bytes of a partition", "2110768410597758813"],
  ["sixteen bytes ab", "8414083123881535221"],
])("the token of %j is %s", (text, token) => {
  expect(murmur3Token(Buffer.from(text)).toString()).toBe(token);
});

test("the parts of a composite key come with their lengths", () => {
  expect(partitionKeyBytes([Buffer.from("ab"), Buffer.alloc(0)]).toString("hex")).toBe("0002616200000000");
});
