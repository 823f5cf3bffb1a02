import { expect, test } from "vitest";
import { selects } from "../toolkit/patterns.ts";
import { type FormSelection, formSelection } from "./form-selection.ts";

const listed = {
  tables: [
    { included: true, tableName: "all", columns: {}, includeNewColumns: true },
    { included: true, tableName: "unsaid", columns: {} },
    { included: true, tableName: "but", columns: { a: true, b: false }, includeNewColumns: true },
    { included: true, tableName: "only", columns: { a: true, b: false } },
    { tableName: "none", columns: {} },
  ],
};

const hasTable = ({ selection }: FormSelection, table: string): boolean => selects(selection, table);
const hasColumn = ({ tables }: FormSelection, table: string, column: string): boolean => {
  const { columns } = tables[table] ?? {};
  return columns === undefined || selects(columns, column);
};

test("without a selection everything is selected", () => {
  const all = formSelection(undefined, "public");
  expect([hasTable(all, "t"), hasColumn(all, "t", "c"), all.columns]).toEqual([true, true, {}]);
});

test.each([
  ["with a schema", { withSchema: { schemas: [{ included: true, schemaName: "public", ...listed }] } }],
  ["without one", { withoutSchema: listed }],
])("tables and columns %s", (_, selection) => {
  const some = formSelection(selection, "public");
  expect(["all", "unsaid", "but", "only", "none", "new"].map((table) => hasTable(some, table))).toEqual([
    ...[true, true, true, true, false, false],
  ]);
  const columns = (table: string): boolean[] => ["a", "b", "new"].map((column) => hasColumn(some, table, column));
  expect(columns("all")).toEqual([true, true, true]);
  expect(columns("unsaid")).toEqual([true, true, true]);
  expect(columns("but")).toEqual([true, false, true]);
  expect(columns("only")).toEqual([true, false, false]);
  expect(some.columns).toEqual({ but: 'all but ["b"]', only: 'only ["a"]' });
});

test("new tables and schemas, as the user said", () => {
  const newTables = formSelection({ withoutSchema: { ...listed, includeNewTables: true } }, "public");
  expect([hasTable(newTables, "new"), hasTable(newTables, "none")]).toEqual([true, false]);
  const schemas = [{ schemaName: "other", ...listed }];
  expect(hasTable(formSelection({ withSchema: { schemas } }, "public"), "all")).toBe(false);
  expect(hasTable(formSelection({ withSchema: { schemas, includeNewSchemas: true } }, "public"), "all")).toBe(true);
  expect(hasTable(formSelection({ withSchema: { schemas } }, "other"), "all")).toBe(false);
});

test("names from a form stand for themselves", () => {
  const tables = [{ included: true, tableName: "user:*", columns: {} }];
  const some = formSelection({ withoutSchema: { tables } }, "public");
  expect(["user:*", "user:vip:*"].map((table) => hasTable(some, table))).toEqual([true, false]);
});
