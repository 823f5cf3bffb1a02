import type { SelectionMessage, TablesMessage } from "./protocol.ts";

/** Which tables and columns the user chose in Fivetran. */
export interface Chosen {
  table(id: string): boolean;
  column(table: string, column: string): boolean;
}

/** Of a selection; without one everything is chosen. */
export function chosen(selection: SelectionMessage | undefined, schema: string): Chosen {
  const tables = tablesOf(selection, schema);
  if (tables === "all") return { table: () => true, column: () => true };
  const listed = new Map(tables.tables.map((table) => [table.tableName ?? "", table]));
  return {
    table: (id) => listed.get(id)?.included ?? (listed.has(id) ? false : tables.includeNewTables === true),
    column(id, column) {
      const table = listed.get(id);
      // Where nothing is said of columns, all are meant.
      if (table === undefined || Object.keys(table.columns).length === 0) return true;
      return table.columns[column] ?? table.includeNewColumns === true;
    },
  };
}

/** What is said of the tables of our one schema. */
function tablesOf(selection: SelectionMessage | undefined, schema: string): TablesMessage | "all" {
  if (selection?.withoutSchema !== undefined) return selection.withoutSchema;
  const { withSchema } = selection ?? {};
  if (withSchema === undefined) return "all";
  const ours = withSchema.schemas.find(({ schemaName }) => schemaName === schema);
  if (ours === undefined) return withSchema.includeNewSchemas === true ? "all" : { tables: [] };
  return ours.included === true ? ours : { tables: [] };
}
