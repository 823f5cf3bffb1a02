import { setMaxListeners } from "node:events";
import { type RetryPolicy, withRetries } from "../../net/retry.ts";
import type { RunRecord, Stored } from "../../protocol/state-store.ts";
import type { Table } from "../../protocol/table.ts";
import type { SyncConnection } from "../connection.ts";
import type { SyncEvent } from "../events.ts";
import { atDestination, withLease } from "../lease.ts";
import { storedTable } from "./context.ts";
import { Run, type SyncOptions } from "./run.ts";
import { syncTable } from "./sync-table.ts";
import { syncTogether } from "./sync-together.ts";
import { RolledBack } from "./writer.ts";

/**
 * Runs one sync of a connection. A table that fails does not stop the others: the record says how each of them ended.
 * Rejects only if nothing can be done at all (another sync is running, the destination fails).
 */
export async function sync(
  connection: SyncConnection,
  options: SyncOptions,
  report: (event: SyncEvent) => void,
): Promise<RunRecord> {
  const { warehouse } = connection;
  // Every table that waits for its turn listens to it.
  setMaxListeners(0, options.signal);
  return await withLease(warehouse, async (lease) => {
    const stored = await atDestination(warehouse.load());
    const run = new Run(connection, options, report, stored, lease);
    try {
      return await syncOnce(run, stored, options.signal);
    } catch (thrown) {
      await run.recordFailure(thrown);
      throw thrown;
    }
  });
}

async function syncOnce(run: Run, stored: Stored, signal: AbortSignal): Promise<RunRecord> {
  const { warehouse } = run.connection;
  let left = await run.tables(stored);
  run.report({ kind: "selected", tables: [...run.statistics.keys()] });
  // An error of the destination at one table undoes the transaction that it shares with the others. They go on from
  // the last commit without it, so each round has one table less.
  try {
    while (left.length > 0) left = await round(run, left, signal);
  } catch (thrown) {
    throw thrown instanceof RolledBack ? thrown.cause : thrown;
  }
  // Rows sent to a destination that can't be read are durable only if the next sync gets the state.
  const isRead = warehouse.capabilities.reads !== "never";
  await run.keepFrom(async () => (isRead ? atDestination(warehouse.load()) : stored));
  return run.record(true);
}

/** Syncs tables at the same time. Resolves to those that must go on because the transaction was undone. */
async function round(run: Run, tables: readonly Table[], signal: AbortSignal): Promise<readonly Table[]> {
  const { warehouse, settings } = run.connection;
  // The destination may still be away after the last round.
  const policy: RetryPolicy = { attempts: settings.attempts, onRetry: run.retryPolicy(run.connection).onRetry };
  const stored = await withRetries(null, signal, policy, () => atDestination(warehouse.load()));
  const { writer, context, turns } = run.begin(stored);
  await using _ = writer;
  await writer.run(null, async (transaction) => transaction.record(run.record(false)));
  const work = run.together
    ? [run.attempt(tables, turns, writer, () => syncTogether(tables, stored, context))]
    : tables.map((table) =>
        run.attempt([table], turns, writer, () => syncTable(table, storedTable(stored, table.id), context)),
      );
  try {
    const ended = await Promise.allSettled(work);
    for (const result of ended) if (result.status === "rejected") throw result.reason;
    await writer.commit();
  } catch (thrown) {
    if (thrown instanceof RolledBack) return run.afterRollback(tables, thrown);
    throw thrown;
  }
  run.endComplete();
  await writer.run(null, async (transaction) => transaction.record(run.record(true)));
  await writer.commit();
  return [];
}
