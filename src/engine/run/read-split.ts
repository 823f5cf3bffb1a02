import { type RetryPolicy, waitAfter } from "../../net/retry.ts";
import type { HeadwatersError } from "../../protocol/errors.ts";
import type { Json } from "../../protocol/json.ts";
import type { Operation } from "../../protocol/operation.ts";
import type { Pass, Split } from "../../protocol/pass.ts";
import type { Reading, Source } from "../../protocol/source.ts";
import type { Table } from "../../protocol/table.ts";
import type { Semaphore } from "../../toolkit/semaphore.ts";
import { rowsBytes } from "../../toolkit/vectors.ts";
import type { Settings } from "../connection.ts";
import { RolledBack, type Segment, type Writer } from "./writer.ts";

/** What a split is read with. */
export interface SplitReading {
  readonly source: Source;
  readonly writer: Writer;
  readonly settings: Settings;
  /** Bytes that all splits together may hold. */
  readonly memory: Semaphore;
  readonly throttle: (rows: number, signal: AbortSignal) => Promise<void>;
  readonly signal: AbortSignal;
  onRows(table: string, rows: number, bytes: number): void;
  /** The split's rows need this from here on. */
  onSchema(table: Table): void;
  onRetry(error: HeadwatersError, milliseconds: number): void;
}

type Data = Segment["operations"][number];

/**
 * Reads one split to its end and hands it to the writer, segment by segment, without waiting for the writer more than
 * the memory budget asks for. Errors whose remedy is `retry` are tried again from the last checkpoint; tries that
 * brought nothing forward are counted. Resolves to the split's last state.
 */
export async function readSplit(
  pass: Pass,
  split: Split,
  start: { state: Json; attempt: number },
  reading: SplitReading,
): Promise<Json> {
  let { state, attempt } = start;
  let failures = 0;
  const policy: RetryPolicy = {
    attempts: reading.settings.attempts,
    onRetry: (_, error, milliseconds) => reading.onRetry(error, milliseconds),
  };
  for (;;) {
    const attempted = new Attempt(pass, split, state, attempt, reading);
    try {
      await attempted.read();
      return attempted.state;
    } catch (thrown) {
      if (thrown instanceof RolledBack) throw thrown;
      failures = attempted.handed ? 1 : failures + 1;
      await waitAfter(thrown, failures, null, reading.signal, policy);
      state = attempted.state;
      attempt += 1;
    }
  }
}

/** One attempt at a split. */
class Attempt {
  /** The last checkpoint that was handed to the writer; a split that is done keeps it. */
  state: Json;
  /** Whether there was one in this attempt. */
  handed = false;
  readonly #pass: Pass;
  readonly #split: Split;
  readonly #attempt: number;
  readonly #reading: SplitReading;
  readonly #writes: Promise<void>[] = [];
  #failed: unknown = null;
  /** What was read since the last checkpoint, and the memory that it holds. */
  #operations: Data[] = [];
  #rows = 0;
  #bytes = 0;
  #releases: (() => void)[] = [];

  constructor(pass: Pass, split: Split, state: Json, attempt: number, reading: SplitReading) {
    this.#pass = pass;
    this.#split = split;
    this.state = state;
    this.#attempt = attempt;
    this.#reading = reading;
  }

  async read(): Promise<void> {
    const { source, settings, signal } = this.#reading;
    const how: Reading = { signal, batchBytes: settings.batchBytes, until: "caught up", path: "fast" };
    const operations = source.read(this.#pass, this.#split, this.state, how)[Symbol.asyncIterator]();
    // All splits together never wait for one another: complete segments always have a part of the budget.
    const most = settings.memoryBytes / (settings.parallel + 1);
    try {
      for (;;) {
        const next = await operations.next();
        if (this.#failed !== null) throw this.#failed;
        if (next.done === true) break;
        if (next.value.kind === "checkpoint") this.#hand(next.value.state, false);
        else if (this.#bytes + operationBytes(next.value) > most) await this.#writeThrough(next.value, operations);
        else await this.#hold(next.value);
      }
      this.#hand(this.state, true);
      await Promise.all(this.#writes);
    } finally {
      for (const release of this.#releases) release();
      await operations.return?.(undefined);
      await Promise.allSettled(this.#writes);
    }
  }

  /** Keeps an operation until its checkpoint comes. */
  async #hold(operation: Data): Promise<void> {
    const bytes = await this.#meter(operation);
    if (bytes > 0) this.#releases.push(await this.#reading.memory.acquire(bytes, this.#reading.signal));
    this.#operations.push(operation);
    this.#bytes += bytes;
  }

  /** Counts what was read and slows down where the user asked for it. */
  async #meter(operation: Data): Promise<number> {
    if (operation.kind === "schema") this.#reading.onSchema(operation.table);
    if (!("rows" in operation)) return 0;
    const bytes = operationBytes(operation);
    this.#rows += operation.rows.length;
    this.#reading.onRows(operation.table, operation.rows.length, bytes);
    await this.#reading.throttle(operation.rows.length, this.#reading.signal);
    return bytes;
  }

  #hand(state: Json, done: boolean): void {
    const segment = this.#take(state, done);
    const releases = this.#releases;
    this.#releases = [];
    const write = this.#reading.writer
      .write(segment)
      .catch((thrown: unknown) => {
        this.#failed = thrown;
        throw thrown;
      })
      .finally(() => {
        for (const release of releases) release();
      });
    // Whoever awaits `#writes` sees the error; here it only must not count as unhandled before that.
    write.catch(() => {});
    this.#writes.push(write);
    if (this.#writes.length > 64) this.#writes.splice(0, 32);
    this.state = state;
    this.handed = true;
  }

  #take(state: Json, done: boolean): Segment {
    const segment: Segment = {
      pass: this.#pass,
      split: this.#split,
      attempt: this.#attempt,
      operations: this.#operations,
      rows: this.#rows,
      state,
      done,
    };
    this.#operations = [];
    this.#rows = 0;
    this.#bytes = 0;
    return segment;
  }

  /** More than memory should hold came without a checkpoint: it goes straight into a transaction of its own. */
  async #writeThrough(first: Data, operations: AsyncIterator<Operation>): Promise<void> {
    await this.#reading.writer.writeThrough(this.#pass, this.#split, async (write) => {
      for (const held of this.#operations) await write(held);
      for (const release of this.#releases) release();
      this.#releases = [];
      this.#operations = [];
      for (let operation: Data = first; ;) {
        await this.#meter(operation);
        await write(operation);
        const next = await operations.next();
        if (next.done === true) return this.#reached(this.state, true);
        if (next.value.kind === "checkpoint") return this.#reached(next.value.state, false);
        operation = next.value;
      }
    });
  }

  #reached(state: Json, done: boolean): Segment {
    this.state = state;
    this.handed = true;
    return this.#take(state, done);
  }
}

function operationBytes(operation: Data): number {
  return "rows" in operation ? rowsBytes(operation.rows) : 0;
}
