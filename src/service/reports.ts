import { type ErrorCode, errorCodes, type HeadwatersError } from "../protocol/errors.ts";
import type { RecordedError, RunRecord, TableRun } from "../protocol/state-store.ts";
import type { Table, TableState } from "../protocol/table.ts";
import { cursorShowsAll } from "../protocol/table.ts";
import type { TableProgress as Progress } from "../engine/progress.ts";
import { typeName } from "../toolkit/types.ts";
import type { ErrorReport, Run, TableProgress, TableReport, TableRunReport } from "./api.ts";

export function errorReport({ code, message, hint }: RecordedError | HeadwatersError): ErrorReport {
  // A record of a newer Headwaters may have codes that this one does not know.
  const remedy = Object.hasOwn(errorCodes, code) ? errorCodes[code as ErrorCode][0] : "report";
  return { code, message, hint: hint ?? null, remedy };
}

/** Errors that a person must act on come first, as in exit codes. */
const gravest = ["report", "resync", "reconfigure", "retry"] as const;

/** The error that explains best why a run failed; `null`: it did not fail. */
function errorOf({ error, tables }: RunRecord): ErrorReport | null {
  if (error !== undefined) return errorReport(error);
  const errors = tables.flatMap((table) => (table.error === null ? [] : [errorReport(table.error)]));
  return gravest.flatMap((remedy) => errors.filter((found) => found.remedy === remedy))[0] ?? null;
}

export function runReport(connection: string, record: RunRecord): Run {
  const { id, kind = "sync", trigger = "command line", started, ended, outcome, tables, verdict } = record;
  const sum = (field: "rowsRead" | "bytesRead" | "inserted" | "updated" | "deleted"): number =>
    tables.reduce((total, table) => total + table[field], 0);
  const count = (outcome: TableRun["outcome"]): number => tables.filter((table) => table.outcome === outcome).length;
  return {
    id,
    connection,
    kind,
    trigger,
    started,
    ended,
    outcome,
    milliseconds: durationOf(record),
    tables: { whole: count("whole"), failed: count("failed"), stopped: count("stopped") },
    rowsRead: sum("rowsRead"),
    bytesRead: sum("bytesRead"),
    inserted: sum("inserted"),
    updated: sum("updated"),
    deleted: sum("deleted"),
    asOf: tables.every((table) => table.asOf !== null) ? (tables.map((table) => table.asOf!).sort()[0] ?? null) : null,
    verdict: verdict ?? null,
    error: outcome === "died" ? died : errorOf(record),
  };
}

/** In milliseconds. The end of a run that died is unknown: it worked at least as long as its tables. */
function durationOf({ started, ended, outcome, tables }: RunRecord): number {
  if (ended === null && outcome !== "running") return Math.max(0, ...tables.map(({ milliseconds }) => milliseconds));
  return Math.max(0, (ended === null ? Date.now() : Date.parse(ended)) - Date.parse(started));
}

const died: ErrorReport = {
  code: "PROCESS_DIED",
  message: "its process ended without a record: it was killed, ran out of memory, or the machine restarted",
  hint: "Run it again: it goes on from the last commit.",
  remedy: "retry",
};

export function tableRunReport({ verdict, reasons = [], error, passes, ...table }: TableRun): TableRunReport {
  return {
    ...table,
    passes: [...passes],
    verdict: verdict ?? null,
    reasons: [...reasons],
    error: error === null ? null : errorReport(error),
  };
}

/** The progress of a table, as the terminal shows it. */
export function progressReport(table: Progress, verifying: boolean, now: number): TableProgress {
  const { changes, state, retried } = table;
  const shown = state === "retrying" || state === "running" ? "reading" : state;
  return {
    table: table.table,
    state: verifying && shown === "reading" ? "verifying" : shown,
    pass: table.pass,
    rows: table.rows,
    bytes: table.bytes,
    rowsPerSecond: shown === "reading" ? (table.rate(now) ?? 0) : 0,
    estimatedRows: table.estimatedRows === null ? null : Math.max(0, Math.round(table.estimatedRows)),
    splits: table.splits,
    splitsDone: table.splitsDone,
    written: Math.max(0, changes.inserted + changes.updated + changes.deleted),
    left: table.left(now),
    note: retried === null ? null : `${retried.message} (${retried.code}); it is tried again`,
  };
}

/** A table as its copy was last written. */
export function tableReport(
  id: string,
  state: TableState | null,
  { rows, open }: Pick<TableReport, "rows" | "open">,
): TableReport {
  return {
    table: id,
    rows,
    asOf: state?.asOf ?? null,
    sweptAt: state?.sweptAt ?? null,
    columns: (state?.table.columns ?? []).map(({ name, type, nullable }) => ({
      name,
      type: typeName(type),
      nullable,
      key: state!.table.key.includes(name),
    })),
    cursor: state?.table.cursor ?? null,
    reading: state === null ? ["It was never whole: the next sync reads every row."] : readingOf(state.table),
    open,
    held: state?.held ?? null,
    last: null,
  };
}

/** How changes and deletes of a table are found, and why. */
function readingOf(table: Table): string[] {
  const { key, cursor, version, streamed, notes } = table;
  if (streamed === true) return ["Its stream shows every change and every delete.", ...notes];
  if (key.length === 0) return ["It has no key: every row is read in each sync.", ...notes];
  const changes =
    cursor !== null
      ? `The column ${cursor} says when a row changed: a window of it is read in each sync.`
      : version !== null
        ? "No column says when a row changed: a sweep compares the versions of all rows."
        : "Nothing shows what changed: every row is read in each sync.";
  const sweeps =
    cursor === null
      ? []
      : cursorShowsAll(table)
        ? ["Deleted rows are found by sweeps over all keys."]
        : ["Deleted rows, and changes that this column does not show, are found by sweeps over all keys."];
  return [changes, ...sweeps, ...notes];
}
