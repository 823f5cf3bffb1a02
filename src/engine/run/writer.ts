import { errorAt, type HeadwatersError } from "../../protocol/errors.ts";
import type { Json } from "../../protocol/json.ts";
import type { Pass, Progress, Split } from "../../protocol/pass.ts";
import type { Destination } from "../../protocol/destination.ts";
import type { Change, Changes, Transaction } from "../../protocol/transaction.ts";
import type { Settings } from "../connection.ts";
import type { CommitClock } from "./commit-clock.ts";

/** What a split sent from one checkpoint to the next: whole, so that it can be committed at any time. */
export interface Segment {
  readonly pass: Pass;
  readonly split: Split;
  readonly attempt: number;
  readonly operations: readonly Change[];
  readonly rows: number;
  /** The memory that the operations hold, in bytes. */
  readonly bytes: number;
  readonly state: Json;
  /** The read point that the split has reached, if its checkpoints have one. */
  readonly asOf: string | null;
  readonly done: boolean;
  /** Whether the destination holds its first operations, because they were too large for memory. */
  readonly held: boolean;
}

/**
 * Closed passes that one transaction may hold: destinations keep memory for each table that it changes. (Measured: DuckDB
 * runs out of 192 MB at 300 tables of a few columns.)
 */
export const mostClosed = 32;

/**
 * After this many bytes of rows that are wide on average the transaction is committed: destinations hold what is not
 * committed. (Measured: DuckDB can't commit 30 rows of 5 MB at once with 192 MB.)
 */
const wide = { bytes: 24 << 20, rowBytes: 128 << 10 };

/** The transaction was undone by an error at `table` (`null`: not at one table). */
export class RolledBack extends Error {
  readonly table: string | null;
  override readonly cause: HeadwatersError;

  constructor(table: string | null, cause: HeadwatersError) {
    super(cause.message);
    this.table = table;
    this.cause = cause;
  }
}

/**
 * The one writer of a sync. Every change of the destination goes through it, one at a time, in one transaction after the
 * other. Many splits share a commit (group commit). Only whole segments enter a transaction, so that it may be committed
 * between any two of them.
 */
