import { HeadwatersError } from "../protocol/errors.ts";
import type { Operation } from "../protocol/operation.ts";
import type { Rows } from "../protocol/rows.ts";
import type { Changes, Deletes, Settlement } from "../protocol/transaction.ts";
import type { Table } from "../protocol/table.ts";
import { project } from "../toolkit/vectors.ts";
import type { Admit, RecordEncoder } from "./encode-records.ts";
import { type RowDigests, keysOf, signatureOf } from "./row-digests.ts";
import type { DigestStore } from "./digest-store.ts";

/**
 * - `add`: rows are sent as they come, except for those that are known to be equal.
 * - `settle`: every row comes; those that differ are sent, and keys that did not come are deleted.
 * - `replace`: the table is truncated, then every row is sent.
 */
export type WriteMode = "add" | "settle" | "replace";

/** What the writer of a table works with. */
export interface WriterContext {
  readonly encoder: RecordEncoder;
  readonly digests: DigestStore;
  /** Call after rows were sent. */
  sent(rows: number): void;
  /** Sends a checkpoint that says that the copy is not whole; call before `truncate` is sent. */
  replacing(table: string): Promise<void>;
}

/** Writes the rows of one table of one pass. */
export class TableWriter {
  table: Table;
  /**
   * Whether another process can continue the pass. Not if it settles, or began to: only this process knows which keys it
   * met.
   */
  readonly isStored: boolean;
  /** Changes since they were last taken. */
  #changes = { inserted: 0, updated: 0, deleted: 0 };
  readonly #context: WriterContext;
  #mode: WriteMode;
  #truncated: boolean;
  /** Of a `replace` that this process began: the new digests. */
  #begun: RowDigests | null = null;
  #rows = 0;

  constructor(table: Table, mode: WriteMode, truncated: boolean, context: WriterContext) {
    this.table = table;
    this.isStored = mode !== "settle";
    this.#mode = mode;
    this.#truncated = truncated;
    this.#context = context;
    if (mode === "settle") context.digests.of(table)!.begin();
    // A pass that another process began has not met all keys here.
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
        return this.#partial(operation.rows, "update", (digests, key) => digests.touch(key));
      case "delete":
        return this.#partial(operation.rows, "delete", (digests, key) => digests.forget(key));
      case "truncate":
        this.#context.digests.drop(this.table.id, false);
        this.#begun = null;
        if (this.#mode === "settle") this.#mode = "add";
        return this.#context.encoder.truncate(this.table.id);
    }
  }

  settlement(): Settlement {
    const digests = this.#rowDigests();
    if (this.#mode === "settle" && digests !== null) {
      return { empty: this.#rows === 0, missing: 0, gone: digests.unmetCount };
    }
    // The delete limit must catch a source without any row before the copy is truncated.
    const untouched = this.#mode === "replace" && !this.#truncated;
    const gone = untouched ? this.#context.digests.rowsOf(this.table.id) : 0;
    return { empty: untouched, missing: 0, gone };
  }

  *gone(): Generator<Rows> {
    const digests = this.#rowDigests();
    if (this.#mode === "settle" && digests !== null) yield* digests.unmet(this.table);
  }

  /** Call once every row of a full pass was written. Resolves to whether deletes could be found. */
  async close(deletes: Deletes): Promise<boolean> {
    // No row came, so that nothing was sent: what Fivetran has stays.
    if (deletes === "hold" && this.#mode === "replace" && !this.#truncated) return true;
    if (this.#mode === "replace" && !this.#truncated) await this.#truncate();
    const digests = this.#rowDigests();
    if (this.#mode === "settle" && digests !== null && deletes === "find") {
      for (const rows of digests.unmet(this.table)) {
        this.#changes.deleted += await this.#context.encoder.write(this.table, "delete", rows, null);
        this.#context.sent(rows.length);
      }
      digests.end();
    }
    this.#context.digests.close(this.table, digests?.size ?? this.#rows);
    return this.#mode === "replace" || digests !== null;
  }

  async #upsert(rows: Rows): Promise<void> {
    if (rows.length === 0) return;
    if (this.#mode === "replace" && !this.#truncated) await this.#truncate();
    const sent = await this.#context.encoder.write(this.table, "upsert", rows, this.#admit(rows));
    this.#rows += rows.length;
    if (this.#mode === "replace") this.#changes.inserted += sent;
    else this.#changes.updated += sent;
    this.#context.sent(sent);
    this.#limitDigests();
  }

  /** Rows that are equal to those that were sent are not sent again. */
  #admit(rows: Rows): Admit | null {
    const digests = this.#rowDigests();
    if (digests === null) return null;
    const keyOf = keysOf(this.table, rows);
    return (row, bytes, start, end) => digests.meet(keyOf(row), bytes, start, end);
  }

  async #partial(
    rows: Rows,
    kind: "update" | "delete",
    note: (digests: RowDigests, key: string) => void,
  ): Promise<void> {
    if (rows.length === 0) return;
    const absent = this.table.key.find((name) => !rows.columns.includes(name));
    if (absent !== undefined)
      throw new HeadwatersError(
        "SOURCE_MISTAKEN",
        `table "${this.table.id}": Fivetran deletes rows by whole keys, and "${absent}" is not given`,
        { hint: "Remove each row by its whole key, or truncate the table; keep a list as a column of type JSON." },
      );
    const digests = this.#rowDigests();
    const keyOf = keysOf(this.table, rows);
    if (digests !== null) for (let row = 0; row < rows.length; row++) note(digests, keyOf(row));
    const sentRows = kind === "delete" ? project(rows, this.table.key) : rows;
    const sent = await this.#context.encoder.write(this.table, kind, sentRows, null);
    if (kind === "delete") this.#changes.deleted += sent;
    else this.#changes.updated += sent;
    this.#context.sent(sent);
  }

  async #truncate(): Promise<void> {
    await this.#context.replacing(this.table.id);
    await this.#context.encoder.truncate(this.table.id);
    this.#truncated = true;
  }

  #rowDigests(): RowDigests | null {
    if (this.#mode !== "replace") return this.#context.digests.of(this.table);
    // The key columns became wider while the table was read.
    if (this.#begun !== null && this.#begun.signature !== signatureOf(this.table)) {
      this.#begun = null;
      this.#context.digests.drop(this.table.id, false);
    }
    return this.#begun;
  }

  /** Without complete digests nothing can be settled: a later pass finds what is gone. */
  #limitDigests(): void {
    if (this.#rowDigests() !== null && this.#context.digests.dropIfTooLarge(this.table.id)) this.#begun = null;
    if (this.#mode === "settle" && this.#rowDigests() === null) this.#mode = "add";
  }
}
