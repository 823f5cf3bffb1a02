import { randomUUID } from "node:crypto";
import { asHeadwatersError, HeadwatersError } from "../../protocol/errors.ts";
import type { Json } from "../../protocol/json.ts";
import type { Split } from "../../protocol/pass.ts";
import type { KeptStream } from "../../protocol/source.ts";
import type { RecordedError, RunKind, RunRecord, Stored, Trigger } from "../../protocol/state-store.ts";
import type { Table } from "../../protocol/table.ts";
import type { RetryPolicy } from "../../net/retry.ts";
import { backoff, sleep } from "../../toolkit/backoff.ts";
import { microsecondsOf } from "../../toolkit/moments.ts";
import { Semaphore } from "../../toolkit/semaphore.ts";
import type { SyncConnection } from "../connection.ts";
import { reporter, type SyncEvent, type SyncHappening } from "../events.ts";
import { discover } from "../selection/discover.ts";
import { withProjection } from "../selection/projection.ts";
import { narrowTo, mayCome } from "../selection/selection.ts";
import { CommitClock } from "./commit-clock.ts";
import { storedTable, type SyncContext } from "./context.ts";
import { retryPolicy, retryingSource } from "./retrying-source.ts";
import { recorded, Statistics } from "./statistics.ts";
import { throttle } from "./throttle.ts";
import { mostClosed, RolledBack, Writer } from "./writer.ts";

export interface SyncOptions {
  /** The id of the run. Absent: a new one. */
  readonly id?: string;
  /** What it is. Absent: a sync. */
  readonly kind?: RunKind;
  /** Who asked for it. Absent: the command line. */
  readonly trigger?: Trigger;
  /** Ends the sync: what is complete stays committed, and the next sync goes on from there. */
  readonly signal: AbortSignal;
  /** Only these of the selected tables. */
  readonly tables?: readonly string[];
  /** Read every row, whatever is stored. */
  readonly full?: boolean;
  /** Sweep, whatever `deletes` says. */
  readonly sweep?: boolean;
  /** The user agrees that the copy takes on another scope. */
  readonly acceptScope?: boolean;
  /** The user agrees to more deletes than `maxDeleteFraction`; a number: to this many of each table. */
  readonly acceptDeletes?: boolean | number;
  /** For a member of a team: what all members have in common. */
  readonly member?: {
    /** When the run began: ISO 8601, UTC. `null`: it begins now. */
    readonly started: string | null;
    /** How far the destination's clock, by which members stamp, is ahead of this machine's, in milliseconds. */
    readonly ahead: number;
  };
}

/** Now, or right after the last commit if the clock went back, so that runs stay in order. */
function startAfter(lastStamp: string | null): string {
  const least = lastStamp === null ? 0 : Date.parse(lastStamp) + 1;
  return new Date(Math.max(Date.now(), least)).toISOString();
}

function inTime(one: string, other: string): number {
  const [a, b] = [microsecondsOf(one), microsecondsOf(other)];
  return a < b ? -1 : a > b ? 1 : 0;
}

/** One run of a connection: its tables, their outcomes, and its record. */
export class Run {
  readonly connection: SyncConnection;
  readonly #options: SyncOptions;
  readonly report: (happening: SyncHappening) => void;
  readonly #started: string;
  readonly #clock: CommitClock;
  readonly #lease: number;
  readonly #id: string;
  readonly statistics = new Map<string, Statistics>();
  /** Tables whose work is done, and whose last rows the next commit makes durable. */
  readonly #complete = new Set<string>();
  /** Tables that are being synced: the source may hold sessions for them. */
  readonly #begun = new Set<string>();
  /** All selected tables that still exist, whether or not this sync includes them. */
  #selected: readonly string[] = [];
  #rounds = 0;
  /** Whether each table gets a transaction of its own, since a commit of several failed. */
  #alone = false;
  /** How many transactions in a row were undone by an error that may pass by itself. */
  #undone = 0;

