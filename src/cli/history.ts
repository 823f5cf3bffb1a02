import { type Command } from "commander";
import { asHeadwatersError } from "../protocol/errors.ts";
import type { RunRecord } from "../protocol/state-store.ts";
import { runReport } from "../service/reports.ts";
import { attemptPlace, loadAttempts, together } from "./attempts.ts";
import { type CopySide, placeOfCopies } from "./configuration/resolve.ts";
import { openWarehouse } from "./connect.ts";
import { count, duration, moment } from "../toolkit/figures.ts";
import { tableLines } from "./display/table.ts";
import type { ColumnLayout } from "./display/text.ts";
import type { Environment } from "./environment.ts";
import type { Outcome } from "./exit-codes.ts";
import {
  connectionCommand,
  type ConnectionOptions,
  examples,
  requestOf,
  runsOf,
  withOutputOptions,
} from "./options.ts";
import { forEachCopySide, type OutputOptions, runCommand, type Session } from "./session.ts";

interface HistoryFlags extends ConnectionOptions, OutputOptions {
  readonly runs: string;
}

export function historyCommand(environment: Environment): Command {
  const command = connectionCommand("history")
    .description(
      "Shows the last syncs and verifies of connections: when they ran, how they ended, what they read and changed. Reads the records in the destination and on this machine. Needs neither the source nor its secrets.",
    )
    .optionsGroup("What to show:")
    .option("--runs <number>", "how many of the last runs to show", "20");
  return withOutputOptions(command)
    .addHelpText(
      "after",
      examples(["history", "every connection of headwaters.yaml"], ["history iot --runs 100 --json", "for a program"]),
    )
    .action((connections: readonly string[], flags: HistoryFlags) =>
      runCommand(environment, flags, (session) => {
        const most = runsOf(flags.runs);
        return forEachCopySide(session, requestOf(connections, flags), (connection) =>
          showHistory(session, connection, most),
        );
      }),
    );
}

const layout: readonly ColumnLayout[] = [
  { title: "started", align: "left" },
  { title: "run", align: "left" },
  { title: "kind", align: "left" },
  { title: "outcome", align: "left" },
  { title: "took", align: "right" },
  { title: "read", align: "right" },
  { title: "inserted", align: "right" },
  { title: "updated", align: "right" },
  { title: "deleted", align: "right" },
];

async function showHistory(session: Session, connection: CopySide, most: number): Promise<Outcome> {
  const { output, json, quiet, tell } = session;
  const { name } = connection;
  const runs = (await historyOf(session, connection, most)).map((run) => runReport(name, run));
  if (json) for (const run of runs) tell(name, { kind: "run", run });
  if (json || quiet) return "ok";
  const rows = runs.map((run) => [
    moment(run.started),
    run.id.slice(0, 8),
    run.kind,
    run.verdict ?? (run.error === null ? run.outcome : `${run.outcome} (${run.error.code})`),
    run.ended === null ? "" : duration(run.milliseconds),
    ...[run.rowsRead, run.inserted, run.updated, run.deleted].map(count),
  ]);
  output.line(`${name}: ${runs.length === 0 ? "no runs yet" : "the last runs, newest first"}`);
  if (rows.length > 0) for (const line of tableLines(layout, rows, output)) output.line(line);
  return "ok";
}

/** From the destination and from the attempts of this machine. If the destination can't be read: from these alone. */
async function historyOf(session: Session, connection: CopySide, most: number): Promise<readonly RunRecord[]> {
  const { log, environment } = session;
  const place = attemptPlace(connection.home, connection.name, environment.variables);
  const attempts = loadAttempts(place, placeOfCopies(connection), log);
  let stored: readonly RunRecord[] = [];
  try {
    await using warehouse = await openWarehouse(connection, session, false);
    stored = await warehouse.runs(most);
  } catch (thrown) {
    const error = asHeadwatersError(thrown);
    if (attempts.length === 0 || error.code === "DEFECT") throw error;
    log.warn(`${error.message}: the following comes from the records on this machine`);
  }
  return together(stored, attempts).slice(0, most);
}
