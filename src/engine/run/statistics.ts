import type { HeadwatersError } from "../../protocol/errors.ts";
import type { PassKind } from "../../protocol/pass.ts";
import type { RecordedError, TableRun } from "../../protocol/state-store.ts";
import type { Changes } from "../../protocol/transaction.ts";

/** What one sync has done to one table so far. */
export class Statistics {
  readonly table: string;
  readonly passes: PassKind[] = [];
  rowsRead = 0;
  bytesRead = 0;
  /** The read point of the copy; before this sync has moved it: the read point of the last sync. */
  asOf: string | null;
  outcome: TableRun["outcome"] = "running";
  error: HeadwatersError | null = null;
  #changes: Changes = { inserted: 0, updated: 0, deleted: 0 };
  #started: number | null = null;
  #milliseconds = 0;

  constructor(table: string, asOf: string | null = null) {
    this.table = table;
    this.asOf = asOf;
  }

  /** The table is synced again in the same run. */
  again(): void {
    this.outcome = "running";
    this.error = null;
    this.passes.length = 0;
  }

  start(): void {
    this.#started ??= performance.now();
  }

  addRead(rows: number, bytes: number): void {
    this.rowsRead += rows;
    this.bytesRead += bytes;
  }

  addChanges(changes: Changes): void {
    this.#changes = {
      inserted: this.#changes.inserted + changes.inserted,
      updated: this.#changes.updated + changes.updated,
      deleted: this.#changes.deleted + changes.deleted,
    };
  }

  end(outcome: TableRun["outcome"], error: HeadwatersError | null = null): void {
    this.outcome = outcome;
    this.error = error;
    if (this.#started !== null) this.#milliseconds += performance.now() - this.#started;
    this.#started = null;
  }

  get run(): TableRun {
    return {
      table: this.table,
      outcome: this.outcome,
      passes: this.passes,
      rowsRead: this.rowsRead,
      bytesRead: this.bytesRead,
      ...this.#changes,
      milliseconds: Math.round(this.#milliseconds),
      asOf: this.asOf,
      error: this.error === null ? null : recorded(this.error),
    };
  }
}

export function recorded({ code, message, hint }: HeadwatersError): RecordedError {
  return { code, message, hint };
}