  constructor(
    connection: SyncConnection,
    options: SyncOptions,
    report: (event: SyncEvent) => void,
    stored: Stored,
    lease: number,
  ) {
    const projected = withProjection(connection);
    this.connection = { ...projected, source: retryingSource(projected.source, this.retryPolicy(connection)) };
    this.#options = options;
    this.#id = options.id ?? randomUUID();
    this.report = reporter<SyncHappening>(connection.name, this.#id, report);
    const { started = null, ahead = 0 } = options.member ?? {};
    this.#started = started ?? startAfter(stored.lastStamp);
    // What a pass deletes was written before it was opened, so a member goes on after the passes that others opened.
    const opened = options.member === undefined ? [] : stored.passes.map((pass) => pass.opened);
    this.#clock = new CommitClock([this.#started, ...opened].sort(inTime).at(-1)!, ahead);
    this.#lease = lease;
  }

  /** Whether the tables share one state: then they go on and end only together. */
  get together(): boolean {
    return this.connection.capabilities.together === true;
  }

  /** Retries of one table are reported as events, those that concern all tables are logged. */
  retryPolicy(connection: SyncConnection): RetryPolicy {
    const policy = retryPolicy(connection);
    return {
      ...policy,
      onRetry: (table, error, milliseconds) => {
        if (table === null) policy.onRetry(table, error, milliseconds);
        else this.report({ kind: "retry", table, error, milliseconds });
      },
    };
  }

  /** Tells the source from where on it must keep its stream. Resolves to what it keeps. */
  async keepFrom(durable: () => Promise<Stored>): Promise<KeptStream | null> {
    const { source, log } = this.connection;
    if (source.keepFrom === undefined || this.#options.signal.aborted) return null;
    try {
      const stored = await durable();
      const next = this.#selected.map((id): [string, Json] => {
        const { state, open } = storedTable(stored, id);
        return [id, state?.next ?? open?.next[id] ?? null];
      });
      return await source.keepFrom(Object.fromEntries(next), this.#options.signal);
    } catch (thrown) {
      log.warn(`could not tell the source what it may drop: ${asHeadwatersError(thrown).message}`);
      return null;
    }
  }

  /**
   * The tables to sync. Tables that the source no longer shows fail, and their copies are not emptied. Tables that
   * the source refuses, or whose settings don't fit them, fail too.
   */
  async tables(stored: Stored): Promise<readonly Table[]> {
    const only = this.#options.tables ?? [];
    if (this.together && only.length > 0) {
      throw new HeadwatersError("CONFIGURATION_INVALID", "--tables: this source reads all its tables together", {
        hint: "Leave --tables out. tables.include and tables.exclude select tables for every sync.",
      });
    }
    const { tables: discovered, refused, vanished } = await discover(this.connection, this.#options.signal, stored);
    const tables = discovered.filter(({ id }) => mayCome(id, stored, this.connection));
    const broken = [...refused].filter(([id]) => mayCome(id, stored, this.connection));
    this.#selected = [...tables.map(({ id }) => id), ...broken.map(([id]) => id)];
    const failed = new Map([...broken, ...vanished.map((id): [string, HeadwatersError] => [id, gone(id)])]);
    const names = narrowTo([...tables.map(({ id }) => id), ...failed.keys()], only);
    for (const name of names) {
      if (!this.statistics.has(name))
        this.statistics.set(name, new Statistics(name, stored.tables.get(name)?.asOf ?? null));
    }
    for (const [name, error] of failed) {
      const known = this.statistics.get(name)?.error;
      if (names.includes(name) && known?.message !== error.message) this.end(name, error);
    }
    return tables.filter(({ id }) => names.includes(id));
  }

  /** Counts what is done to a table that another process has selected. */
  follow(table: string, asOf: string | null): Statistics {
    const statistics = new Statistics(table, asOf);
    this.statistics.set(table, statistics);
    return statistics;
  }

  /** The writer of the next transactions, and the context of the tables that are synced with it. */
  begin(stored: Stored): { readonly writer: Writer; readonly context: SyncContext; readonly turns: Semaphore } {
    const { warehouse, settings } = this.connection;
    const writer = new Writer(
      warehouse,
      this.#lease,
      this.#clock,
      settings,
      stored.progress,
      (changes, segments) => {
        for (const [table, change] of changes) this.statistics.get(table)?.addChanges(change);
        this.report({ kind: "committed", changes });
        this.endComplete();
        for (const { split, state } of segments) void this.#acknowledge(split, state);
      },
      // Each table that fails undoes what the others did since the last commit: the more failures, the smaller the commits.
      this.#alone ? 1 : Math.max(1, mostClosed >> this.#rounds),
    );
    const context: SyncContext = {
      connection: this.connection,
      flags: {
        full: this.#options.full ?? false,
        sweep: this.#options.sweep ?? false,
        acceptScope: this.#options.acceptScope ?? false,
        acceptDeletes: this.#options.acceptDeletes ?? false,
      },
      writer,
      statistics: this.statistics,
      started: this.#started,
      signal: this.#options.signal,
      isMember: this.#options.member !== undefined,
      memory: new Semaphore(settings.memoryBytes),
      readers: new Semaphore(settings.parallel),
      throttle: throttle(settings.maxRowsPerSecond),
      report: this.report,
    };
    // As many tables as splits at a time: planning a table takes a connection of its own.
    return { writer, context, turns: new Semaphore(this.#alone ? 1 : settings.parallel) };
  }

  /**
   * Works on tables when it is their turn. Throws only if the transaction was undone: then no other table begins, and those
   * that were begun keep what they hold at the source, since they go on first.
   */
  async attempt(
    tables: readonly Table[],
    turns: Semaphore,
    writer: Writer,
    work: () => Promise<unknown>,
  ): Promise<void> {
    const ids = tables.map(({ id }) => id);
    let release: (() => void) | null = null;
    try {
      release = await turns.acquire(1, this.#options.signal);
      writer.assertAlive();
      for (const id of ids) this.#begun.add(id);
      for (const id of ids) this.statistics.get(id)!.start();
      await work();
      await this.#release(ids);
      for (const id of ids) this.#complete.add(id);
    } catch (thrown) {
      if (thrown instanceof RolledBack) throw thrown;
      await this.#release(ids);
      for (const id of ids) this.end(id, thrown);
    } finally {
      release?.();
    }
  }

  /** Gives back what the source holds for tables that are done. */
  async #release(ids: readonly string[]): Promise<void> {
    for (const id of ids) this.#begun.delete(id);
    await this.connection.source.release?.(ids);
  }

  /** Commits have succeeded: earlier failures no longer count. */
  settle(): void {
    this.#rounds = 0;
    this.#undone = 0;
    this.#alone = false;
  }

  /** A commit has made all earlier work durable. */
  endComplete(): void {
    for (const id of this.#complete) this.end(id, null);
    this.#complete.clear();
  }

  /** Failing here is harmless: the source only keeps more of its stream than it must. */
  async #acknowledge(split: Split, state: Json): Promise<void> {
    try {
      await this.connection.source.acknowledge?.(split, state);
    } catch (thrown) {
      this.connection.log.warn(
        `the commit could not be acknowledged to the source: ${asHeadwatersError(thrown).message}`,
      );
    }
  }

  /** The tables that go on after the transaction was undone. */
  async afterRollback(tables: readonly Table[], { table, cause }: RolledBack): Promise<readonly Table[]> {
    this.#complete.clear();
    this.#rounds += 1;
    // Those that were begun come first, so that sessions held for them do not add up from round to round.
    const running = (): readonly Table[] =>
      tables
        .filter((candidate) => this.statistics.get(candidate.id)!.outcome === "running")
        .sort((a, b) => Number(this.#begun.has(b.id)) - Number(this.#begun.has(a.id)));
    // The other writer goes on from the last commit.
    if (cause.code === "LEASE_LOST") throw cause;
    // No table is at fault: all go on from the last commit.
    if (cause.remedy === "retry" && ++this.#undone < this.connection.settings.attempts) {
      const milliseconds = backoff(this.#undone + 1);
      for (const { id } of running()) this.report({ kind: "retry", table: id, error: cause, milliseconds });
      await sleep(milliseconds, this.#options.signal);
      return running();
    }
    if (cause.code === "DESTINATION_FULL") throw cause;
    if (table === null) {
      // A commit of several tables failed: trying one after the other shows which table is at fault. If none is, the
      // run ends.
      if (this.#alone || this.together || cause.remedy === "retry") throw cause;
      this.#alone = true;
      return running();
    }
    const failed = this.together ? tables.map(({ id }) => id) : [table];
    await this.#release(failed);
    for (const id of failed) this.end(id, cause);
    return running();
  }

  end(table: string, thrown: unknown): void {
    const statistics = this.statistics.get(table)!;
    if (thrown === null) statistics.end("whole");
    else if (this.#options.signal.aborted) statistics.end("stopped");
    else statistics.end("failed", asHeadwatersError(thrown));
    this.report({ kind: "finished", result: statistics.run, error: statistics.error });
  }

  /** Records that the run failed as a whole. If the record can't be stored, that is only logged: `thrown` counts. */
  async recordFailure(thrown: unknown): Promise<void> {
    const { warehouse, log } = this.connection;
    if (warehouse.capabilities.reads === "never") return;
    const stopped = this.#options.signal.aborted;
    for (const statistics of this.statistics.values()) {
      if (statistics.outcome === "running") statistics.end("stopped");
    }
    const record: RunRecord = {
      ...this.record(true),
      ...(stopped
        ? { outcome: "stopped" }
        : { outcome: "failed", error: this.#cleaned(recorded(asHeadwatersError(thrown))) }),
    };
    try {
      await using transaction = await warehouse.begin(this.#lease, this.#clock.next());
      await transaction.record(record);
      await transaction.commit([]);
    } catch (failure) {
      log.debug(`the record of this sync could not be stored: ${asHeadwatersError(failure).message}`);
    }
  }

  #cleaned({ code, message, hint }: RecordedError): RecordedError {
    const clean = this.connection.withoutSecrets ?? ((text) => text);
    return { code, message: clean(message), hint: hint === null ? null : clean(hint) };
  }

  record(ended: boolean): RunRecord {
    const { kind, trigger } = this.#options;
    const tables = [...this.statistics.values()].map(({ run }) => ({
      ...run,
      error: run.error === null ? null : this.#cleaned(run.error),
    }));
    const failed = tables.some((table) => table.outcome === "failed");
    const stopped = tables.some((table) => table.outcome === "stopped");
    return {
      id: this.#id,
      ...(kind === undefined ? {} : { kind }),
      ...(trigger === undefined ? {} : { trigger }),
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
    { hint: "Its copy was left as it is. If the table is gone for good, exclude it (tables.exclude) or reset it." },
  );
}
