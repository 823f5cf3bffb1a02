import { type Command } from "commander";
import { discover } from "../engine/discover.ts";
import type { Table } from "../protocol/table.ts";
import { typeName } from "../toolkit/types.ts";
import type { ConfiguredConnection } from "./configuration/resolve.ts";
import { openSource } from "./connect.ts";
import { count, counted } from "./display/format.ts";
import { type ColumnLayout, type Paint, tableLines } from "./display/text.ts";
import type { Outcome } from "./exit-codes.ts";
import {
  connectionCommand,
  type ConnectionOptions,
  examples,
  narrowed,
  requestOf,
  withOutputOptions,
} from "./options.ts";
import { forEachConnection, type OutputOptions, runCommand, type Session } from "./session.ts";
import { onlyTables } from "./tables.ts";
import type { World } from "./world.ts";

interface DiscoverFlags extends ConnectionOptions, OutputOptions {
  readonly columns?: boolean;
}

export function discoverCommand(world: World): Command {
  const command = connectionCommand("discover")
    .description(
      "Shows the tables that would be synced, with their keys, and how changes and deletes are found in each.",
    )
    .optionsGroup("What to show:")
    .option("--columns", "the columns of each table with their types too");
  return withOutputOptions(command)
    .addHelpText(
      "after",
      examples(
        ["discover", "tables of every connection of headwaters.yaml"],
        ["discover iot --columns --tables devices", "one table with its columns"],
        ["discover --source yugabytedb --configuration configuration.json --json", "for a program"],
      ),
    )
    .action((connections: readonly string[], flags: DiscoverFlags) =>
      runCommand(world, flags, (session) =>
        forEachConnection(session, requestOf(connections, flags), (connection) =>
          discoverConnection(session, connection, narrowed(flags), flags.columns ?? false),
        ),
      ),
    );
}

const layout: readonly ColumnLayout[] = [
  { title: "table", align: "left" },
  { title: "key", align: "left" },
  { title: "columns", align: "right" },
  { title: "rows", align: "right" },
  { title: "changes", align: "left" },
  { title: "deletes", align: "left" },
];

async function discoverConnection(
  session: Session,
  connection: ConfiguredConnection,
  names: readonly string[],
  columns: boolean,
): Promise<Outcome> {
  const { output, json, quiet, signal, tell } = session;
  const {
    selection,
    tableSettings,
    source: { definition },
  } = connection;
  await using source = await openSource(connection, session);
  const { capabilities } = definition;
  const found = await discover({ source, selection, tables: tableSettings, capabilities, log: session.log }, signal);
  const selected = [...found.tables, ...[...found.refused].map(([id, error]) => ({ id, error }))];
  const tables = onlyTables(selected, names, ({ id }) => id).map((table) => {
    if ("error" in table) throw table.error;
    return table;
  });
  if (json) {
    for (const table of tables)
      tell(connection.name, { kind: "table", table: { ...table, columns: table.columns.map(columnJson) } });
    return "ok";
  }
  if (quiet) return "ok";
  output.line(`${connection.name}: ${definition.title}, ${counted(tables.length, "table")}`);
  const rows = tables.map((table) => [
    table.id,
    table.key.length === 0 ? "none" : table.key.join(", "),
    count(table.columns.length),
    table.estimatedRows === null ? "?" : `~${count(table.estimatedRows)}`,
    changesOf(table),
    table.key.length === 0 ? "full read" : "sweep",
  ]);
  for (const line of tableLines(layout, rows, output.paint)) output.line(line);
  for (const table of tables) {
    for (const line of details(table, columns, output.paint)) output.line(line);
  }
  return "ok";
}

/** How changed rows of a table are found. */
function changesOf(table: Table): string {
  if (table.key.length > 0 && table.cursor !== null) return `by ${table.cursor}`;
  return table.key.length > 0 && table.version !== null ? "sweep" : "full read";
}

function details(table: Table, columns: boolean, paint: Paint): readonly string[] {
  if (!columns && table.notes.length === 0) return [];
  const width = Math.max(...table.columns.map((column) => column.name.length));
  const shown = table.columns.map(
    ({ name, type, nullable }) => `  ${name.padEnd(width)}  ${typeName(type)}${nullable ? "" : " not null"}`,
  );
  return [paint("bold", table.id), ...(columns ? shown : []), ...table.notes.map((note) => `  ${note}`)];
}

function columnJson({ type, ...column }: Table["columns"][number]): Readonly<Record<string, unknown>> {
  return { ...column, type: typeName(type) };
}
