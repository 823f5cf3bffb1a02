import type { Connection } from "../engine/connection.ts";
import type { Selection } from "../protocol/source.ts";
import type { SelectionMessage, TablesMessage } from "./protocol.ts";

/** The tables and columns that are selected in Fivetran's form, as the engine takes them. */
export interface FormSelection extends Required<Pick<Connection, "selection" | "tables">> {
  /** By table id, of tables with columns that are left out: the same text as long as the same ones are. */
  readonly columns: Readonly<Record<string, string>>;
}

/** Without a selection everything is selected. */
export function formSelection(selection: SelectionMessage | undefined, schema: string): FormSelection {
  const { tables, includeNewTables } = tablesOf(selection, schema);
  const names = tables.map(({ tableName = "", included }) => [tableName, included === true] as const);
  const withColumns = tables.filter(({ columns }) => Object.keys(columns).length > 0);
  return {
    selection: listed(names, includeNewTables),
    tables: Object.fromEntries(
      withColumns.map(({ tableName = "", columns, includeNewColumns }) => [
        tableName,
        { columns: listed(Object.entries(columns), includeNewColumns) },
      ]),
    ),
    columns: Object.fromEntries(
      withColumns.flatMap((table) => {
        const exceptions = exceptionsOf(table);
        return exceptions === null ? [] : [[table.tableName ?? "", exceptions]];
      }),
    ),
  };
}

function listed(names: readonly (readonly [name: string, selected: boolean])[], others = false): Selection {
  const those = (wanted: boolean): string[] => names.flatMap(([name, is]) => (is === wanted ? [name] : []));
  return { include: those(true), exclude: those(false), others };
}

/** `null`: all columns are selected. */
function exceptionsOf({ columns, includeNewColumns: others = false }: TablesMessage["tables"][number]): string | null {
  const exceptions = Object.keys(columns).filter((name) => columns[name] !== others);
  if (others && exceptions.length === 0) return null;
  return `${others ? "all but" : "only"} ${JSON.stringify(exceptions.sort())}`;
}

const all: TablesMessage = { tables: [], includeNewTables: true };

/** What is selected in our one schema. */
function tablesOf(selection: SelectionMessage | undefined, schema: string): TablesMessage {
  if (selection?.withoutSchema !== undefined) return selection.withoutSchema;
  const { withSchema } = selection ?? {};
  if (withSchema === undefined) return all;
  const ours = withSchema.schemas.find(({ schemaName }) => schemaName === schema);
  if (ours === undefined) return withSchema.includeNewSchemas === true ? all : { tables: [] };
  return ours.included === true ? ours : { tables: [] };
}
