import type { SchemaChange } from "../protocol/readable.ts";
import type { RecordedError, RunRecord } from "../protocol/state-store.ts";
import type { ConnectionReport, ErrorReport, StreamReport, TableProgress, TableReport } from "./api.ts";
import { type Plan, failuresOf, nextSync, nextVerify, updates } from "./due.ts";
import type { Host, LoadedConnection, Remembered } from "./host.ts";
import type { Task } from "./messages.ts";
import { runReport } from "./reports.ts";
import { dueAfter, scheduleText, type SyncSchedule } from "./schedule.ts";

/** A run that waits for its turn or is made. */
export interface Active {
  readonly task: Task;
  /** Whether a worker has it. */
  begun: boolean;
  /** The last record of its worker; before that, the request. It may have an end before its worker is done. */
  record: RunRecord;
  readonly progress: Map<string, TableProgress>;
}

/** A connection that is being followed. */
export interface Following extends Active {
  stream: StreamReport;
  /** Whether it was asked to end. */
  ending: boolean;
  /** When the copies were last looked at, and how often. */
  lookedAt: number;
  looks: number;
  /** By table: the number of changed rows at its last count. */
  readonly counted: Map<string, number>;
}

/** A look at the copies that failed because the destination was busy or away. */
interface Missed {
  readonly recount: readonly string[] | null;
  /** When the next look is due. */
  readonly next: number;
  readonly wait: number;
}

/** What the service knows of one connection. */
export interface Unit {
  loaded: LoadedConnection;
  /** Runs that are over, newest first. */
  runs: RunRecord[];
  /** The version of the records that `runs` was read from. */
  runsVersion: string;
  /** Whether another process runs it: the command line, or a worker of a service that was killed. */
  isBusy: boolean;
  /** The run that workers of Temporal make, as it was recorded last. */
  elsewhere: RunRecord | null;
  /** When the records of such runs were read last; `null`: never. */
  readAt: number | null;
  /** The last report of its worker; `null`: none yet. */
  tables: readonly TableReport[] | null;
  /** The newest changes of schemas, likewise. */
  changes: readonly SchemaChange[] | null;
  /** Whether a look at the copies is under way. */
  looking: Promise<void> | null;
  missed: Missed | null;
  /** Whether `runs` has every run of the destination. */
  hasAllRuns: boolean;
  /** A sync or a verify. */
  active: Active | null;
  /** Only a verify may run beside it. */
  following: Following | null;
  /** How often reads of its tables were tried again, by the code of the error. */
  readonly retries: Map<string, number>;
  /** Who paused it; `null`: it is not paused. */
  paused: "person" | "failures" | null;
  /** The id of the last run that a person stopped; `null`: none. */
  stopped: string | null;
  /** Whether it is no longer in the file. */
  removed: boolean;
}

export function newUnit(loaded: LoadedConnection, { paused, stopped }: Pick<Remembered, "paused" | "stopped">): Unit {
  return {
    loaded,
    runs: [],
    runsVersion: "",
    isBusy: false,
    elsewhere: null,
    readAt: null,
    tables: null,
    changes: null,
    looking: null,
    missed: null,
    hasAllRuns: false,
    active: null,
    following: null,
    retries: new Map(),
    paused: paused.includes(loaded.name) ? "person" : null,
    stopped: stopped[loaded.name] ?? null,
    removed: false,
  };
}

/**
 * The limit of a connection's runs in memory, by their number and by their tables together; the last few are always kept.
 */
const most = { runs: 200, tables: 2_000, last: 10 };

/** The runs that are kept in memory. The destination has the others. */
export function newest(runs: readonly RunRecord[]): RunRecord[] {
  let tables = 0;
  return runs.filter((run, index) => {
    tables += run.tables.length;
    return index < most.last || (index < most.runs && tables <= most.tables);
  });
}

/**
 * Reads the records of runs again if another process has added some, or was running one. Returns the new ones:
 * copies may have changed.
 */
export function readRuns(unit: Unit, host: Pick<Host, "runs" | "runsVersion" | "isUnderWay">): readonly RunRecord[] {
  const { loaded } = unit;
  const version = host.runsVersion(loaded);
  if (version === unit.runsVersion && !unit.isBusy) return [];
  unit.runsVersion = version;
  unit.isBusy = host.isUnderWay(loaded);
  const known = new Set(unit.runs.map(({ id }) => id));
  const found = host.runs(loaded).filter(({ id, outcome }) => outcome !== "running" && !known.has(id));
  if (found.length > 0) unit.hasAllRuns = false;
  unit.runs = newest([...unit.runs, ...found].sort((a, b) => (a.started < b.started ? 1 : -1)));
  return unit.runs.filter(({ id }) => !known.has(id));
}

