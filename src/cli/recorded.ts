import type { Connection } from "../engine/connection.ts";
import { proofOf, proofRecord, verify, type VerifyEvent, type VerifyReport } from "../engine/commands/verify.ts";
import { isNotable, type SyncEvent } from "../engine/events.ts";
import { follow } from "../engine/run/follow.ts";
import type { SyncOptions } from "../engine/run/run.ts";
import { sync } from "../engine/run/sync.ts";
import { asHeadwatersError } from "../protocol/errors.ts";
import type { Log } from "../protocol/log.ts";
import type { RunKind, RunRecord, Trigger } from "../protocol/state-store.ts";
import { attemptPlace, AttemptRecord, type Recording } from "./attempts.ts";
import { type ConfiguredConnection, placeOfCopies, type RawConnection } from "./configuration/resolve.ts";
import { connect, type ConnectOptions } from "./connect.ts";

/** What a run needs from its process. */
export interface RunContext extends Recording {
  readonly variables: NodeJS.ProcessEnv;
  /** Ends the run. */
  readonly signal: AbortSignal;
  /** How long the destination keeps runs, in milliseconds. Absent: for ever. */
  readonly keepRuns?: number;
}

/** Which run it is. */
export interface RunIdentity {
  /** Absent: a new one. */
  readonly id?: string;
  /** Absent: the command line. */
  readonly trigger?: Trigger;
}

/**
 * Syncs one connection. The attempt is recorded, however it ends. `after` is called with the connection that is still
 * open.
 */
export async function recordedSync<Result>(
  context: RunContext,
  configured: ConfiguredConnection,
  options: Omit<SyncOptions, "signal">,
  report: (event: SyncEvent) => void,
  after: (connection: Connection, run: RunRecord) => Promise<Result>,
): Promise<Result> {
  const record = newRecord(context, configured, "sync", options);
  return failing(record, context, async () => {
    await using connection = await connect(configured, connecting(context, record.log.over(context.log)), true);
    const run = await sync(connection, { ...options, id: record.attempt.id, signal: context.signal }, (event) => {
      record.log.event(event);
      if (event.kind === "finished") record.finished(event.result);
      report(event);
    });
    record.end(run);
    return await after(connection, run);
  });
}

/** Follows one connection until it is stopped. The attempt is recorded, however it ends. */
export async function recordedFollow(
  context: RunContext,
  configured: ConfiguredConnection,
  { tables, ...identity }: RunIdentity & { readonly tables: readonly string[] },
  report: (event: SyncEvent) => void,
): Promise<RunRecord> {
  const record = newRecord(context, configured, "follow", identity);
  return failing(record, context, async () => {
    await using connection = await connect(
      configured,
      { ...connecting(context, record.log.over(context.log)), follows: true },
      true,
    );
    const options = { ...identity, id: record.attempt.id, tables, signal: context.signal };
    const run = await follow(connection, options, (event) => {
      if (isNotable(event)) record.log.event(event);
      if (event.kind === "finished") record.finished(event.result);
      report(event);
    });
    record.end(run);
    return run;
  });
}

/**
 * Verifies one connection. The attempt is recorded, unless nothing could be verified. `tables` empty: all
 * selected tables.
 */
export async function recordedVerify(
  context: RunContext,
  configured: ConfiguredConnection,
  what: RunIdentity & { readonly tables: readonly string[] },
  report: (event: VerifyEvent) => void,
): Promise<VerifyReport> {
  await using connection = await connect(configured, connecting(context, context.log), false);
  return await recordedProof(context, configured, connection, what, report);
}

/** Verifies an open connection, as a run of its own. */
export async function recordedProof(
  context: RunContext,
  configured: ConfiguredConnection,
  connection: Connection,
  { tables, ...identity }: RunIdentity & { readonly tables: readonly string[] },
  report: (event: VerifyEvent) => void,
): Promise<VerifyReport> {
  const record = newRecord(context, configured, "verify", identity);
  return failing(record, context, async () => {
    const { id } = record.attempt;
    const found = await verify(connection, { tables, id, signal: context.signal }, (event) => {
      record.log.event(event);
      if (event.kind === "verified") record.finished(proofOf(event.result));
      report(event);
    });
    record.end(proofRecord(record.attempt, found));
    await keep(connection, record);
    return found;
  });
}

function connecting({ redactor, signal, keepRuns }: RunContext, log: Log): ConnectOptions {
  const kept = keepRuns === undefined ? {} : { keepRuns };
  return { log, withoutSecrets: (text) => redactor.text(text), signal, ...kept };
}

/**
 * Stores a proof in the destination. That changes no copy and needs no lease. If it can't be stored, the proof still holds.
 */
async function keep({ warehouse, log }: Connection, { attempt }: AttemptRecord): Promise<void> {
  const { host: _, pid: __, process: ___, destination: ____, ...run } = attempt;
  try {
    await warehouse.keep(run);
  } catch (thrown) {
    log.warn(`the proof could not be stored in the destination: ${asHeadwatersError(thrown).message}`);
  }
}

/** Records that a run was attempted with wrong settings. */
export function recordInvalid(
  context: RunContext,
  { name, folders }: RawConnection,
  what: RunIdentity & { readonly kind: RunKind },
  thrown: unknown,
): void {
  if (name === null) return;
  const place = attemptPlace(folders.destination, name, context.variables);
  new AttemptRecord(place, { ...what, destination: null }, context).fail(thrown, false);
}

function newRecord(
  context: RunContext,
  configured: ConfiguredConnection,
  kind: RunKind,
  { id, trigger }: RunIdentity,
): AttemptRecord {
  const place = attemptPlace(configured.home, configured.name, context.variables);
  const given = { ...(id === undefined ? {} : { id }), ...(trigger === undefined ? {} : { trigger }) };
  return new AttemptRecord(place, { kind, ...given, destination: placeOfCopies(configured) }, context);
}

/** An error that is thrown before the record's end becomes its end. */
async function failing<Result>(
  record: AttemptRecord,
  { signal }: RunContext,
  work: () => Promise<Result>,
): Promise<Result> {
  try {
    return await work();
  } catch (thrown) {
    if (record.attempt.ended === null) record.fail(thrown, signal.aborted);
    throw thrown;
  }
}
