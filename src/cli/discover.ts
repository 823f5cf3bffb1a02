import { resolve } from "node:path";
import { type Command } from "commander";
import { select } from "../engine/selection/selection.ts";
import { HeadwatersError } from "../protocol/errors.ts";
import type { Table } from "../protocol/table.ts";
import { selects } from "../toolkit/patterns.ts";
import { typeName } from "../toolkit/types.ts";
import { defaultFile } from "./configuration/load.ts";
import type { ConfiguredConnection } from "./configuration/resolve.ts";
import { type FoundTable, writeTables } from "./configuration/write-tables.ts";
import { openSource } from "./connect.ts";
import { count, counted } from "../toolkit/figures.ts";
import { type ColumnLayout, type Paint } from "./display/text.ts";
import { tableLines } from "./display/table.ts";
import { type Outcome, worst } from "./exit-codes.ts";
import {
  connectionCommand,
  type ConnectionOptions,
  examples,
  narrowed,
  requestOf,
  withOutputOptions,
} from "./options.ts";
import { attempt, forEachConnection, type OutputOptions, runCommand, type Session } from "./session.ts";
import { onlyTables } from "./tables.ts";
import type { Environment } from "./environment.ts";

interface DiscoverFlags extends ConnectionOptions, OutputOptions {
  readonly columns?: boolean;
  readonly write?: boolean;
}

export function discoverCommand(environment: Environment): Command {
  const command = connectionCommand("discover")
    .description("Shows the tables that a sync would read, their keys, and how changes and deletes are found in each.")
    .optionsGroup("What to show:")
    .option("--columns", "also show the columns of each table, with their types")
    .option("--write", "write the names of the tables into headwaters.yaml (tables.include), for editing");
  return withOutputOptions(command)
    .addHelpText(
      "after",
      examples(
        ["discover", "tables of every connection of headwaters.yaml"],
        ["discover iot --columns --tables devices", "one table with its columns"],
        ["discover iot --write", "then remove the tables that you do not need from headwaters.yaml"],
        ["discover iot --json", "for a program"],
      ),
    )
    .action((connections: readonly string[], flags: DiscoverFlags) =>
      runCommand(environment, flags, (session) => {
        if (flags.write === true && flags.source !== undefined) {
          throw new HeadwatersError(
            "CONFIGURATION_INVALID",
            "--write can't be used with --source: there is no file of connections.",
            {
              hint: 'Create one with "headwaters init".',
            },
          );
        }
        return forEachConnection(session, requestOf(connections, flags), (connection) =>
          discoverConnection(session, connection, narrowed(requestOf(connections, flags)), flags),
        );
      }),
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
  { columns = false, write = false, file = defaultFile }: DiscoverFlags,
): Promise<Outcome> {
  const { selection, tableSettings } = connection;
  const { capabilities } = connection.source.definition;
  await using source = await openSource(connection, session);
  const all = await source.discover(session.signal);
  const found = select(all, { selection, tables: tableSettings, capabilities, log: session.log });
  const asked = onlyTables([...found.tables.map(({ id }) => id), ...found.refused.keys()], names, (id) => id);
  const tables = found.tables.filter(({ id }) => asked.includes(id));
  showTables(session, connection, tables, columns);
  const outcomes: Outcome[] = [];
  for (const [id, error] of found.refused) {
    if (!asked.includes(id)) continue;
    outcomes.push(await attempt(session, connection.name, () => Promise.reject(error)));
  }
  if (write) await writeFound(session, connection, file, all);
  return worst(outcomes);
}

export function showTables(
  { output, json, quiet, tell }: Session,
  connection: ConfiguredConnection,
  tables: readonly Table[],
  columns: boolean,
): void {
  if (json) {
    for (const table of tables)
      tell(connection.name, { kind: "table", table: { ...table, columns: table.columns.map(columnJson) } });
  }
  if (json || quiet) return;
  const { title, capabilities } = connection.source.definition;
  output.line(`${connection.name}: ${title}, ${counted(tables.length, "table")}`);
  const rows = tables.map((table) => [
    table.id,
    table.key.length === 0 ? "none" : table.key.join(", "),
    count(table.columns.length),
    rowsOf(table),
    ...(capabilities.together === true
      ? ["reported by the source", "reported by the source"]
      : [changesOf(table), table.key.length === 0 ? "full read" : "sweep"]),
  ]);
  for (const line of tableLines(layout, rows, output)) output.line(line);
  for (const table of tables) {
    for (const line of details(table, columns, output.paint)) output.line(line);
  }
}

/** Writes the tables to the file, each with a comment: its key, its rows and how its changes are found. */
async function writeFound(
  { environment, output, json, quiet, tell }: Session,
  { name, selection }: ConfiguredConnection,
  file: string,
  all: readonly Table[],
): Promise<void> {
  const found = all.map((table): FoundTable => {
    const key = table.key.length === 0 ? "no key" : `key ${table.key.join(", ")}`;
    const told =
      table.refused === undefined
        ? `${key}; ${rowsOf(table)} rows; changes: ${changesOf(table)}`
        : `can't be copied: ${table.refused.code}`;
    return { id: table.id, told, selected: selects(selection, table.id) };
  });
  const changed = await writeTables(resolve(environment.folder, file), file, name, found);
  if (json) tell(name, { kind: "written", file, changed });
  else if (!quiet) output.line(`${name}: ${changed ? `written to ${file}` : `${file} has them already`}`);
}

function rowsOf({ estimatedRows }: Table): string {
  return estimatedRows === null ? "?" : `~${count(estimatedRows)}`;
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
