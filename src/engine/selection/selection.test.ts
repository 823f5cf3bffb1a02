import { describe, expect, test } from "vitest";
import type { Table } from "../../protocol/table.ts";
import type { Connection } from "../connection.ts";
import { narrowTo, select } from "./selection.ts";

const table = (id: string): Table => ({
  id,
  columns: [{ name: "id", type: { kind: "INT" }, nullable: false }],
  key: ["id"],
  identity: id,
  cursor: null,
  version: null,
  estimatedRows: null,
  notes: [],
});
const tables = ["orders", "orders_2024", "users", "a.b"].map(table);
const warnings: string[] = [];

function selecting(include: string[], exclude: string[], settings: NonNullable<Connection["tables"]> = {}) {
  warnings.length = 0;
  return {
    selection: { include, exclude },
    tables: settings,
    capabilities: { passes: [], independentPath: false, schema: "declared" },
    log: { debug: () => {}, info: () => {}, warn: (message: string) => void warnings.push(message) },
  } as const;
}

describe("selection", () => {
  test("names and patterns", () => {
    const { tables: selected } = select(tables, selecting(["orders*"], ["orders"]));
    expect(selected.map(({ id }) => id)).toEqual(["orders_2024"]);
  });

  test.each([
    [["order"], 'tables.include: there is no table "order" in the source', 'Did you mean "orders"?'],
    [["nothing"], "nothing", "The source has orders, orders_2024, users, a.b."],
    [["*", "sensor_*"], 'tables.include: no table matches "sensor_*"', "The source has"],
  ])("%j names what is not there", (include, message, hint) => {
    expect(() => select(tables, selecting(include, []))).toThrow(
      expect.objectContaining({
        code: "TABLE_UNKNOWN",
        message: expect.stringContaining(message),
        hint: expect.stringContaining(hint),
      }),
    );
  });

  test("nothing is left", () => {
    expect(() => select(tables, selecting([], ["*"]))).toThrow(expect.objectContaining({ code: "NO_TABLES" }));
  });

  test("settings of an unknown table are a mistake; those of a table that vanished from the source are not", () => {
    const given = selecting([], [], { user: { filter: "ok" } });
    expect(() => select(tables, given)).toThrow(
      expect.objectContaining({ code: "TABLE_UNKNOWN", hint: 'Did you mean "users"?' }),
    );
    expect(select(tables, given, ["user"]).tables).toHaveLength(4);
    expect(select(tables, selecting(["users", "gone"], []), ["gone"]).tables.map(({ id }) => id)).toEqual(["users"]);
  });

  test("an unknown table in exclude is worth a warning", () => {
    select(tables, selecting([], ["user", "*_tmp"]));
    expect(warnings).toEqual(['tables.exclude: there is no table "user"; was "users" meant?']);
  });

  test("a table whose settings don't fit is refused by itself; so are two under one name", () => {
    const { tables: selected, refused } = select(
      tables,
      selecting([], ["a.b"], {
        users: { columns: { include: [], exclude: ["id"] } },
        orders: { rename: "orders_2024" },
      }),
    );
    expect(selected).toEqual([]);
    expect([...refused].map(([id, { code }]) => [id, code])).toEqual([
      ["orders", "NAMES_COLLIDE"],
      ["orders_2024", "NAMES_COLLIDE"],
      ["users", "CONFIGURATION_INVALID"],
    ]);
  });

  test("what is asked for must be selected", () => {
    expect(narrowTo(["a", "b"], [])).toEqual(["a", "b"]);
    expect(narrowTo(["a", "b"], ["b"])).toEqual(["b"]);
    expect(() => narrowTo(["a", "b"], ["c"])).toThrow(expect.objectContaining({ code: "TABLE_UNKNOWN" }));
  });
});
