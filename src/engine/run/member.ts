import { asHeadwatersError, HeadwatersError } from "../../protocol/errors.ts";
import type { Holder, RunRecord, Stored, TableRun, Team } from "../../protocol/state-store.ts";
import { hasColumnsOf } from "../../toolkit/types.ts";
import type { SyncConnection } from "../connection.ts";
import type { SyncEvent } from "../events.ts";
import { atDestination } from "../lease.ts";
import { storedTable, type SyncContext } from "./context.ts";
import { addCounts, type Counts, nothingDone } from "./counts.ts";
import { type Course, endPass, type TableStep } from "./course.ts";
import { readPass } from "./read-pass.ts";
import { Run, type SyncOptions } from "./run.ts";
import { goOn, syncTable } from "./sync-table.ts";
import { RolledBack, type Writer } from "./writer.ts";

/** A sync of a team, as all members know it. Plain JSON. */
export interface TeamSync {
  /** The id of the run. */
  readonly run: string;
  readonly lease: number;
  /** When the run began: ISO 8601, UTC. */
  readonly started: string;
  readonly flags: Pick<SyncOptions, "trigger" | "full" | "sweep" | "acceptScope" | "acceptDeletes">;
}

/** A table after a step. */
export interface Stepped {
  readonly counts: Counts;
  /** The pass whose splits any member may read; `null`: the table is done. */
  readonly reading: Reading | null;
  readonly outcome: TableRun["outcome"];
}

/** A pass whose splits are shared out. */
export interface Reading {
  readonly pass: string;
  readonly course: Course;
  /** The places of the remaining splits in the pass. */
  readonly left: readonly number[];
}

/** What a member works with: its own connection, which nothing else uses for writing. */
export interface Member {
  readonly connection: SyncConnection;
  readonly sync: TeamSync;
  readonly signal: AbortSignal;
  /** This is the last attempt: any error ends the table, even one that may pass by itself. */
  readonly isLast: boolean;
  report(event: SyncEvent): void;
}

/** A pass with fewer splits left is read where it was planned. */
const leastShared = 2;

function teamOf({ warehouse }: SyncConnection): Team {
  if (warehouse.team === undefined) throw new HeadwatersError("DEFECT", "this destination takes one writer");
  return warehouse.team;
}

/** Takes the lease for the team, and records which tables the sync is about. Resolves to those that can be synced. */
export async function beginTeamSync(
  connection: SyncConnection,
  options: SyncOptions & { readonly id: string },
  holder: Holder,
): Promise<Pick<TeamSync, "lease" | "started"> & { readonly tables: readonly string[] }> {
  const team = teamOf(connection);
  const lease = await atDestination(team.acquire(holder));
  try {
    const ahead = (await atDestination(team.join(lease, "the run"))) - Date.now();
    const stored = await atDestination(connection.warehouse.load());
    const run = new Run(connection, { ...options, member: { started: null, ahead } }, () => {}, stored, lease);
    try {
      const tables = await run.tables(stored);
      const { writer } = run.begin(stored);
      await using _ = writer;
      await writer.run(null, async (transaction) => transaction.record(run.record(false)));
      await writer.commit();
      return { lease, started: run.record(false).started, tables: tables.map(({ id }) => id) };
    } catch (thrown) {
      await run.recordFailure(thrown);
      throw thrown instanceof RolledBack ? thrown.cause : thrown;
    }
  } catch (thrown) {
    await team.release(lease);
    throw thrown;
  }
}

/**
 * Goes on with a table until it is done, or has a pass whose splits are shared out. `read`: all splits of this pass are
 * read; `null`: the table begins. A table that fails is done too: the record says why.
 */
