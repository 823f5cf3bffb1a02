import { expect, test } from "vitest";
import { matches, selects } from "./patterns.ts";

const names = ["orders", "orders_2024", "users", "a.b"];

test.each([
  [[], [], ["orders", "orders_2024", "users", "a.b"]],
  [["orders*"], [], ["orders", "orders_2024"]],
  [["orders"], [], ["orders"]],
  [["a.b", "*s"], [], ["orders", "users", "a.b"]],
  [[], ["orders_*"], ["orders", "users", "a.b"]],
  [["*"], ["*r*"], ["a.b"]],
])("include %j, exclude %j selects %j", (include, exclude, expected) => {
  expect(names.filter((name) => selects({ include, exclude }, name))).toEqual(expected);
});

test("what is special to others is plain here, and upper and lower case count", () => {
  expect(matches("a.b", "axb")).toBe(false);
  expect(matches("a[b]+*", "a[b]+c\nd")).toBe(true);
  expect(matches("Orders", "orders")).toBe(false);
});
