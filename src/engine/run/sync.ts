import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { asHeadwatersError, HeadwatersError } from "../../protocol/errors.ts";
import type { Json } from "../../protocol/json.ts";
import type { Split } from "../../protocol/pass.ts";
import type { RunRecord, Stored } from "../../protocol/state-store.ts";
import type { Table } from "../../protocol/table.ts";
import { type RetryPolicy, withRetries } from "../../net/retry.ts";
import { backoff, sleep } from "../../toolkit/backoff.ts";
import { hasColumnsOf, unite } from "../../toolkit/types.ts";
import { Semaphore } from "../../toolkit/semaphore.ts";
import { withChosenColumns } from "../selection/projection.ts";
import { settingsOf, type SyncConnection } from "../connection.ts";
import { knownTables } from "../selection/discover.ts";
import type { SyncEvent } from "../events.ts";
import { retryPolicy, retryingSource } from "./retrying-source.ts";
import { askedFor, chosenFrom, select, vanishedFrom } from "../selection/selection.ts";
import { type StoredTable, type Syncing, syncTable } from "./sync-table.ts";
import { syncTogether } from "./sync-together.ts";
import { Statistics } from "./statistics.ts";
import { throttle } from "./throttle.ts";
import { RolledBack, Writer } from "./writer.ts";

export interface SyncOptions {
  /** Ends the sync: what is complete is committed, and the next sync goes on from there. */
  readonly signal: AbortSignal;
  /** Only these of the selected tables. */
  readonly tables?: readonly string[];
  /** Read every row, whatever is stored. */
  readonly full?: boolean;
  /** Sweep, whatever `deletes` says. */
  readonly sweep?: boolean;
  /** The user agrees that the copy takes on another scope. */
  readonly acceptScope?: boolean;
  /** The user agrees to more deletes than `maxDeleteFraction`. */
  readonly acceptDeletes?: boolean;
}

/** How often a table that is altered while it is read is planned anew, without having got wider by it. */
const replans = 3;

/**
 * Runs one sync of a connection. A table that fails does not stop the others: the record says how each ended. Rejects
 * only where nothing could be done at all (another sync is running, the destination fails).
 */
export async function sync(
  connection: SyncConnection,
  options: SyncOptions,
  report: (event: SyncEvent) => void,
): Promise<RunRecord> {
  const { warehouse } = connection;
  const lease = await warehouse.acquire({ host: hostname(), pid: process.pid, since: new Date().toISOString() });
  try {
    const stored = await warehouse.load();
    return await new Run(connection, options, report, startAfter(stored.lastRun), lease).run(stored);
  } finally {
    await warehouse.release(lease);
  }
}

/** Now; but runs follow each other, also where the clock was set back or is another host's: rows are told apart by it. */
function startAfter(last: RunRecord | null): string {
  const least = last === null ? 0 : Date.parse(last.started) + 1;
  return new Date(Math.max(Date.now(), least)).toISOString();
}

class Run {
  readonly #connection: SyncConnection;
  readonly #options: SyncOptions;
  readonly #report: (event: SyncEvent) => void;
  readonly #started: string;
  readonly #lease: number;
  readonly #id = randomUUID();
  readonly #statisticsByTable = new Map<string, Statistics>();
  /** Transactions that were undone for what may pass by itself. */
  #undone = 0;

  constructor(
    connection: SyncConnection,
    options: SyncOptions,
    report: (event: SyncEvent) => void,
    started: string,
    lease: number,
  ) {
    const chosen = withChosenColumns(connection);
    this.#connection = { ...chosen, source: retryingSource(chosen.source, this.#retryPolicy(connection)) };
    this.#options = options;
    this.#report = report;
    this.#started = started;
    this.#lease = lease;
  }

