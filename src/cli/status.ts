import { type Command } from "commander";
import { status, type TableStatus } from "../engine/commands/status.ts";
import type { RunRecord } from "../protocol/state-store.ts";
import type { ConfiguredConnection } from "./configuration/resolve.ts";
import { openWarehouse } from "./connect.ts";
import { count, counted, duration, moment } from "./display/format.ts";
import { type ColumnLayout, tableLines } from "./display/text.ts";
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

export function statusCommand(environment: Environment): Command {
  return withOutputOptions(connectionCommand("status"))
    .description(
      "Shows how the copies stand: rows, as of when they are true, passes that the next sync goes on with, the last runs. Asks nothing of the source.",
    )
    .addHelpText(
      "after",
      examples(["status", "every connection of headwaters.yaml"], ["status iot --json", "for a program"]),
    )
    .action((connections: readonly string[], flags: ConnectionOptions & OutputOptions) =>
      runCommand(environment, flags, (session) =>
        forEachConnection(session, requestOf(connections, flags), (connection) =>
          statusOfConnection(session, connection, narrowed(flags)),
        ),
      ),
    );
}

const layout: readonly ColumnLayout[] = [
  { title: "table", align: "left" },
  { title: "rows", align: "right" },
  { title: "as of", align: "left" },
  { title: "deletes looked for", align: "left" },
  { title: "open pass", align: "left" },
];

async function statusOfConnection(
  { output, log, signal, json, quiet, tell }: Session,
  connection: ConfiguredConnection,
  names: readonly string[],
): Promise<Outcome> {
  await using warehouse = await openWarehouse(connection, { log, signal }, false);
  const { tables, runs } = await status({ warehouse });
  const shown = onlyTables(tables, names, ({ table }) => table);
  if (json) tell(connection.name, { kind: "status", tables: shown, runs });
  if (json || quiet) return "ok";
  const { title } = connection.destination.definition;
  output.line(`${connection.name}: ${title}, schema ${connection.schema}, ${counted(shown.length, "table")}`);
  const rows = shown.map((table) => [
    table.table,
    table.rows === null ? "no copy" : count(table.rows),
    table.asOf === null ? "never whole" : moment(table.asOf),
    table.sweptAt === null ? "never" : moment(table.sweptAt),
    openPass(table),
  ]);
  if (rows.length > 0) for (const line of tableLines(layout, rows, output.paint)) output.line(line);
  for (const run of runs) output.line(runLine(run));
  return "ok";
}

function openPass({ open }: TableStatus): string {
  return open === null ? "" : `${open.kind}, ${open.splitsDone} of ${counted(open.splits, "split")} done`;
}

function runLine({ started, ended, outcome, tables }: RunRecord): string {
  const whole = tables.filter((table) => table.outcome === "whole").length;
  const read = tables.reduce((sum, table) => sum + table.rowsRead, 0);
  const took = ended === null ? "" : ` in ${duration(Date.parse(ended) - Date.parse(started))}`;
  return `run ${moment(started)}: ${outcome}, ${whole} of ${counted(tables.length, "table")} whole, ${counted(read, "row")} read${took}`;
}