export class Writer implements AsyncDisposable {
  readonly #destination: Destination;
  readonly #lease: number;
  readonly #clock: CommitClock;
  readonly #settings: Settings;
  readonly #mostClosed: number;
  readonly #onCommit: (changes: ReadonlyMap<string, Changes>, progress: readonly Segment[]) => void;
  /** The newest durable version by pass and split. */
  readonly #versions = new Map<string, number>();
  /** The newest segment of each split that the transaction holds. */
  readonly #pending = new Map<string, Segment>();
  #transaction: Transaction | null = null;
  /** The segments of the transaction. */
  #stamp = "";
  #tail: Promise<unknown> = Promise.resolve();
  #rolledBack: RolledBack | null = null;
  #uncommitted = { rows: 0, bytes: 0 };
  /** Tables that the transaction has changes of. */
  readonly #touched = new Set<string>();
  /** How long the destination has worked for the transaction, in milliseconds. */
  spent = 0;
  #closedPasses = 0;
  /** When the transaction must be committed; `null`: there is none. */
  #due: number | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor(
    destination: Destination,
    lease: number,
    clock: CommitClock,
    settings: Settings,
    progress: readonly Progress[],
    onCommit: (changes: ReadonlyMap<string, Changes>, progress: readonly Segment[]) => void,
    most = mostClosed,
  ) {
    this.#destination = destination;
    this.#lease = lease;
    this.#clock = clock;
    this.#settings = settings;
    this.#onCommit = onCommit;
    this.#mostClosed = most;
    for (const entry of progress) this.#versions.set(splitKey(entry.pass, entry.split), entry.version);
  }

  /** Throws if the transaction was undone: nothing more can be written. */
  assertAlive(): void {
    if (this.#rolledBack !== null) throw this.#rolledBack;
  }

  /**
   * Runs `work` alone in the transaction, whose stamp it is given too; an error in it undoes the transaction and ends
   * this writer.
   */
  run<Result>(
    table: string | null,
    work: (transaction: Transaction, stamp: string) => Promise<Result>,
  ): Promise<Result> {
    const result = this.#tail.then(async () => {
      this.assertAlive();
      if (table !== null) this.#touched.add(table);
      const began = performance.now();
      try {
        if (this.#transaction === null) {
          this.#stamp = this.#clock.next();
          this.#transaction = await this.#destination.begin(this.#lease, this.#stamp);
          this.#setDue();
        }
        return await work(this.#transaction, this.#stamp);
      } catch (thrown) {
        // If the commit of a single table fails, this table is the cause.
        const [only = null] = this.#touched.size === 1 ? this.#touched : [];
        this.#rolledBack = new RolledBack(table ?? only, errorAt("destination", thrown));
        await this.#undo();
        throw this.#rolledBack;
      } finally {
        this.spent += performance.now() - began;
      }
    });
    this.#tail = result.catch(() => {});
    return result;
  }

  /** Puts a segment into the transaction, and commits if that is due. */
  write(segment: Segment): Promise<void> {
    const operations = this.#alterFirst(segment);
    return this.run(segment.split.tables[0] ?? null, async (transaction) => {
      if (segment.held) await transaction.keep(segment.pass, segment.split);
      for (const operation of operations) await transaction.write(segment.pass, segment.split, operation);
      this.#pending.set(splitKey(segment.pass.id, segment.split.id), segment);
      await this.#wrote(segment.rows, segment.bytes);
    });
  }

  /**
   * Puts operations into the transaction that no checkpoint covers yet: commits make them durable, and they count once
   * the segment that has the checkpoint is written.
   */
  hold(gathered: Pick<Segment, "pass" | "split" | "operations" | "rows" | "bytes">): Promise<void> {
    const { pass, split, rows, bytes } = gathered;
    const operations = this.#alterFirst(gathered);
    return this.run(split.tables[0] ?? null, async (transaction) => {
      for (const operation of operations) await transaction.hold(pass, split, operation);
      await this.#wrote(rows, bytes);
    });
  }

  /** Drops what was held of a split that is read again (`null`: of every split of the pass). */
  discard(pass: Pass, split: Split | null): Promise<void> {
    return this.run(pass.tables[0]?.id ?? null, async (transaction) => {
      await transaction.discard(pass, split);
      await this.#wrote(0, 0);
    });
  }

  /** Closes a pass by `work`, which several passes may do in one commit. */
  close(pass: Pass, work: (transaction: Transaction) => Promise<void>): Promise<void> {
    return this.run(pass.tables[0]!.id, async (transaction) => {
      this.forget(pass);
      await work(transaction);
      if (++this.#closedPasses >= this.#mostClosed) await this.#commit();
    });
  }

  /**
   * Operations that alter a copy come first in a transaction of their own: DuckDB can't commit one that has deleted or updated
   * rows of a table before it alters it. A full pass only adds rows until then.
   */
  #alterFirst({ pass, operations }: Pick<Segment, "pass" | "operations">): readonly Change[] {
    const alters = ({ kind }: Change): boolean => kind === "schema";
    if (pass.kind === "full" || !operations.some(alters)) return operations;
    // The error is not lost: it ends the writer, and the next caller gets it.
    this.commit().catch(() => {});
    return [...operations.filter(alters), ...operations.filter((operation) => !alters(operation))];
  }

  #setDue(): void {
    const { commitMilliseconds } = this.#settings;
    this.#due = performance.now() + commitMilliseconds;
    // The error is not lost: it ends the writer, and the next caller gets it.
    this.#timer = setTimeout(() => void this.commit().catch(() => {}), commitMilliseconds);
  }

  /** Counts what the transaction took, and commits if that is due. */
  async #wrote(rows: number, bytes: number): Promise<void> {
    const uncommitted = this.#uncommitted;
    uncommitted.rows += rows;
    uncommitted.bytes += bytes;
    const { commitRows } = this.#settings;
    const isWide = uncommitted.bytes >= wide.bytes && uncommitted.bytes >= uncommitted.rows * wide.rowBytes;
    const full = isWide || (commitRows !== null && uncommitted.rows >= commitRows);
    // The timer's commit would come late, after many waiting segments.
    if (full || performance.now() >= this.#due!) await this.#commit();
  }

  /** Makes everything that was written durable. */
  commit(): Promise<void> {
    return this.run(null, async () => this.#commit());
  }

  async #commit(): Promise<void> {
    this.#untime();
    const transaction = this.#transaction;
    if (transaction === null) return;
    const segments = [...this.#pending.values()];
    const progress = segments.map(({ pass, split, attempt, state, asOf, done }): Progress => {
      const version = (this.#versions.get(splitKey(pass.id, split.id)) ?? 0) + 1;
      return { pass: pass.id, split: split.id, attempt, version, state, done, ...(asOf === null ? {} : { asOf }) };
    });
    const changes = await transaction.commit(progress);
    this.#transaction = null;
    await transaction[Symbol.asyncDispose]();
    for (const entry of progress) this.#versions.set(splitKey(entry.pass, entry.split), entry.version);
    this.#pending.clear();
    this.#uncommitted = { rows: 0, bytes: 0 };
    this.#touched.clear();
    this.#closedPasses = 0;
    this.#onCommit(changes, segments);
  }

  /** Segments of a pass that is closed or abandoned have no progress to keep. */
  forget(pass: Pass): void {
    for (const [key, segment] of this.#pending) if (segment.pass.id === pass.id) this.#pending.delete(key);
  }

  async #undo(): Promise<void> {
    this.#untime();
    this.#pending.clear();
    const transaction = this.#transaction;
    this.#transaction = null;
    await transaction?.[Symbol.asyncDispose]();
  }

  #untime(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#due = null;
  }

  /** Undoes everything that is not committed. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tail;
    await this.#undo();
  }
}

function splitKey(pass: string, split: string): string {
  return `${pass}\n${split}`;
}
