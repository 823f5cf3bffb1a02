import { type RetryPolicy, waitAfter } from "../../net/retry.ts";
import type { HeadwatersError } from "../../protocol/errors.ts";
import type { Json } from "../../protocol/json.ts";
import type { Pass, Split } from "../../protocol/pass.ts";
import type { Reading, Source } from "../../protocol/source.ts";
import type { Table } from "../../protocol/table.ts";
import type { Semaphore } from "../../toolkit/semaphore.ts";
import { reservedBytes, rowsBytes } from "../../toolkit/vectors.ts";
import type { Settings } from "../connection.ts";
import { mayPass } from "./retrying-source.ts";
import { RolledBack, type Segment, type Writer } from "./writer.ts";

/** What a split is read with. */
export interface SplitReading {
  readonly source: Source;
  readonly writer: Writer;
  readonly settings: Settings;
  /** The bytes that all splits together may hold. */
  readonly memory: Semaphore;
  readonly throttle: (rows: number, signal: AbortSignal) => Promise<void>;
  readonly signal: AbortSignal;
  readonly isMember: boolean;
  onRows(table: string, rows: number, bytes: number): void;
  /** From here on, the split's rows need the columns of this table. */
  onSchema(table: Table): void;
  onRetry(error: HeadwatersError, milliseconds: number): void;
}

/** How far a split was read. */
export type Reached = Pick<Segment, "state" | "asOf">;

/** A checkpoint, or the position reached before. */
interface Position {
  readonly state: Json;
  readonly asOf?: string | null;
}

type Data = Segment["operations"][number];

/**
 * Reads one split to its end and hands it to the writer, segment by segment. It waits for the writer only when the memory
 * budget is used up. After an error whose remedy is `retry` it goes on from the last checkpoint; attempts that reach no
 * new checkpoint are counted. Resolves to how far the split was read.
 */
export async function readSplit(
  pass: Pass,
  split: Split,
  start: Reached & { readonly attempt: number },
  reading: SplitReading,
): Promise<Reached> {
  let { attempt, ...reached }: Reached & { attempt: number } = start;
  let failures = 0;
  const policy: RetryPolicy = {
    attempts: reading.settings.attempts,
    again: mayPass,
    onRetry: (_, error, milliseconds) => reading.onRetry(error, milliseconds),
  };
  for (;;) {
    const attempted = new Attempt(pass, split, reached, attempt, reading);
    try {
      await attempted.read();
      return attempted.reached;
    } catch (thrown) {
      if (thrown instanceof RolledBack) throw thrown;
      failures = attempted.handed ? 1 : failures + 1;
      await waitAfter(thrown, failures, null, reading.signal, policy);
      if (attempted.held) await reading.writer.discard(pass, split);
      reached = attempted.reached;
      attempt += 1;
    }
  }
}

/** One attempt at a split. */
class Attempt {
  /** The last checkpoint that was handed to the writer. A split that is done keeps it. */
  reached: Reached;
  /** Whether this attempt handed one over. */
  handed = false;
  /** The destination holds what was read since the last checkpoint, except for the operations here. */
  held = false;
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

  constructor(pass: Pass, split: Split, reached: Reached, attempt: number, reading: SplitReading) {
    this.#pass = pass;
    this.#split = split;
    this.reached = reached;
    this.#attempt = attempt;
    this.#reading = reading;
  }

  async read(): Promise<void> {
    const { source, settings, signal, isMember } = this.#reading;
    const { batchBytes } = settings;
    const elsewhere = isMember ? { elsewhere: true as const } : {};
    const how: Reading = { signal, batchBytes, until: "caught up", path: "fast", ...elsewhere };
    const operations = source.read(this.#pass, this.#split, this.reached.state, how)[Symbol.asyncIterator]();
    // Splits never wait for one another: complete segments always get a part of the budget.
    const most = settings.memoryBytes / (settings.parallel + 1);
    try {
      for (;;) {
        const next = await operations.next();
        if (this.#failed !== null) throw this.#failed;
        if (next.done === true) break;
        if (next.value.kind === "checkpoint") this.#hand(next.value, false);
        else await this.#take(next.value, most);
      }
      this.#hand(this.reached, true);
      await Promise.all(this.#writes);
    } finally {
      for (const release of this.#releases) release();
      await operations.return?.(undefined);
      await Promise.allSettled(this.#writes);
    }
  }

  /**
   * Keeps an operation until its checkpoint comes. If more than `most` bytes come without one, the destination holds
   * them. A single larger operation takes no memory from the budget, which others may hold; it is written at once.
   */
  async #take(operation: Data, most: number): Promise<void> {
    const bytes = await this.#meter(operation);
    if (bytes <= most && this.#bytes + bytes > most) void this.#hold();
    if (bytes > 0 && bytes <= most)
      this.#releases.push(await this.#reading.memory.acquire(bytes, this.#reading.signal));
    this.#operations.push(operation);
    this.#bytes += bytes;
    if (bytes > most) await this.#hold();
  }

  /** Counts what was read, and slows down to `maxRowsPerSecond`. Resolves to the memory that the operation holds. */
  async #meter(operation: Data): Promise<number> {
    if (operation.kind === "schema") this.#reading.onSchema(operation.table);
    if (!("rows" in operation)) return 0;
    const { rows } = operation;
    this.#rows += rows.length;
    this.#reading.onRows(operation.table, rows.length, rowsBytes(rows));
    await this.#reading.throttle(rows.length, this.#reading.signal);
    return reservedBytes(rows);
  }

  #hand({ state, asOf }: Position, done: boolean): void {
    this.reached = { state, asOf: asOf ?? this.reached.asOf };
    const segment = { ...this.#gathered(), ...this.reached, attempt: this.#attempt, done, held: this.held };
    void this.#send(() => this.#reading.writer.write(segment));
    this.held = false;
    this.handed = true;
  }

  #hold(): Promise<void> {
    const gathered = this.#gathered();
    this.held = true;
    return this.#send(() => this.#reading.writer.hold(gathered));
  }

  /** Lets the writer work while the next operations are read; gives back the memory of these once it is done. */
  #send(work: () => Promise<void>): Promise<void> {
    const releases = this.#releases;
    this.#releases = [];
    const write = work()
      .catch((thrown: unknown) => {
        this.#failed = thrown;
        throw thrown;
      })
      .finally(() => {
        for (const release of releases) release();
      });
    // Ignored here, so that it does not count as unhandled: awaiting `#writes` reports this error.
    write.catch(() => {});
    this.#writes.push(write);
    if (this.#writes.length > 64) this.#writes.splice(0, 32);
    return write;
  }

  #gathered(): Pick<Segment, "pass" | "split" | "operations" | "rows" | "bytes"> {
    const [pass, split, operations, rows, bytes] = [this.#pass, this.#split, this.#operations, this.#rows, this.#bytes];
    const gathered = { pass, split, operations, rows, bytes };
    this.#operations = [];
    this.#rows = 0;
    this.#bytes = 0;
    return gathered;
  }
}
