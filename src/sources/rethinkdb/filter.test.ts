import { describe, expect, test } from "vitest";
import type { Json } from "../../protocol/json.ts";
import { term } from "../../wire/reql/terms.ts";
import { conditionOf, projected } from "./filter.ts";

const field = (name: string) => term("BRACKET", ["doc", name]);

describe("a filter of documents", () => {
  test("values, lists and comparisons", () => {
    const filter = { a: 1, b: ["x", null], c: { gt: 0, ne: 5 }, d: { ge: { time: "2024-05-17T00:00:00Z" } } };
    const time = { $reql_type$: "TIME", epoch_time: 1_715_904_000, timezone: "+00:00" };
    expect(conditionOf("t", filter)!("doc")).toEqual(
      term("AND", [
        term("EQ", [field("a"), 1]),
        term("OR", [term("EQ", [field("b"), "x"]), term("EQ", [field("b"), null])]),
        term("AND", [
          term("AND", [term("EQ", [term("TYPE_OF", [field("c")]), "NUMBER"]), term("GT", [field("c"), 0])]),
          term("NE", [field("c"), 5]),
        ]),
        term("AND", [term("EQ", [term("TYPE_OF", [field("d")]), "PTYPE<TIME>"]), term("GE", [field("d"), time])]),
      ]),
    );
    expect(conditionOf("t", undefined)).toBeNull();
  });

  test.each<[Json, string]>([
    ["a > 1", "overrides.t.filter is no mapping of fields"],
    [{}, "overrides.t.filter names no field"],
    [{ a: [] }, "overrides.t.filter.a is an empty list"],
    [{ a: {} }, "overrides.t.filter.a has no comparison"],
    [{ a: { above: 1 } }, "overrides.t.filter.a.above is no comparison"],
    [{ a: { gt: true } }, "overrides.t.filter.a.gt compares with a value that has no order"],
    [{ a: { gt: { time: "soon" } } }, "overrides.t.filter.a.gt is no text"],
    [{ a: [[1]] }, "overrides.t.filter.a is no text"],
  ])("%j is refused", (filter, message) => {
    expect(() => conditionOf("t", filter)).toThrow(
      expect.objectContaining({ code: "CONFIGURATION_INVALID", message: expect.stringContaining(message) }),
    );
  });
});

describe("a projection of documents", () => {
  const kept = ["id", "updated_at"];

  test.each<[string[], string[], Json]>([
    [[], [], "docs"],
    [["id", "a", "b"], ["b"], term("PLUCK", ["docs", "id", "a", "updated_at"])],
    [["id", "a*"], [], "docs"],
    [["id", "a*"], ["ab", "debug_*"], term("WITHOUT", ["docs", "ab"])],
    [[], ["debug_*", "id"], "docs"],
  ])("include %j, exclude %j", (include, exclude, expected) => {
    expect(projected("docs", { include, exclude }, kept)).toEqual(expected);
  });

  test("without a selection all comes", () => expect(projected("docs", undefined, kept)).toBe("docs"));
});
