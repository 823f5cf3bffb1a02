import { setMaxListeners } from "node:events";
import { type RetryPolicy, withRetries } from "../../net/retry.ts";
import { HeadwatersError } from "../../protocol/errors.ts";
import type { RunRecord, Stored } from "../../protocol/state-store.ts";
import type { Table } from "../../protocol/table.ts";
import { backoff, sleep } from "../../toolkit/backoff.ts";
import type { SyncConnection } from "../connection.ts";
import type { SyncEvent } from "../events.ts";
import { atDestination, withLease } from "../lease.ts";
import { storedTable, type SyncContext } from "./context.ts";
import { Run, type SyncOptions } from "./run.ts";
import { syncTable } from "./sync-table.ts";
import { RolledBack } from "./writer.ts";

/**
 * How long the position of a quiet table may stay unchanged, and how long a discovery of the tables is used, in
 * milliseconds.
 */
const quietEach = 60_000;
/** The longest wait before a table that failed is tried again, in milliseconds. */
const longestWait = 60_000;
/** After waiting this long for the destination, and then this often, a warning is logged, in milliseconds. */
const sayEach = 5_000;
/** The largest part of the time that commits may take. */
const mostCommitting = 0.3;
/** If some tables take longer to read, the others go on after this many milliseconds. */
const leastTogether = 1_000;

type FollowOptions = Pick<SyncOptions, "id" | "trigger" | "signal" | "tables">;

/**
 * Keeps the copies of a connection up to date until the signal: each table first as `sync` does, then whenever its stream
 * reports changes, or when it is due. Tables that fail are tried again later. Resolves to the record once stopped.
 */
export async function follow(
  connection: SyncConnection,
  options: FollowOptions,
  report: (event: SyncEvent) => void,
): Promise<RunRecord> {
  const { warehouse, source } = connection;
  if (source.changed === undefined) {
    throw new HeadwatersError("CONFIGURATION_INVALID", "changes: there is no stream to follow", {
      hint: "Set changes to stream for PostgreSQL, YugabyteDB, ScyllaDB or RethinkDB. For other sources, use sync.",
    });
  }
  setMaxListeners(0, options.signal);
  return withLease(warehouse, async (lease) => {
    const stored = await atDestination(warehouse.load());
    const run = new Run(connection, { ...options, kind: "follow" }, report, stored, lease);
    try {
      const following = new Following(run, options);
      await following.follow(stored);
    } catch (thrown) {
      await run.recordFailure(thrown);
      if (!options.signal.aborted) throw thrown;
    }
    return run.record(true);
  });
}

/** When a table is due again without a change in its stream, and how often it has failed since it was last whole. */
interface Turn {
  at: number;
  failures: number;
}

class Following {
  readonly #run: Run;
  readonly #options: FollowOptions;
  readonly #turns = new Map<string, Turn>();
  readonly #running = new Map<string, Promise<void>>();
  /** Tables that have ended, with the error that undid the transaction. */
  readonly #ended = new Map<string, unknown>();
  #onEnd = (): void => {};
  #tables: readonly Table[] = [];
  /** The last answer of the destination. */
  #durable: Stored | null = null;
  /** When the source is asked again for its tables. */
  #discoverAt = 0;
  /** The next tables begin at this moment at the earliest. */
  #next = 0;
  #recordAt = 0;

  constructor(run: Run, options: FollowOptions) {
    this.#run = run;
    this.#options = options;
  }

  async follow(first: Stored): Promise<void> {
    const { signal } = this.#options;
    await this.#discover(first);
    this.#run.report({ kind: "selected", tables: [...this.#run.statistics.keys()] });
    while (!signal.aborted) {
      try {
        await this.#withWriter();
      } catch (thrown) {
        if (!(thrown instanceof RolledBack)) throw thrown;
        await this.#afterRollback(thrown);
      }
    }
  }

