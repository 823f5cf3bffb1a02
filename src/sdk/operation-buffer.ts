import type { Json } from "../protocol/json.ts";
import type { Operation } from "../protocol/operation.ts";
import { rowsBytes } from "../toolkit/vectors.ts";
import type { UpdateOperation } from "./operations.ts";
import type { TableOperation } from "./rows.ts";
import type { TableBatches } from "./table-batches.ts";

/** A checkpoint waits this long for later ones, in milliseconds, … */
const longestWait = 100;
/** … unless this part of a batch waits too. */
const part = 1 / 16;

/**
 * Makes batches and checkpoints of what `update()` yields. A source may checkpoint after every row, but each checkpoint
 * costs as much as some hundred rows. So of checkpoints that are close together only the last is sent. (Measured with a
 * checkpoint after each row: 0.6 k rows/s with all of them, 35 k this way. If the process is killed, no more is lost than
 * since the last commit.)
 */
export class OperationBuffer {
  /** By table id; only selected tables. */
  readonly #tables: ReadonlyMap<string, TableBatches>;
  readonly #batchBytes: number;
  /** The last checkpoint, if it was not sent and nothing came after it. */
  #kept: Json | undefined;
  #sentAt = performance.now();
  /** Bytes of the rows that were sent after the last checkpoint. */
  #ahead = 0;

  constructor(tables: ReadonlyMap<string, TableBatches>, batchBytes: number) {
    this.#tables = tables;
    this.#batchBytes = batchBytes;
  }

  /** Milliseconds until {@link send} should be called; `null`: there is nothing to send. */
  get due(): number | null {
    return this.#kept === undefined ? null : Math.max(0, this.#sentAt + longestWait - performance.now());
  }

  /** Takes an operation; yields what to send now. */
  *take(operation: UpdateOperation): Generator<Operation, void> {
    if (operation.kind === "checkpoint") {
      this.#kept = operation.state;
      if (this.due === 0 || this.#ahead + this.#waiting() >= Math.floor(this.#batchBytes * part)) yield* this.send();
      return;
    }
    yield* this.#change(operation);
    for (const change of operation.lists) yield* this.#change(change);
  }

  *#change(operation: TableOperation): Generator<Operation, void> {
    const { id } = operation.table;
    const table = this.#tables.get(id);
    if (table === undefined) return;
    this.#kept = undefined;
    if (operation.kind === "truncate") {
      yield* this.#sent(table.finish());
      yield* this.#sent([{ kind: "truncate", table: id }]);
      return;
    }
    yield* this.#sent(table.add(operation.kind, operation.row));
    if (table.bytes >= this.#batchBytes) yield* this.#sent(table.finish());
  }

  /** Yields the checkpoint that was held back, after everything before it. */
  *send(): Generator<Operation, void> {
    if (this.#kept === undefined) return;
    const state = this.#kept;
    this.#kept = undefined;
    yield* this.finish();
    this.#ahead = 0;
    this.#sentAt = performance.now();
    yield { kind: "checkpoint", state };
  }

  /** Yields all rows that wait. */
  *finish(): Generator<Operation, void> {
    for (const table of this.#tables.values()) yield* this.#sent(table.finish());
  }

  *#sent(operations: readonly Operation[]): Generator<Operation, void> {
    for (const operation of operations) {
      if ("rows" in operation) this.#ahead += rowsBytes(operation.rows);
      yield operation;
    }
  }

  #waiting(): number {
    let bytes = 0;
    for (const table of this.#tables.values()) bytes += table.bytes;
    return bytes;
  }
}
