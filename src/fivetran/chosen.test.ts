import { expect, test } from "vitest";
import { chosen } from "./chosen.ts";

const listed = {
  tables: [
    { included: true, tableName: "all", columns: {}, includeNewColumns: true },
    { included: true, tableName: "unsaid", columns: {} },
    { included: true, tableName: "but", columns: { a: true, b: false }, includeNewColumns: true },
    { included: true, tableName: "only", columns: { a: true, b: false } },
    { tableName: "none", columns: {} },
  ],
};

test("without a selection everything is chosen", () => {
  const all = chosen(undefined, "public");
  expect([all.table("t"), all.column("t", "c"), all.columns]).toEqual([true, true, {}]);
});

test.each([
  ["with a schema", { withSchema: { schemas: [{ included: true, schemaName: "public", ...listed }] } }],
  ["without one", { withoutSchema: listed }],
])("tables and columns %s", (_, selection) => {
  const some = chosen(selection, "public");
  expect(["all", "unsaid", "but", "only", "none", "new"].map((table) => some.table(table))).toEqual([
    ...[true, true, true, true, false, false],
  ]);
  const columns = (table: string): boolean[] => ["a", "b", "new"].map((column) => some.column(table, column));
  expect(columns("all")).toEqual([true, true, true]);
  expect(columns("unsaid")).toEqual([true, true, true]);
  expect(columns("but")).toEqual([true, false, true]);
  expect(columns("only")).toEqual([true, false, false]);
  expect(some.columns).toEqual({ but: 'all but ["b"]', only: 'only ["a"]' });
});

test("new tables and schemas, as the user said", () => {
  const newTables = chosen({ withoutSchema: { ...listed, includeNewTables: true } }, "public");
  expect([newTables.table("new"), newTables.table("none")]).toEqual([true, false]);
  const schemas = [{ schemaName: "other", ...listed }];
  expect(chosen({ withSchema: { schemas } }, "public").table("all")).toBe(false);
  expect(chosen({ withSchema: { schemas, includeNewSchemas: true } }, "public").table("all")).toBe(true);
  expect(chosen({ withSchema: { schemas } }, "other").table("all")).toBe(false);
});
