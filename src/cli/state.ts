import { readFile, writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { text } from "node:stream/consumers";
import { Command } from "commander";
import { exportState, importState } from "../engine/commands/state.ts";
import { parseStateDocument, stateJson } from "../engine/state-document.ts";
import { scopesOf } from "../engine/selection/scope.ts";
import { HeadwatersError } from "../protocol/errors.ts";
import type { TableState } from "../protocol/table.ts";
import type { ConfiguredConnection } from "./configuration/resolve.ts";
import { confirmed } from "./confirm.ts";
import { openWarehouse } from "./connect.ts";
import { counted, moment } from "../toolkit/figures.ts";
import { tableLines } from "./display/table.ts";
import { type ColumnLayout } from "./display/text.ts";
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
import type { Environment } from "./environment.ts";

interface StateFlags extends ConnectionOptions, OutputOptions {
  readonly to?: string;
  readonly from?: string;
  readonly yes?: boolean;
}

export function stateCommand(environment: Environment): Command {
  return new Command("state")
    .description(
      "Shows, exports or imports the state of tables: how far they were read. The state is in the destination, beside the copies. Does not connect to the source.",
    )
    .helpCommand(false)
    .addCommand(showCommand(environment))
    .addCommand(exportCommand(environment))
    .addCommand(importCommand(environment))
    .addHelpText(
      "after",
      examples(
        ["state show", "where the next sync of each table begins"],
        ["state export iot --to state.json", "store it together with a backup of the warehouse"],
        ["state import iot --from state.json", "after restoring that backup"],
      ),
    );
}

function showCommand(environment: Environment): Command {
  return withOutputOptions(connectionCommand("show"))
    .summary("where the next sync goes on")
    .description("Shows where the next sync of each table begins.")
    .addHelpText("after", examples(["state show iot --tables devices", "one table"]))
    .action(running(environment, (session, connection, flags) => show(session, connection, narrowed(flags))));
}

function exportCommand(environment: Environment): Command {
  const command = connectionCommand("export")
    .summary("write the state of one connection as JSON")
    .description(
      "Writes the state of one connection as JSON: for each table, the state after its last complete sync. Unfinished passes are not included, because they belong to the copies that have their rows.",
    )
    .optionsGroup("Where to:")
    .option("--to <file>", "a new file (default: standard output)");
  return withOutputOptions(command)
    .addHelpText("after", examples(["state export iot > state.json", "to standard output"]))
    .action(running(environment, (session, connection, flags) => exportOf(session, connection, flags), 1));
}

function importCommand(environment: Environment): Command {
  const command = connectionCommand("import")
    .summary("use a state that was exported")
    .description(
      "Replaces the state of tables with an exported one: for all tables, or for none. The copies must have the rows that the state describes. Otherwise older rows are missing until the next sweep. A state of another source, server, database or selection is refused.",
    )
    .optionsGroup("Where from:")
    .option("--from <file>", "the file; - for standard input")
    .option("-y, --yes", "do not ask");
  return withOutputOptions(command)
    .addHelpText("after", examples(["state import iot --from state.json --tables devices", "one table"]))
    .action(running(environment, (session, connection, flags) => importInto(session, connection, flags), 1));
}

type Work = (session: Session, connection: ConfiguredConnection, flags: StateFlags) => Promise<Outcome>;

function running(environment: Environment, work: Work, most?: number) {
  return (connections: readonly string[], flags: StateFlags): Promise<void> =>
    runCommand(environment, flags, (session) =>
      forEachConnection(
        session,
        requestOf(connections, flags),
        (connection) => work(session, connection, { ...flags, ...requestOf(connections, flags) }),
        most === undefined ? {} : { most },
      ),
    );
}

const layout: readonly ColumnLayout[] = [
  { title: "table", align: "left" },
  { title: "key", align: "left" },
  { title: "as of", align: "left" },
  { title: "changes from", align: "left" },
];

async function show(session: Session, connection: ConfiguredConnection, names: readonly string[]): Promise<Outcome> {
  const { output, json, quiet, tell } = session;
  await using warehouse = await openWarehouse(connection, session, false);
  const { tables } = await warehouse.load();
  const states = onlyTables([...tables.values()], names, ({ table }) => table.id);
  if (json) for (const state of states) tell(connection.name, { kind: "state", state });
  if (json || quiet) return "ok";
  output.line(`${connection.name}: ${counted(states.length, "table")} with a complete sync`);
  for (const line of tableLines(layout, states.map(shown), output)) output.line(line);
  return "ok";
}

function shown({ table, asOf, next }: TableState): readonly string[] {
  const from = table.cursor === null ? "no cursor" : `${table.cursor} ${JSON.stringify(next)}`;
  return [table.id, table.key.join(", ") || "none", moment(asOf), from];
}

async function exportOf(session: Session, connection: ConfiguredConnection, { to }: StateFlags): Promise<Outcome> {
  const { output, environment, quiet } = session;
  await using warehouse = await openWarehouse(connection, session, false);
  const document = await exportState(warehouse, connection.source.definition.name);
  const json = JSON.stringify(stateJson(document), null, 2);
  if (to === undefined) {
    if (output.clean(json) !== json)
      throw unusable(
        "a name in the state has the text of a secret, which is not shown",
        "Write the state to a file with --to.",
      );
    output.line(json, "as it is");
    return "ok";
  }
  try {
    await writeFile(resolve(environment.folder, to), `${json}\n`, { flag: "wx", mode: 0o600 });
  } catch (error) {
    throw unusable(`--to: ${to} can't be written`, "Name another file: an existing file is never replaced.", error);
  }
  const many = Object.keys(document.tables).length;
  if (!quiet) output.line(`${connection.name}: the state of ${counted(many, "table")} is in ${to}`);
  return "ok";
}

async function importInto(session: Session, connection: ConfiguredConnection, flags: StateFlags): Promise<Outcome> {
  const { output, json, quiet, tell } = session;
  const { definition, configuration } = connection.source;
  const document = parseStateDocument(await read(session, flags.from), definition);
  const names = narrowed(flags);
  const which = names.length === 0 ? counted(Object.keys(document.tables).length, "table") : names.join(", ");
  const question = `${connection.name}: Replace the state of ${which}?`;
  if (flags.yes !== true && !(await confirmed(session, "state import", question))) {
    output.error(`${connection.name}: nothing was changed.`);
    return "ok";
  }
  await using warehouse = await openWarehouse(connection, session, false);
  const scopes = scopesOf(definition, configuration);
  const { selection, tableSettings: tables } = connection;
  const imported = await importState({ warehouse, ...scopes, selection, tables }, document, names);
  if (json) tell(connection.name, { kind: "imported", tables: imported });
  else if (!quiet) output.line(`${connection.name}: now uses the state of ${imported.join(", ") || "no table"}`);
  return "ok";
}

async function read({ environment }: Session, from: string | undefined): Promise<string> {
  if (from === undefined)
    throw unusable("--from is missing", "Name the file that state export wrote, or - for standard input.");
  if (from === "-") return text(environment.stdin);
  try {
    return await readFile(resolve(environment.folder, from), "utf8");
  } catch (error) {
    throw unusable(`--from: ${from} can't be read`, "Check the path and its permissions.", error);
  }
}

function unusable(problem: string, hint: string, cause?: unknown): HeadwatersError {
  const { code } = (cause ?? {}) as NodeJS.ErrnoException;
  const why = code === undefined ? "" : ` (${code})`;
  return new HeadwatersError("CONFIGURATION_INVALID", `${problem}${why}.`, { hint, cause });
}
