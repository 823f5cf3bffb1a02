import { describe, expect, test } from "vitest";
import type { Table } from "../../protocol/table.ts";
import { passColumns } from "../../toolkit/passes.ts";
import type { CqlColumn, CqlTable } from "./catalog.ts";
import { dialectOf, lookupStatement, rangeStatement, selection } from "./statements.ts";
import { tableOf } from "./discover.ts";
import type { CqlSettings } from "./settings.ts";
import type { CqlType } from "../../wire/cql/types.ts";

function column(name: string, kind: CqlColumn["kind"], type: CqlType["kind"], multiCell = false): CqlColumn {
  const of = type === "set" ? { kind: type, of: { kind: "text" as const } } : { kind: type };
  return { name, kind, position: 0, type: of as CqlType, multiCell };
}

const native: CqlTable = {
  keyspace: "shop",
  name: "Orders",
  id: "id",
  isView: false,
  comment: "",
  columns: [
    column("a", "partition_key", "int"),
    column("seq", "clustering", "int"),
    column("shared", "static", "text"),
    column("created_at", "regular", "timestamp"),
    column("tags", "regular", "set", true),
    column("updated_at", "regular", "timestamp"),
  ],
  indexes: [],
};

const settings = {
  changes: () => "cursor",
  cursorColumn: "updated_at",
  allowFiltering: false,
} as unknown as CqlSettings;

const five = dialectOf({ scylla: false, version: "5.0.9" });

function described(changed: Partial<CqlSettings> = {}, indexes: CqlTable["indexes"] = []): Table {
  return tableOf({ ...native, indexes }, { ...settings, ...changed }, { tables: {}, types: "exact" }, five, null);
}

const scylla = dialectOf({ scylla: true, version: "3.0.8" });
const sai = [{ name: "i", kind: "CUSTOM", className: "StorageAttachedIndex", target: "updated_at" }];
const legacy = [{ name: "i", kind: "COMPOSITES", className: "", target: "updated_at" }];

describe("how changes are seen", () => {
  test.each([
    ["an index that serves ranges", {}, sai, "updated_at", "updated_at"],
    ["an index for equality alone", {}, legacy, null, "updated_at"],
    ["no index", {}, [], null, "updated_at"],
    ["ALLOW FILTERING", { allowFiltering: true }, [], "updated_at", "updated_at"],
    ["a column that tells of new rows only", { cursorColumn: "created_at" }, [], null, "_headwaters_version"],
    ["no such column", { cursorColumn: "changed" }, [], null, null],
    ["write times", { changes: () => "writetime" as const }, sai, null, "_headwaters_version"],
    ["full reads", { changes: () => "full" as const }, sai, null, null],
  ])("%s", (_, changed, indexes, cursor, version) => {
    expect(described(changed, indexes)).toMatchObject({ cursor, version, key: ["a", "seq"] });
  });
});

describe("statements", () => {
  const byCursor = described();
  const byTime = described({ changes: () => "writetime" });

  test("a full pass selects what the version is made of", () => {
    expect(selection(byTime.columns, byTime, native, five).slice(6)).toEqual([
      'WRITETIME("shared")',
      'WRITETIME("created_at")',
      'WRITETIME("tags")',
      'WRITETIME("updated_at")',
    ]);
    expect(selection(byTime.columns, byTime, native, scylla)).toContain('"tags"');
    expect(selection(byTime.columns, byTime, native, scylla)).not.toContain('WRITETIME("tags")');
  });

  test("a keys pass selects key and version, and a static column where there is one", () => {
    expect(selection(passColumns(byCursor, "keys"), byCursor, native, five)).toEqual([
      '"a"',
      '"seq"',
      '"updated_at"',
      '"shared" AS "_headwaters_unread"',
    ]);
    expect(selection(passColumns(byTime, "keys"), byTime, native, five)).toHaveLength(6);
  });

  test("ranges, windows, and what only ScyllaDB knows", () => {
    const options = { cursor: null, tokens: true, bypassCache: false, filter: [] };
    expect(rangeStatement(['"a"'], native, options)).toBe(
      'SELECT "a" FROM "shop"."Orders" WHERE token("a") > ? AND token("a") <= ?',
    );
    expect(rangeStatement(['"a"'], native, { ...options, bypassCache: true })).toMatch(/<= \? BYPASS CACHE$/);
    const cursor = { column: "updated_at", bounded: true, filtering: true };
    expect(rangeStatement(['"a"'], native, { ...options, cursor })).toMatch(
      /<= \? AND "updated_at" >= \? AND "updated_at" < \? ALLOW FILTERING$/,
    );
    expect(rangeStatement(['"a"'], native, { ...options, tokens: false })).toBe('SELECT "a" FROM "shop"."Orders"');
  });

  test("rows and partitions by key", () => {
    expect(lookupStatement(['"a"'], native, "row", [])).toMatch(/WHERE "a" = \? AND "seq" = \?$/);
    expect(lookupStatement(['"a"'], native, "partition", [])).toMatch(/WHERE "a" = \? LIMIT 1$/);
  });

  test("a filter goes with all of them", () => {
    const filter = ["\"tags\" CONTAINS 'x'"];
    const options = { cursor: null, tokens: true, bypassCache: true, filter };
    expect(rangeStatement(['"a"'], native, options)).toMatch(
      /<= \? AND "tags" CONTAINS 'x' ALLOW FILTERING BYPASS CACHE$/,
    );
    expect(lookupStatement(['"a"'], native, "partition", filter)).toMatch(
      /WHERE "a" = \? AND "tags" CONTAINS 'x' LIMIT 1 ALLOW FILTERING$/,
    );
  });
});