  /** Goes on until the signal, or until the transaction is undone. */
  async #withWriter(): Promise<void> {
    const run = this.#run;
    const { signal } = this.#options;
    const { warehouse } = run.connection;
    let stored = await this.#load();
    const { writer, context, turns } = run.begin(stored);
    await using _ = writer;
    try {
      while (!signal.aborted) {
        const tables = await this.#dueTables(stored);
        if (tables.length > 0) {
          if (this.#running.size === 0 && warehouse.rest !== undefined) stored = await this.#load();
          const now: SyncContext = { ...context, started: new Date().toISOString() };
          for (const table of tables) {
            const known = storedTable(stored, table.id);
            run.statistics.get(table.id)!.again();
            const work = run.attempt([table], turns, writer, () => syncTable(table, known, now));
            this.#running.set(table.id, work);
            const end = (thrown: unknown = null): void => {
              this.#ended.set(table.id, thrown);
              this.#onEnd();
            };
            work.then(() => end(), end);
          }
        }
        stored = await this.#commit(tables, context);
      }
    } finally {
      const left = await Promise.allSettled(this.#running.values());
      this.#running.clear();
      this.#ended.clear();
      const undone = left.find((result) => result.status === "rejected");
      if (signal.aborted && undone === undefined) {
        await writer.run(null, async (transaction) => transaction.record(run.record(true)));
        await writer.commit();
      }
    }
  }

  /** The tables that begin now; empty: a table that was being read has ended, nothing is due, or the signal was aborted. */
  async #dueTables(stored: Stored): Promise<readonly Table[]> {
    const { signal } = this.#options;
    const { source } = this.#run.connection;
    const isQuiet = ({ id }: Table): boolean => !this.#running.has(id);
    const pause = this.#next - performance.now();
    if (pause > 0) await sleep(pause, signal).catch(() => {});
    if (signal.aborted) return [];
    const free = this.#tables.filter(isQuiet);
    const heard = free.filter(({ id }) => this.#turns.get(id)!.failures === 0).map(({ id }) => id);
    const first = Math.min(this.#discoverAt, ...free.map(({ id }) => this.#turns.get(id)!.at));
    const most = this.#running.size > 0 ? leastTogether : quietEach;
    const within = Math.min(most, Math.max(0, first - performance.now()));
    if (this.#ended.size > 0) return [];
    const ended = new AbortController();
    this.#onEnd = () => ended.abort();
    const either = AbortSignal.any([signal, ended.signal]);
    const changed = await source.changed!(within, new Set(heard), either).catch((thrown: unknown) => {
      if (either.aborted) return null;
      throw thrown;
    });
    if (changed === null) return [];
    this.#since = changed.since ?? this.#since;
    const now = performance.now();
    if (changed.altered || this.#discoverAt <= now) await this.#discover(stored);
    const due = new Set(changed.tables);
    return this.#tables.filter(
      (table) =>
        isQuiet(table) &&
        (due.has(table.id) ||
          this.#turns.get(table.id)!.at <= now ||
          (changed.altered && table.streamed === true && this.#turns.get(table.id)!.failures === 0)),
    );
  }

  /** When the oldest change was committed that the copies may lack. */
  #since: number | null = null;

  /** Waits for the tables that were begun, but not for long ones, and commits. Resolves to what is durable then. */
  async #commit(begun: readonly Table[], { writer }: SyncContext): Promise<Stored> {
    const run = this.#run;
    const { warehouse, settings } = run.connection;
    const interval = settings.followMilliseconds ?? warehouse.capabilities.freshEach ?? settings.commitMilliseconds;
    const began = performance.now();
    const spent = writer.spent;
    const works = begun.map(({ id }) => this.#running.get(id)!);
    const [ended, stop] = [Promise.allSettled(works), new AbortController()];
    const signal = AbortSignal.any([stop.signal, this.#options.signal]);
    await Promise.race([ended, sleep(Math.max(interval, leastTogether), signal).catch(() => ended)]);
    stop.abort();
    const results = await this.#reap();
    if (results.length === 0) return this.#unchanged();
    const committing = performance.now();
    // Rows are merged before the commit itself. The cost of tables that are read whole does not delay the others.
    const merged = this.#running.size > 0 ? 0 : writer.spent - spent;
    if (performance.now() >= this.#recordAt) {
      await writer.run(null, async (transaction) => transaction.record(run.record(false)));
      this.#recordAt = performance.now() + quietEach;
    }
    await writer.commit();
    run.endComplete();
    run.settle();
    const stored = await this.#load();
    const kept = await run.keepFrom(async () => stored);
    const since = this.#since ?? Date.now();
    const lag = this.#running.size > 0 ? null : Math.max(0, Date.now() - since);
    this.#since = null;
    run.report({ kind: "followed", tables: results, lag, kept });
    if (this.#running.size === 0) await warehouse.rest?.();
    const took = merged + performance.now() - committing;
    this.#next = Math.max(began + interval, performance.now() + took / mostCommitting - took);
    return stored;
  }

  /** There is nothing to commit: the source goes on, and the lease is kept. */
  async #unchanged(): Promise<Stored> {
    const { warehouse } = this.#run.connection;
    const isQuiet = this.#running.size === 0;
    const stored = isQuiet ? await this.#load() : this.#durable!;
    await this.#keepFrom(stored);
    if (isQuiet) await warehouse.rest?.();
    return stored;
  }

  /** Takes note of the tables that have ended. Throws if the transaction was undone, once all have. */
  async #reap(): Promise<readonly string[]> {
    const ended = [...this.#ended];
    this.#ended.clear();
    for (const [id] of ended) {
      this.#running.delete(id);
      this.#schedule(id);
    }
    const undone = ended.find(([, thrown]) => thrown !== null);
    if (undone === undefined) return ended.map(([id]) => id);
    await Promise.allSettled(this.#running.values());
    throw undone[1];
  }

  #schedule(id: string): void {
    const { followInterval } = this.#run.connection.settings;
    const turn = this.#turns.get(id)!;
    const failed = this.#run.statistics.get(id)!.outcome === "failed";
    const streamed = this.#tables.find((table) => table.id === id)?.streamed === true;
    turn.failures = failed ? turn.failures + 1 : 0;
    const wait = failed
      ? backoff(turn.failures + 1, 1_000, longestWait)
      : streamed
        ? Math.min(quietEach, followInterval)
        : followInterval;
    turn.at = performance.now() + wait;
  }

  /** The durable state. Waits for a destination that is away, or for a file that is open elsewhere. */
  async #load(): Promise<Stored> {
    const { warehouse, log } = this.#run.connection;
    const since = performance.now();
    let said = since;
    const policy: RetryPolicy = {
      attempts: Infinity,
      onRetry: (_, { message, code }) => {
        // Meanwhile the source is still told what is durable, so that it keeps no more than necessary.
        if (this.#durable !== null) void this.#keepFrom(this.#durable);
        if (performance.now() - said < sayEach) return;
        said = performance.now();
        const seconds = Math.round((said - since) / 1_000);
        log.warn(`waiting for the destination, ${seconds} s so far: ${message} (${code})`);
      },
    };
    this.#durable = await withRetries(null, this.#options.signal, policy, () => atDestination(warehouse.load()));
    return this.#durable;
  }

  /** Tells the source what is durable, and reports what it keeps. */
  async #keepFrom(stored: Stored): Promise<void> {
    const kept = await this.#run.keepFrom(async () => stored);
    this.#run.report({ kind: "followed", tables: [], lag: null, kept });
  }

  async #discover(stored: Stored): Promise<void> {
    try {
      this.#tables = await this.#run.tables(stored);
    } catch (thrown) {
      // The source may be away for a while.
      if (this.#tables.length === 0 || this.#options.signal.aborted) throw thrown;
      this.#run.connection.log.warn(
        `the source's tables can't be listed: ${thrown instanceof Error ? thrown.message : String(thrown)}`,
      );
    }
    this.#discoverAt = performance.now() + quietEach;
    for (const { id } of this.#tables) if (!this.#turns.has(id)) this.#turns.set(id, { at: 0, failures: 0 });
  }

  async #afterRollback(undone: RolledBack): Promise<void> {
    try {
      await this.#run.afterRollback(this.#tables, undone);
    } catch (thrown) {
      throw thrown instanceof RolledBack ? thrown.cause : thrown;
    }
    for (const { id } of this.#tables) {
      const statistics = this.#run.statistics.get(id)!;
      if (statistics.outcome === "failed") this.#schedule(id);
      else this.#turns.get(id)!.at = 0;
    }
  }
}