export async function stepTable(
  member: Member,
  table: string,
  before: Counts,
  read: (Omit<Reading, "left"> & { readonly milliseconds: number; readonly isOneSnapshot: boolean }) | null,
): Promise<Stepped> {
  return working(member, table, before, `table ${table}`, async (run, stored, context, writer) => {
    const [discovered] = read === null ? await run.tables(stored) : [];
    if (read === null && discovered === undefined) return null;
    const leave = ({ open }: TableStep): boolean => {
      const { schema } = member.connection.capabilities;
      return schema === "declared" && open!.pass.kind !== "stream" && leftOf(open!).length >= leastShared;
    };
    const pass = stored.passes.find(({ id }) => id === read?.pass);
    let step: TableStep;
    if (read === null) step = await syncTable(discovered!, storedTable(stored, table), context, leave);
    else if (pass === undefined) throw lostPass(table);
    else {
      const { distinct, ...rest } = pass;
      const opened = distinct === true && read.isOneSnapshot ? pass : rest;
      const { state, progress } = storedTable(stored, table);
      const open = { pass: opened, progress };
      const began = performance.now() - read.milliseconds;
      const current = pass.tables[0]!;
      step = await goOn(
        await endPass({ table: current, state, course: read.course, open }, current, began, context),
        context,
        leave,
      );
    }
    await writer.commit();
    if (step.open === null) return null;
    run.statistics.get(table)!.passes.push(step.open.pass.kind);
    return { pass: step.open.pass.id, course: step.course, left: leftOf(step.open) };
  });
}

/**
 * Reads some splits of a pass. If the table was altered meanwhile, it is planned again here, where it was noticed: then
 * `again` says how it goes on, and other members that read the old pass are refused.
 */
export async function readShare(
  member: Member,
  table: string,
  { pass: id, places }: { readonly pass: string; readonly places: readonly number[] },
): Promise<{ readonly counts: Counts; readonly again: Stepped | null }> {
  let altered = false;
  const { counts } = await working(
    member,
    table,
    nothingDone,
    `splits ${id} ${places[0]}`,
    async (run, stored, context, writer) => {
      const pass = stored.passes.find((candidate) => candidate.id === id);
      if (pass === undefined) throw lostPass(table);
      const splits = places.map((place) => pass.splits[place]!);
      const known = storedTable(stored, table).progress.filter(({ split }) => splits.some((one) => one.id === split));
      for (const split of splits) {
        if (known.some((entry) => entry.split === split.id && !entry.done)) await writer.discard(pass, split);
      }
      try {
        const { tables } = await readPass({ ...pass, splits }, pass.tables, known, context);
        // The other members would not know about it.
        if (!hasColumnsOf(pass.tables[0]!, tables.get(table)!))
          throw new HeadwatersError("DEFECT", `table "${table}" got new columns while several processes read it`);
      } catch (thrown) {
        if (!(thrown instanceof HeadwatersError) || thrown.code !== "TABLE_CHANGED") throw thrown;
        context.connection.log.info(`${thrown.message}; it is planned again`);
        altered = true;
      }
      if (!altered) await writer.commit();
      run.statistics.get(table)!.passes.length = 0;
      return { pass: id, course: noCourse, left: [] };
    },
  );
  return { counts, again: altered ? await stepTable(member, table, nothingDone, null) : null };
}

/** Records how the sync ended, and gives the lease back. `stopped`: before it was done. */
export async function endTeamSync(member: Member, stopped: boolean): Promise<RunRecord> {
  const { connection, sync } = member;
  const { warehouse } = connection;
  const team = teamOf(connection);
  const ahead = (await atDestination(team.join(sync.lease, "the run"))) - Date.now();
  const stored = await atDestination(warehouse.load());
  const run = new Run(
    connection,
    { ...optionsOf(member, []), member: { ...sync, ahead } },
    () => {},
    stored,
    sync.lease,
  );
  const record = recordOf(stored, sync);
  const tables = record.tables.map((table) =>
    table.outcome === "running" ? { ...table, outcome: "stopped" as const } : table,
  );
  const failed = tables.some(({ outcome }) => outcome === "failed");
  const outcome = stopped ? "stopped" : failed ? "failed" : "succeeded";
  const ended: RunRecord = { ...record, tables, ended: new Date().toISOString(), outcome };
  const { writer } = run.begin(stored);
  await using _ = writer;
  await writer.run(null, async (transaction) => transaction.record(ended));
  await writer.commit();
  if (!stopped) {
    await run.tables(stored);
    await run.keepFrom(() => atDestination(warehouse.load()));
  }
  await team.release(sync.lease);
  return ended;
}

