import { describe, expect, test } from "vitest";
import type { Table } from "../protocol/table.ts";
import { isSelected, scopeOf, select } from "./selection.ts";

const table = (id: string): Table => ({
  id,
  columns: [],
  key: [],
  identity: id,
  cursor: null,
  version: null,
  estimatedRows: null,
  notes: [],
});
const tables = ["orders", "orders_2024", "users", "a.b"].map(table);

describe("selection", () => {
  test.each([
    [[], [], ["orders", "orders_2024", "users", "a.b"]],
    [["orders*"], [], ["orders", "orders_2024"]],
    [["orders"], [], ["orders"]],
    [["a.b", "*s"], [], ["orders", "users", "a.b"]],
    [[], ["orders_*"], ["orders", "users", "a.b"]],
    [["*"], ["*r*"], ["a.b"]],
  ])("include %j, exclude %j selects %j", (include, exclude, expected) => {
    expect(select(tables, { include, exclude }).map(({ id }) => id)).toEqual(expected);
    expect(tables.filter(({ id }) => isSelected(id, { include, exclude })).map(({ id }) => id)).toEqual(expected);
  });

  test("a point in a pattern is a point", () => {
    expect(isSelected("axb", { include: ["a.b"], exclude: [] })).toBe(false);
  });

  test("says which table there is not, and which there are", () => {
    expect(() => select(tables, { include: ["order"], exclude: [] })).toThrow(
      expect.objectContaining({ code: "TABLE_UNKNOWN", hint: "The source has orders, orders_2024, users, a.b." }),
    );
    expect(() => select(tables, { include: [], exclude: ["*"] })).toThrow(
      expect.objectContaining({ code: "NO_TABLES" }),
    );
  });

  test("a scope is one of server and table", () => {
    const scopes = [scopeOf({ host: "a" }, "t"), scopeOf({ host: "b" }, "t"), scopeOf({ host: "a" }, "u")];
    expect(new Set(scopes).size).toBe(3);
    expect(scopeOf({ host: "a" }, "t")).toBe(scopes[0]);
  });

  test("what concerns another table is not in a table's scope", () => {
    const scope = (of: Record<string, string>): string => scopeOf({ host: "a", tables: of }, "t");
    expect(scope({ t: "x", u: "y" })).toBe(scope({ t: "x" }));
    expect(new Set([scope({ t: "x" }), scope({ t: "y" }), scope({}), scopeOf({ host: "a" }, "t")]).size).toBe(4);
  });
});
