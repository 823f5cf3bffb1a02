import type { Operation } from "../protocol/operation.ts";
import type { Rows } from "../protocol/rows.ts";
import type { Changes, Settlement } from "../protocol/transaction.ts";
import type { Table } from "../protocol/table.ts";
import { project } from "../toolkit/vectors.ts";
import type { Admit, RecordEncoder } from "./encode-records.ts";
import { type RowDigests, keysOf, signatureOf } from "./row-digests.ts";
import type { DigestStore } from "./digest-store.ts";

/**
 * - `add`: rows are sent as they come, but for those that are known to be there.
 * - `settle`: every row comes; what differs is sent, and what did not come is deleted.
 * - `replace`: the table is truncated, then every row is sent.
 */
export type WriteMode = "add" | "settle" | "replace";

/** What the writer of a table works with. */
export interface WriterContext {
  readonly encoder: RecordEncoder;
  readonly digests: DigestStore;
  /** Rows were sent. */
  sent(rows: number): void;
  /** Makes it known that the copy is not whole from here on; call before `truncate` is sent. */
  replacing(table: string): Promise<void>;
}

/** Writes the rows of one table of one pass. */
export class TableWriter {
  table: Table;
  /**
   * Whether another process can go on with the pass: not where it settles, since only this one knows what was met; nor
   * where it began so.
   */
  readonly isStored: boolean;
  /** Changes since they were last taken. */
  #changes = { inserted: 0, updated: 0, deleted: 0 };
  readonly #context: WriterContext;
  #mode: WriteMode;
  #truncated: boolean;
  /** Of a `replace` that this process began: the memory that comes of it. */
  #begun: RowDigests | null = null;
  #rows = 0;

  constructor(table: Table, mode: WriteMode, truncated: boolean, context: WriterContext) {
    this.table = table;
    this.isStored = mode !== "settle";
    this.#mode = mode;
    this.#truncated = truncated;
    this.#context = context;
    if (mode === "settle") context.digests.of(table)!.begin();
    // One that goes on where another process left off has not met all keys.
    else if (mode === "replace" && !truncated) this.#begun = context.digests.begin(table);
    else if (mode === "replace") context.digests.drop(table.id, false);
  }

  get truncated(): boolean {
    return this.#truncated;
  }

  takeChanges(): Changes {
    const changes = this.#changes;
    this.#changes = { inserted: 0, updated: 0, deleted: 0 };
    return changes;
  }

  async write(operation: Exclude<Operation, { kind: "checkpoint" | "schema" | "keys" }>): Promise<void> {
    switch (operation.kind) {
      case "upsert":
        return this.#upsert(operation.rows);
      case "update":
        return this.#partial(operation.rows, "update", (memory, key) => memory.touch(key));
      case "delete":
        return this.#partial(operation.rows, "delete", (memory, key) => memory.forget(key));
      case "truncate":
        this.#context.digests.drop(this.table.id, false);
        this.#begun = null;
        if (this.#mode === "settle") this.#mode = "add";
        return this.#context.encoder.truncate(this.table.id);
    }
  }

  settlement(): Settlement {
    const memory = this.#memory();
    if (this.#mode === "settle" && memory !== null) {
      const { before, unmet } = memory.standing;
      return { live: before, missing: 0, gone: unmet };
    }
    // The checkDeleteLimit must see a source that shows no row at all before the copy is truncated.
    const before = this.#context.digests.rowsOf(this.table.id);
    const gone = this.#mode === "replace" && !this.#truncated ? before : 0;
    return { live: before, missing: 0, gone };
  }

  *gone(): Generator<Rows> {
    const memory = this.#memory();
    if (this.#mode === "settle" && memory !== null) yield* memory.unmet(this.table);
  }

  /** Every row of the pass was written. Says whether what is gone was found. */
  async close(isFull: boolean): Promise<boolean> {
    if (!isFull) return true;
    if (this.#mode === "replace" && !this.#truncated) await this.#truncate();
    const memory = this.#memory();
    if (this.#mode === "settle" && memory !== null) {
      for (const rows of memory.unmet(this.table)) {
        this.#changes.deleted += await this.#context.encoder.write(this.table, "delete", rows, null);
        this.#context.sent(rows.length);
      }
      memory.end();
    }
    this.#context.digests.close(this.table, memory?.size ?? this.#rows);
    return this.#mode === "replace" || memory !== null;
  }

  async #upsert(rows: Rows): Promise<void> {
    if (rows.length === 0) return;
    if (this.#mode === "replace" && !this.#truncated) await this.#truncate();
    const sent = await this.#context.encoder.write(this.table, "upsert", rows, this.#admit(rows));
    this.#rows += rows.length;
    if (this.#mode === "replace") this.#changes.inserted += sent;
    else this.#changes.updated += sent;
    this.#context.sent(sent);
    this.#mindMemory();
  }

  /** Rows that are there already, as they are, are not sent again. */
  #admit(rows: Rows): Admit | null {
    const memory = this.#memory();
    if (memory === null) return null;
    const keyOf = keysOf(this.table, rows);
    return (row, bytes, start, end) => memory.meet(keyOf(row), bytes, start, end);
  }

  async #partial(
    rows: Rows,
    kind: "update" | "delete",
    note: (memory: RowDigests, key: string) => void,
  ): Promise<void> {
    if (rows.length === 0) return;
    const memory = this.#memory();
    const keyOf = keysOf(this.table, rows);
    if (memory !== null) for (let row = 0; row < rows.length; row++) note(memory, keyOf(row));
    const wanted = kind === "delete" ? project(rows, this.table.key) : rows;
    const sent = await this.#context.encoder.write(this.table, kind, wanted, null);
    if (kind === "delete") this.#changes.deleted += sent;
    else this.#changes.updated += sent;
    this.#context.sent(sent);
  }

  async #truncate(): Promise<void> {
    await this.#context.replacing(this.table.id);
    await this.#context.encoder.truncate(this.table.id);
    this.#truncated = true;
  }

  #memory(): RowDigests | null {
    if (this.#mode !== "replace") return this.#context.digests.of(this.table);
    // Its key columns became wider while it was read.
    if (this.#begun !== null && this.#begun.signature !== signatureOf(this.table)) {
      this.#begun = null;
      this.#context.digests.drop(this.table.id, false);
    }
    return this.#begun;
  }

  /** Without a memory that is whole nothing can be settled: what is gone is then found by a later pass. */
  #mindMemory(): void {
    if (this.#memory() !== null && this.#context.digests.dropIfTooLarge(this.table.id)) this.#begun = null;
    if (this.#mode === "settle" && this.#memory() === null) this.#mode = "add";
  }
}
