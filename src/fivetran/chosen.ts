import type { SelectionMessage, TablesMessage } from "./protocol.ts";

/** Which tables and columns the user chose in Fivetran. */
export interface Chosen {
  table(id: string): boolean;
  column(table: string, column: string): boolean;
  /** By table id, of tables with columns that are not chosen: the same text as long as the same ones are. */
  readonly columns: Readonly<Record<string, string>>;
}

/** Of a selection; without one everything is chosen. */
export function chosen(selection: SelectionMessage | undefined, schema: string): Chosen {
  const tables = tablesOf(selection, schema);
  if (tables === "all") return { table: () => true, column: () => true, columns: {} };
  const listed = new Map(tables.tables.map((table) => [table.tableName ?? "", table]));
  return {
    table: (id) => listed.get(id)?.included ?? (listed.has(id) ? false : tables.includeNewTables === true),
    column(id, column) {
      const table = listed.get(id);
      // Where nothing is said of columns, all are meant.
      if (table === undefined || Object.keys(table.columns).length === 0) return true;
      return table.columns[column] ?? table.includeNewColumns === true;
    },
    columns: Object.fromEntries(
      tables.tables.flatMap((table) => {
        const exceptions = exceptionsOf(table);
        return exceptions === null ? [] : [[table.tableName ?? "", exceptions]];
      }),
    ),
  };
}

/** `null`: all columns are chosen. */
function exceptionsOf({ columns, includeNewColumns: others = false }: TablesMessage["tables"][number]): string | null {
  const names = Object.keys(columns);
  const exceptions = names.filter((name) => columns[name] !== others).sort();
  if (names.length === 0 || (others && exceptions.length === 0)) return null;
  return `${others ? "all but" : "only"} ${JSON.stringify(exceptions)}`;
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