/** The record of the team's run, which is the last one while the team has the lease. */
function recordOf({ lastRun }: Stored, { run }: TeamSync): RunRecord {
  if (lastRun?.id === run) return lastRun;
  throw new HeadwatersError("LEASE_LOST", "another sync has begun", { hint: "Sync again." });
}

/** Records that a table failed if no member could do so, for example because each one died. */
export async function failTable({ connection, sync }: Member, table: string, before: Counts): Promise<void> {
  await atDestination(teamOf(connection).renew(sync.lease));
  const error = new HeadwatersError("CONNECTION_LOST", `every attempt at table "${table}" was lost with its worker`, {
    hint: "Check the workers' logs: they may lack memory for this table.",
  });
  await recordTable(connection, sync, {
    ...before,
    table,
    outcome: "failed",
    asOf: null,
    error: recorded(connection, error),
  });
}

const noCourse: Course = { passes: [], scope: "", replace: false, resumed: false, startedOver: 0 };

function optionsOf({ sync, signal }: Pick<Member, "sync" | "signal">, tables: readonly string[]): SyncOptions {
  return { ...sync.flags, id: sync.run, signal, tables };
}

/** Works as a member on one table. An error that can't pass by itself ends the table. */
async function working(
  member: Member,
  table: string,
  before: Counts,
  what: string,
  work: (run: Run, stored: Stored, context: SyncContext, writer: Writer) => Promise<Reading | null>,
): Promise<Stepped> {
  const { connection, sync, report } = member;
  const began = performance.now();
  const ahead = (await atDestination(teamOf(connection).join(sync.lease, what))) - Date.now();
  const stored = await atDestination(connection.warehouse.load());
  const options = { ...optionsOf(member, [table]), member: { ...sync, ahead } };
  const run = new Run(connection, options, report, stored, sync.lease);
  const statistics = run.follow(table, stored.tables.get(table)?.asOf ?? null);
  const { writer, context } = run.begin(stored);
  const done = (): Counts => {
    const milliseconds = Math.round(performance.now() - began);
    const { rowsRead, bytesRead, inserted, updated, deleted, passes } = statistics.run;
    return addCounts(before, { passes, rowsRead, bytesRead, inserted, updated, deleted, milliseconds });
  };
  try {
    await using _ = writer;
    const reading = await work(run, stored, context, writer);
    if (reading !== null) return { counts: done(), reading, outcome: "running" };
    if (statistics.error !== null) throw statistics.error;
    await connection.source.release?.([table]);
    await recordTable(connection, sync, { ...done(), table, outcome: "whole", asOf: statistics.asOf, error: null });
    return { counts: done(), reading: null, outcome: "whole" };
  } catch (thrown) {
    const error = asHeadwatersError(thrown instanceof RolledBack ? thrown.cause : thrown);
    // Another member may succeed; a member that was refused must not record anything.
    if (member.signal.aborted || (error.remedy === "retry" && !member.isLast) || error.code === "LEASE_LOST")
      throw error;
    await recordTable(connection, sync, {
      ...{ ...done(), table, outcome: "failed", asOf: statistics.asOf },
      error: recorded(connection, error),
    });
    return { counts: done(), reading: null, outcome: "failed" };
  }
}

function leftOf({ pass, progress }: NonNullable<TableStep["open"]>): readonly number[] {
  const done = new Set(progress.flatMap((entry) => (entry.done ? [entry.split] : [])));
  return pass.splits.flatMap(({ id }, place) => (done.has(id) ? [] : [place]));
}

async function recordTable(connection: SyncConnection, { run }: TeamSync, table: TableRun): Promise<void> {
  await atDestination(teamOf(connection).recordTable(run, table));
}

function recorded({ withoutSecrets = (text) => text }: SyncConnection, error: HeadwatersError): TableRun["error"] {
  const { code, message, hint } = error;
  return { code, message: withoutSecrets(message), hint: hint === null ? null : withoutSecrets(hint) };
}

function lostPass(table: string): HeadwatersError {
  return new HeadwatersError(
    "LEASE_LOST",
    `table "${table}": its pass is no longer open; another worker went on with it`,
  );
}
