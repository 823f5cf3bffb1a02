import { type Command } from "commander";
import { status, type TableStatus } from "../engine/commands/status.ts";
import { asHeadwatersError, HeadwatersError } from "../protocol/errors.ts";
import type { RunRecord } from "../protocol/state-store.ts";
import { selects } from "../toolkit/patterns.ts";
import { attemptPlace, loadAttempts, together } from "./attempts.ts";
import { parseDuration } from "../toolkit/quantities.ts";
import { type CopySide, placeOfCopies } from "./configuration/resolve.ts";
import { openWarehouse } from "./connect.ts";
import { errorJson } from "./display/events-json.ts";
import { type Standing, statusLines } from "./display/status-lines.ts";
import { exitCode, type Outcome } from "./exit-codes.ts";
import {
  connectionCommand,
  type ConnectionOptions,
  examples,
  exitCodesHelp,
  narrowed,
  requestOf,
  runsOf,
  withOutputOptions,
} from "./options.ts";
import { forEachCopySide, type OutputOptions, runCommand, type Session } from "./session.ts";
import { onlyTables } from "./tables.ts";
import type { Environment } from "./environment.ts";

interface StatusFlags extends ConnectionOptions, OutputOptions {
  readonly runs: string;
  readonly maxAge?: string;
}

export function statusCommand(environment: Environment): Command {
  const command = connectionCommand("status")
    .description(
      "Shows the state of the copies: rows, read point (as of), position and lag of followed tables, unfinished passes, and the last runs with their errors. Needs neither the source nor its secrets. Works while a sync runs.",
    )
    .optionsGroup("What to show:")
    .option("--runs <number>", "how many of the last syncs to show", "5")
    .option("--max-age <duration>", "exit code 7 if a copy is older than this (30m, 6h), or the last sync failed");
  return withOutputOptions(command)
    .addHelpText(
      "after",
      examples(
        ["status", "every connection of headwaters.yaml"],
        ["status --max-age 1h --quiet || alert", "for monitoring"],
        ["status iot --json", "for a program"],
      ),
    )
    .addHelpText("after", exitCodesHelp())
    .action((connections: readonly string[], flags: StatusFlags) =>
      runCommand(environment, flags, (session) => {
        const limits = limitsOf(flags);
        return forEachCopySide(session, requestOf(connections, flags), (connection) =>
          statusOfConnection(session, connection, narrowed(requestOf(connections, flags)), limits),
        );
      }),
    );
}

interface Limits {
  readonly runs: number;
  /** In milliseconds; `null`: any age is fine. */
  readonly maxAge: number | null;
}

function limitsOf({ runs, maxAge }: StatusFlags): Limits {
  const most = runsOf(runs);
  const age = maxAge === undefined ? null : parseDuration(maxAge);
  if (maxAge !== undefined && (age === null || age <= 0)) {
    throw new HeadwatersError(
      "CONFIGURATION_INVALID",
      `--max-age must be a duration with its unit, such as 30m or 6h, not ${JSON.stringify(maxAge)}.`,
    );
  }
  return { runs: most, maxAge: age };
}

async function statusOfConnection(
  session: Session,
  connection: CopySide,
  names: readonly string[],
  { runs, maxAge }: Limits,
): Promise<Outcome> {
  const { output, json, quiet, tell } = session;
  const standing = await standingOf(session, connection, runs);
  const tables = onlyTables(standing.tables, names, ({ table }) => table);
  const late = maxAge === null ? [] : lateness({ ...standing, tables }, connection, maxAge);
  const outcome = late.length > 0 ? "stale" : outcomeOf(standing);
  if (json) {
    const { unreadable } = standing;
    const told = { tables, runs: standing.runs, unreadable: unreadable === null ? null : errorJson(unreadable) };
    tell(connection.name, { kind: "status", ...told, late, outcome, exitCode: exitCode(outcome) });
  } else if (!quiet) {
    for (const line of statusLines(connection, { ...standing, tables }, output)) output.line(line);
  }
  if (!json) for (const line of late) output.error(`${output.paintError("red", "stale")} ${connection.name}: ${line}`);
  return outcome;
}

/**
 * A file that is open elsewhere is no fault: a sync is running. `sync` would meet any other error of the destination too.
 */
function outcomeOf({ unreadable }: Standing): Outcome {
  return unreadable === null || unreadable.code === "DESTINATION_BUSY" ? "ok" : unreadable.remedy;
}

/** From the destination and from the attempts of this machine. If the destination can't be read: from these alone. */
async function standingOf(session: Session, connection: CopySide, runs: number): Promise<Standing> {
  const { log, environment } = session;
  const place = attemptPlace(connection.home, connection.name, environment.variables);
  const attempts = loadAttempts(place, placeOfCopies(connection), log).filter(({ kind }) => kind !== "verify");
  try {
    await using warehouse = await openWarehouse(connection, session, false);
    const stored = await status({ warehouse, position: connection.position }, runs);
    return { tables: stored.tables, runs: together(stored.runs, attempts).slice(0, runs), unreadable: null };
  } catch (thrown) {
    const unreadable = asHeadwatersError(thrown);
    if (attempts.length === 0 || unreadable.code === "DEFECT") throw unreadable;
    return { tables: tablesOf(attempts), runs: attempts.slice(0, runs), unreadable };
  }
}

/** Each table as in the newest attempt that has it. */
function tablesOf(attempts: readonly RunRecord[]): readonly TableStatus[] {
  const tables = new Map<string, TableStatus>();
  for (const { table, asOf } of attempts.flatMap((attempt) => attempt.tables)) {
    if (!tables.has(table))
      tables.set(table, { table, rows: null, asOf, sweptAt: null, position: null, lag: null, open: null });
  }
  return [...tables.values()].sort((a, b) => (a.table < b.table ? -1 : 1));
}

/** Why the copies don't meet `--max-age`; empty: they do. Copies of tables that are no longer selected don't count. */
function lateness({ tables, runs }: Standing, { selection }: CopySide, maxAge: number): readonly string[] {
  const reasons: string[] = [];
  const last = runs.find(({ outcome }) => outcome !== "running" && outcome !== "stopped");
  if (last?.outcome === "failed" || last?.outcome === "died") reasons.push(`the last sync ${last.outcome}`);
  const selected = tables.filter(({ table }) => selects(selection, table));
  if (selected.length === 0) reasons.push("nothing was copied yet");
  for (const { table, asOf } of selected) {
    if (asOf === null) reasons.push(`${table} was never whole`);
    else if (Date.now() - Date.parse(asOf) > maxAge) reasons.push(`${table} is as of ${asOf}`);
  }
  return reasons;
}