export function connectionReport(unit: Unit, now: number): ConnectionReport {
  const { loaded, runs, following } = unit;
  const { name, source, destination, schedule, verify, freshness } = loaded;
  const lastRun = runs.find(updates) ?? null;
  const lastProof = runs.find(({ kind, outcome }) => kind === "verify" && outcome !== "stopped") ?? null;
  const plan = planOf(unit);
  const paused = pausedBy(unit);
  const isOff = paused !== null || loaded.error !== null;
  const selected = selectedTables(unit);
  const asOf = oldestOf(selected);
  const [own] = runsUnderWay(unit);
  const running = own === undefined ? runElsewhere(unit) : underWay(own);
  const counted = selected.flatMap(({ rows }) => (rows === null ? [] : [rows]));
  const told = {
    asOf,
    rows: counted.length === 0 ? null : counted.reduce((sum, rows) => sum + rows, 0),
    held: selected.flatMap(({ table, held }) => (held === null ? [] : [{ table, ...held }])),
    lastRun: lastRun === null ? null : runReport(name, lastRun),
    lastProof: lastProof === null ? null : runReport(name, lastProof),
    failures: failuresOf(runs).length,
  };
  return {
    name,
    source: { ...source },
    destination: { ...destination },
    ...stateOf(unit, told, now),
    failures: told.failures,
    paused: paused !== null,
    schedule: schedule === null ? null : scheduleText(schedule),
    verifySchedule: verify === null ? null : scheduleText(verify),
    nextRun:
      isOff || following !== null ? null : momentOf(nextElsewhere(unit, schedule, now) ?? nextSync(plan)?.at, now),
    nextVerify: isOff ? null : momentOf(nextElsewhere(unit, verify, now) ?? nextVerify(plan)?.at, now),
    asOf,
    freshness,
    rows: told.rows,
    tables: selected.length,
    running: running === null ? null : runReport(name, running),
    stream: following === null ? null : { ...following.stream },
    lastRun: told.lastRun,
    lastProof: told.lastProof,
    held: told.held,
  };
}

/** What decides when the connection runs next. */
export function planOf(unit: Unit): Plan {
  const { loaded, runs, stopped } = unit;
  const { name, isHandedOver } = loaded;
  const { schedule, verify } = isHandedOver ? { schedule: null, verify: null } : loaded;
  return { name, schedule, verify, runs, stopped, copied: oldestOf(selectedTables(unit)) !== null };
}

/** When Temporal starts the next run. Absent: we do. */
function nextElsewhere({ loaded }: Unit, schedule: SyncSchedule | null, now: number): number | undefined {
  if (!loaded.isHandedOver || schedule === null || schedule === "follow") return undefined;
  return dueAfter(schedule, loaded.name, now);
}

/** The run that workers of Temporal make; `null`: none is known. */
export function runElsewhere({ loaded, elsewhere }: Unit): RunRecord | null {
  return loaded.isHandedOver ? elsewhere : null;
}

/** By whom the connection is paused; a schedule of Temporal is not paused here. */
function pausedBy({ loaded, paused }: Unit): Unit["paused"] {
  return loaded.isHandedOver ? null : paused;
}

/** The runs under way; the one that a person looks for comes first. */
export function runsUnderWay({ active, following }: Unit): readonly Active[] {
  return [...(active?.begun === true ? [active] : []), ...(following === null ? [] : [following])];
}

/** The current copies of the selected tables. */
function selectedTables(unit: Unit): readonly TableReport[] {
  const selected = (unit.tables ?? []).filter(({ table }) => unit.loaded.selects(table));
  return withMoments(selected, unit);
}

/** The tables with the read points that following has reached since the last look. */
export function withMoments(tables: readonly TableReport[], { following }: Unit): readonly TableReport[] {
  const followed = new Map(following?.record.tables.map(({ table, asOf }) => [table, asOf]));
  return tables.map((table) => ({ ...table, asOf: followed.get(table.table) ?? table.asOf }));
}

/** The oldest read point; `null`: a table was never whole, or nothing is known. */
function oldestOf(tables: readonly TableReport[]): string | null {
  const moments = tables.map(({ asOf }) => asOf);
  return moments.length === 0 || moments.includes(null) ? null : (moments.sort()[0] ?? null);
}

/** The table, if it can be synced without the others. */
export function alone({ loaded }: Unit, table: string): readonly string[] {
  return loaded.together ? [] : [table];
}

export function newRun(task: Task, now: number): Active {
  const { run: id, kind, trigger } = task;
  const started = new Date(now).toISOString();
  const record = { id, kind, trigger, started, ended: null, outcome: "running", tables: [] } as const;
  return { task, begun: false, record, progress: new Map() };
}

/** The record of a run whose worker has not said that it is done. */
export function underWay({ record }: Active): RunRecord {
  return { ...record, ended: null, outcome: "running" };
}

