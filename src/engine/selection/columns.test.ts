import { describe, expect, test } from "vitest";
import type { Table } from "../../protocol/table.ts";
import { projectedTable } from "./columns.ts";
import type { TableSettings } from "../connection.ts";

const names = ["id", "name", "debug_a", "debug_b", "updated_at", "_headwaters_version"];
const table: Table = {
  id: "t",
  columns: names.map((name) => ({ name, type: { kind: "INT" }, nullable: name !== "id" })),
  key: ["id"],
  identity: "1",
  cursor: "updated_at",
  version: "updated_at",
  estimatedRows: 10,
  notes: [],
};

function selected(settings: TableSettings, of = table, inferred = false): Table {
  return projectedTable(of, settings, inferred);
}

function columnsOf({ columns }: Table): string[] {
  return columns.map(({ name }) => name);
}

describe("the columns of a table", () => {
  test("are all of them, as they are called, unless something is set", () => {
    expect(selected({})).toBe(table);
  });

  test("by name and pattern; those that a source adds are in no pattern", () => {
    expect(columnsOf(selected({ columns: { include: [], exclude: ["debug_*"] } }))).toEqual([
      "id",
      "name",
      "updated_at",
      "_headwaters_version",
    ]);
    expect(columnsOf(selected({ columns: { include: ["id", "u*"], exclude: [] } }))).toEqual([
      "id",
      "updated_at",
      "_headwaters_version",
    ]);
  });

  test("under other names, the key's and the cursor's too", () => {
    const renamed = selected({ renameColumns: { id: "name", name: "id", updated_at: "changed" } });
    expect(renamed).toMatchObject({ key: ["name"], cursor: "changed", version: "changed" });
    expect(columnsOf(renamed).slice(0, 2)).toEqual(["name", "id"]);
  });

  test("mode full needs neither cursor nor version", () => {
    const columns = { include: [], exclude: ["updated_at"] };
    expect(selected({ mode: "full", columns })).toMatchObject({ cursor: null, version: null });
    expect(selected({ mode: "incremental" })).toMatchObject({ cursor: "updated_at" });
  });

  test("of a filtered table nobody knows how many rows there are", () => {
    expect(selected({ filter: "a > 0" })).toMatchObject({
      estimatedRows: null,
      notes: [expect.stringContaining("filter")],
    });
  });

  test.each<[string, TableSettings, string, string]>([
    ["the key", { columns: { include: ["name"], exclude: [] } }, '"id" is left out', "keep all of it"],
    ["the cursor", { columns: { include: [], exclude: ["u*"] } }, '"updated_at" is left out', "mode to full"],
    ["a misspelt name", { columns: { include: [], exclude: ["nmae"] } }, 'no column "nmae"', 'Did you mean "name"?'],
    ["a pattern for nothing", { columns: { include: ["*", "x*"], exclude: [] } }, 'matches "x*"', "Its columns are id"],
    ["a new name for nothing", { renameColumns: { Name: "n" } }, 'no column "Name"', 'Did you mean "name"?'],
  ])("%s is refused", (_, settings, message, hint) => {
    expect(() => selected(settings)).toThrow(
      expect.objectContaining({
        code: "CONFIGURATION_INVALID",
        message: expect.stringContaining(message),
        hint: expect.stringContaining(hint),
      }),
    );
  });

  test("a pattern that leaves out nothing yet is fine", () => {
    expect(columnsOf(selected({ columns: { include: [], exclude: ["secret*"] } }))).toEqual(names);
  });

  test("two under one name are refused", () => {
    expect(() => selected({ renameColumns: { debug_a: "name" } })).toThrow(
      expect.objectContaining({ code: "NAMES_COLLIDE", message: expect.stringContaining('"name" and "debug_a"') }),
    );
    expect(
      columnsOf(selected({ renameColumns: { debug_a: "name" }, columns: { include: [], exclude: ["name"] } })),
    ).toContain("name");
  });

  test("where columns may still come, a name that was not seen is a note", () => {
    const { notes } = selected({ columns: { include: [], exclude: ["nmae"] } }, table, true);
    expect(notes).toEqual(['overrides.t.columns.exclude: so far there is no column "nmae"; did you mean "name"?']);
  });

  test("a table that can't be incremental is refused where it must be", () => {
    const without = { ...table, cursor: null, version: null };
    expect(() => selected({ mode: "incremental" }, without)).toThrow(
      expect.objectContaining({ hint: expect.stringContaining("cursor") }),
    );
    expect(() => selected({ mode: "incremental" }, { ...table, key: [] })).toThrow(/it has no key/);
  });
});