  /** The tables share one state: none goes on, and none ends, without the others. */
  get #together(): boolean {
    return this.#connection.capabilities.together === true;
  }

  /** A table that waits is shown; what concerns all of them is logged. */
  #retryPolicy(connection: SyncConnection): RetryPolicy {
    const { attempts, onRetry } = retryPolicy(connection);
    return {
      attempts,
      onRetry: (table, error, milliseconds) => {
        if (table === null) onRetry(table, error, milliseconds);
        else this.#report({ kind: "retry", table, error, milliseconds });
      },
    };
  }

  async run(stored: Stored): Promise<RunRecord> {
    const tables = await this.#tables(stored);
    this.#report({ kind: "selected", tables: [...this.#statisticsByTable.keys()] });
    let left = tables;
    // An error of the destination at one table undoes the transaction that the others share: they go on from what is
    // durable, without it. Each round has one table less.
    try {
      while (left.length > 0) left = await this.#round(left);
    } catch (thrown) {
      throw thrown instanceof RolledBack ? thrown.cause : thrown;
    }
    return this.#record(true);
  }

  /**
   * The tables to sync. Those of the copy that the source no longer shows fail, and are not emptied; so do those whose
   * settings don't fit them.
   */
  async #tables(stored: Stored): Promise<readonly Table[]> {
    const { source } = this.#connection;
    if (this.#together && (this.#options.tables ?? []).length > 0) {
      throw new HeadwatersError("CONFIGURATION_INVALID", "--tables: this source reads all its tables together", {
        hint: "Leave --tables out; tables.include and tables.exclude select tables for every sync.",
      });
    }
    const discovered = await source.discover(this.#options.signal, knownTables(stored));
    const vanished = vanishedFrom(
      stored,
      this.#connection,
      discovered.map(({ id }) => id),
    );
    const selected = select(discovered, this.#connection, vanished);
    const tables = selected.tables.filter(({ id }) => this.#mayCome(id, stored));
    const failed = new Map([...selected.refused, ...vanished.map((id): [string, HeadwatersError] => [id, gone(id)])]);
    const names = askedFor([...tables.map(({ id }) => id), ...failed.keys()], this.#options.tables ?? []);
    for (const name of names) this.#statisticsByTable.set(name, new Statistics(name));
    for (const [name, error] of failed) if (names.includes(name)) this.#end(name, error);
    return tables.filter(({ id }) => names.includes(id));
  }

  /** Whether a table may come that is new since the last run: one that the user names is wanted, whatever `schemaChanges` says. */
  #mayCome(id: string, { tables, passes, lastRun }: Stored): boolean {
    const { selection, tables: named = {}, log } = this.#connection;
    const { schemaChanges } = settingsOf(this.#connection, id);
    if (tables.size === 0 || schemaChanges === "allow_all") return true;
    if (selection.include.includes(id) || Object.hasOwn(named, id)) return true;
    // One without a copy was reset, or its first pass was cut.
    const known = [...tables.keys(), ...passes.flatMap((pass) => pass.tables.map((table) => table.id))];
    if (known.includes(id) || lastRun?.tables.some(({ table }) => table === id) === true) return true;
    log.warn(`table "${id}" is new, and schemaChanges is ${schemaChanges}: it is copied once tables.include names it`);
    return false;
  }

  /** Syncs tables, all at once; resolves to those that must go on after the transaction was undone. */
  async #round(tables: readonly Table[]): Promise<readonly Table[]> {
    const { warehouse, settings } = this.#connection;
    // A destination that the round before ended at may still be away.
    const policy = this.#retryPolicy(this.#connection);
    const stored = await withRetries(null, this.#options.signal, policy, () => warehouse.load());
    await using writer = new Writer(
      warehouse,
      this.#lease,
      this.#started,
      settings,
      stored.progress,
      (changes, segments) => {
        for (const [table, change] of changes) this.#statisticsByTable.get(table)?.add(change);
        this.#report({ kind: "committed", changes });
        for (const { split, state } of segments) void this.#acknowledge(split, state);
      },
    );
    const syncing: Syncing = {
      connection: this.#connection,
      flags: {
        full: this.#options.full ?? false,
        sweep: this.#options.sweep ?? false,
        acceptScope: this.#options.acceptScope ?? false,
        acceptDeletes: this.#options.acceptDeletes ?? false,
      },
      writer,
      started: this.#started,
      signal: this.#options.signal,
      memory: new Semaphore(settings.memoryBytes),
      readers: new Semaphore(settings.parallel),
      throttle: throttle(settings.maxRowsPerSecond),
      report: this.#report,
    };
    await writer.run(null, async (transaction) => transaction.record(this.#record(false)));
    // As many tables as splits at a time: planning one takes a connection of its own.
    const turns = new Semaphore(settings.parallel);
    const rolledBack = await Promise.all(
      this.#together
        ? [this.#attempt(tables, turns, syncing, () => syncTogether(tables, stored, this.#statisticsByTable, syncing))]
        : tables.map((table) => {
            const known = storedOf(stored, table.id);
            const statistics = this.#statisticsByTable.get(table.id)!;
            return this.#attempt([table], turns, syncing, () => this.#syncReplanned(table, known, statistics, syncing));
          }),
    );
    const first = rolledBack.find((error) => error !== null);
    if (first !== undefined) return this.#afterRollback(tables, first);
    await writer.run(null, async (transaction) => transaction.record(this.#record(true)));
    await writer.commit();
    return [];
  }

  /** Does the work of tables in their turn and says how they ended; resolves to an error that undid the transaction. */
  async #attempt(
    tables: readonly Table[],
    turns: Semaphore,
    { signal }: Syncing,
    work: () => Promise<void>,
  ): Promise<RolledBack | null> {
    const end = (thrown: unknown): void => {
      for (const { id } of tables) this.#end(id, thrown);
    };
    try {
      const release = await turns.acquire(1, signal);
      for (const { id } of tables) this.#statisticsByTable.get(id)!.start();
      await work().finally(release);
      end(null);
    } catch (thrown) {
      if (thrown instanceof RolledBack) return thrown;
      end(thrown);
    }
    return null;
  }

  /** Not vital: a stream that is told late only keeps more than it must. */
  async #acknowledge(split: Split, state: Json): Promise<void> {
    try {
      await this.#connection.source.acknowledge?.(split, state);
    } catch (thrown) {
      this.#connection.log.warn(`the source could not be told what is committed: ${asHeadwatersError(thrown).message}`);
    }
  }

  /** A table that was altered while it was read is looked at and planned again. */
  async #syncReplanned(table: Table, stored: StoredTable, statistics: Statistics, syncing: Syncing): Promise<void> {
    let current = table;
    let known = stored;
    let widest = table;
    for (let attempt = 1; ; attempt++) {
      try {
        return await syncTable(current, known, statistics, syncing);
      } catch (thrown) {
        const altered = thrown instanceof HeadwatersError && thrown.code === "TABLE_CHANGED";
        if (!altered || attempt > replans) throw thrown;
        this.#report({ kind: "retry", table: table.id, error: thrown, milliseconds: 0 });
        await syncing.writer.commit();
        const durable = await this.#connection.warehouse.load();
        const tables = await this.#connection.source.discover(syncing.signal, knownTables(durable));
        const now = tables.find((candidate) => candidate.id === table.id);
        if (now === undefined)
          throw new HeadwatersError("TABLE_UNKNOWN", `table "${table.id}" was dropped while it was read`);
        current = chosenFrom(now, this.#connection);
        const wider = unite(widest, current);
        // This ends: there are so many columns, and so many types that each can go through.
        if (!hasColumnsOf(widest, wider)) attempt = 0;
        widest = wider;
        known = storedOf(durable, table.id);
      }
    }
  }

  /** What goes on after the transaction was undone. */
  async #afterRollback(tables: readonly Table[], { table, cause }: RolledBack): Promise<readonly Table[]> {
    const running = (): readonly Table[] =>
      tables.filter((candidate) => this.#statisticsByTable.get(candidate.id)!.outcome === "running");
    // Nothing is wrong with any table: all go on from what is durable.
    if (cause.remedy === "retry" && ++this.#undone < this.#connection.settings.attempts) {
      const milliseconds = backoff(this.#undone + 1);
      for (const { id } of running()) this.#report({ kind: "retry", table: id, error: cause, milliseconds });
      await sleep(milliseconds, this.#options.signal);
      return running();
    }
    // Not at one table, or at the lease: nothing can go on.
    if (table === null || cause.code === "LEASE_LOST" || cause.code === "DESTINATION_FULL") throw cause;
    for (const { id } of this.#together ? tables : [{ id: table }]) this.#end(id, cause);
    return running();
  }

  #end(table: string, thrown: unknown): void {
    const statistics = this.#statisticsByTable.get(table)!;
    if (thrown === null) statistics.end("whole");
    else if (this.#options.signal.aborted) statistics.end("stopped");
    else statistics.end("failed", asHeadwatersError(thrown));
    this.#report({ kind: "finished", run: statistics.run, error: statistics.error });
  }

  #record(ended: boolean): RunRecord {
    const tables = [...this.#statisticsByTable.values()].map((statistics) => statistics.run);
    const failed = tables.some((table) => table.outcome === "failed");
    const stopped = tables.some((table) => table.outcome === "stopped");
    return {
      id: this.#id,
      started: this.#started,
      ended: ended ? new Date().toISOString() : null,
      outcome: !ended ? "running" : failed ? "failed" : stopped ? "stopped" : "succeeded",
      tables,
    };
  }
}

function gone(table: string): HeadwatersError {
  return new HeadwatersError(
    "TABLE_UNKNOWN",
    `table "${table}" is no longer in the source, or this user may no longer see it`,
    { hint: "Its copy was left as it is. If the table is gone for good, leave it out (tables.exclude) or reset it." },
  );
}

function storedOf(stored: Stored, table: string): StoredTable {
  const open = stored.passes.find((pass) => pass.tables.some((candidate) => candidate.id === table)) ?? null;
  return {
    state: stored.tables.get(table) ?? null,
    open,
    progress: open === null ? [] : stored.progress.filter((entry) => entry.pass === open.id),
  };
}