/** The record of a run that is over. If the run could not be recorded, its error is the reason that it failed. */
export function endOf(
  { record }: Active,
  { error, died }: { readonly error: ErrorReport | null; readonly died: boolean },
  now: number,
): RunRecord {
  const ended = record.ended ?? new Date(now).toISOString();
  if (record.outcome !== "running") return { ...record, ended };
  const outcome = died ? "died" : error === null ? "stopped" : "failed";
  return { ...record, ended, outcome, ...(error === null ? {} : { error: error as RecordedError }) };
}

/** A moment in the past means now. */
function momentOf(at: number | undefined, now: number): string | null {
  return at === undefined || !Number.isFinite(at) ? null : new Date(Math.max(at, now)).toISOString();
}

type Told = Pick<ConnectionReport, "asOf" | "held" | "lastRun" | "lastProof" | "failures">;

/** The state, in one word and in a few, and the error that a person should see. */
function stateOf(unit: Unit, told: Told, now: number): Standing {
  const { loaded, active, isBusy, following } = unit;
  const paused = pausedBy(unit);
  const elsewhere = runElsewhere(unit);
  const { lastRun, failures } = told;
  const error: ErrorReport | null =
    loaded.error ?? (lastRun?.outcome === "succeeded" ? null : (lastRun?.error ?? null));
  if (following !== null && !following.ending) return followedState(following, unit, told, now);
  if (active?.begun === true)
    return { state: "running", says: active.task.kind === "verify" ? "verifying" : "syncing", error };
  if (loaded.error !== null) return { state: "problem", says: "its settings are wrong", error };
  if (isBusy) return { state: "running", says: "another process works on it", error };
  if (elsewhere !== null)
    return { state: "running", says: elsewhere.kind === "verify" ? "workers verify it" : "workers sync it", error };
  if (paused === "person") return { state: "paused", says: "paused", error };
  if (paused === "failures")
    return { state: "paused", says: `paused after ${failures} failures: fix the problem, then resume`, error };
  if (active !== null) return { state: "waiting", says: "waits for its turn", error };
  if (lastRun === null) return { state: "never", says: "never synced", error };
  if (lastRun.outcome === "failed" || lastRun.outcome === "died") {
    const { failed } = lastRun.tables;
    const run = lastRun.kind === "follow" ? "following" : "the last sync";
    const what =
      lastRun.outcome === "died" ? `${run} died` : failed === 0 ? `${run} failed` : `${tablesText(failed)} failed`;
    const row = failures > 1 ? `, ${failures} times in a row` : "";
    // Without a schedule nobody tries it again.
    return error?.remedy === "retry" && loaded.schedule !== null
      ? { state: "waiting", says: `${what}${row}; it is tried again`, error }
      : { state: "problem", says: `${what}${row}`, error };
  }
  return copyState(unit, told, now, error) ?? { state: "ok", says: "up to date", error };
}

type Standing = Pick<ConnectionReport, "state" | "says" | "error">;

/** While it is followed, errors of its tables count until the tables are whole again. */
function followedState({ record, stream }: Following, unit: Unit, told: Told, now: number): Standing {
  const { error, tables } = runReport("", { ...record, outcome: "running" });
  if (error !== null) {
    const says = `follows; ${tablesText(tables.failed)} failed`;
    return error.remedy === "retry"
      ? { state: "waiting", says: `${says}, and ${tables.failed === 1 ? "is" : "are"} tried again`, error }
      : { state: "problem", says, error };
  }
  if (told.asOf === null || (stream.position === null && stream.lag === null))
    return { state: "running", says: "begins to follow: tables are read whole", error: null };
  return copyState(unit, told, now, null) ?? { state: "following", says: "follows its source", error: null };
}

function tablesText(count: number): string {
  return `${count} ${count === 1 ? "table" : "tables"}`;
}

/** What a person should know about the copies, whatever runs; `null`: nothing. */
function copyState(
  { loaded, tables }: Unit,
  { held, lastProof, asOf }: Told,
  now: number,
  error: ErrorReport | null,
): Standing | null {
  if (held.length > 0) {
    const what = held.length === 1 ? `"${held[0]!.table}" are` : `${held.length} tables are`;
    return { state: "problem", says: `deletes of ${what} held back`, error };
  }
  if (lastProof?.verdict === "DIVERGED") return { state: "problem", says: "the last proof is DIVERGED", error };
  if (loaded.freshness !== null && tables !== null && (asOf === null || now - Date.parse(asOf) > loaded.freshness))
    return { state: "late", says: asOf === null ? "a table was never whole" : "older than its limit", error };
  return null;
}

/** A moment in the future. */
export function later(moment: string | null, now: number): string | null {
  return moment === null || Date.parse(moment) <= now ? null : moment;
}
