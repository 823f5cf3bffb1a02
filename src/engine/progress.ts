import type { VerifyEvent } from "./commands/verify.ts";
import type { SyncEvent, SyncHappening } from "./events.ts";
import type { HeadwatersError } from "../protocol/errors.ts";
import type { PassKind } from "../protocol/pass.ts";
import type { TableRun } from "../protocol/state-store.ts";
import type { Changes } from "../protocol/transaction.ts";

export type ShownState = "waiting" | "reading" | "settling" | "retrying" | TableRun["outcome"];

/** The time over which a rate is measured, in milliseconds: long enough to be steady, short enough to be current. */
const rateWindow = 5_000;
const sampleInterval = 250;

/** Before this many milliseconds, the remaining time can't be predicted. */
const predictAfter = 2_000;

type ReadRows = Extract<SyncHappening, { kind: "read" }>;

/** The progress of one table's sync. Times are milliseconds of any steady clock. */
export class TableProgress {
  readonly table: string;
  state: ShownState = "waiting";
  pass: PassKind | null = null;
  resumed = false;
  splits = 0;
  splitsDone = 0;
  /** The rows of this pass that were read in this run. */
  rows = 0;
  bytes = 0;
  estimatedRows: number | null = null;
  changes: Changes = { inserted: 0, updated: 0, deleted: 0 };
  run: TableRun | null = null;
  error: HeadwatersError | null = null;
  /** Why a read is tried again; `null`: it goes on. */
  retried: HeadwatersError | null = null;
  #passBegan = 0;
  #fractionAtBegin = 0;
  #samples: { readonly at: number; readonly rows: number }[] = [];

  constructor(table: string) {
    this.table = table;
  }

  begin(event: Omit<Extract<SyncHappening, { kind: "pass" }>, "kind" | "table">, now: number): void {
    this.state = "reading";
    this.pass = event.pass;
    this.resumed = event.resumed;
    this.splits = event.splits;
    this.splitsDone = event.splitsDone;
    this.rows = 0;
    this.bytes = 0;
    this.estimatedRows = event.estimatedRows;
    this.#passBegan = now;
    this.#samples = [{ at: now, rows: 0 }];
    this.#fractionAtBegin = this.fraction ?? 0;
  }

  read({ rows, bytes, splitsDone }: Omit<ReadRows, "kind" | "table">, now: number): void {
    this.state = "reading";
    this.retried = null;
    this.rows += rows;
    this.bytes += bytes;
    this.splitsDone = splitsDone;
    if (now - this.#samples.at(-1)!.at >= sampleInterval) this.#samples.push({ at: now, rows: this.rows });
    while (this.#samples.length > 1 && now - this.#samples[1]!.at >= rateWindow) this.#samples.shift();
  }

  /** Called when every row of the pass is read. */
  settle(): void {
    this.state = "settling";
    this.splitsDone = this.splits;
  }

  /** The current rows per second; `null`: not known yet. */
  rate(now: number): number | null {
    const oldest = this.#samples[0];
    if (oldest === undefined || this.rows === 0 || now <= oldest.at) return null;
    return ((this.rows - oldest.rows) * 1_000) / (now - oldest.at);
  }

  /**
   * The fraction of the pass that is read, 0–1; `null`: unknown. Estimates can be far too low, so rows alone never give
   * 1. For a resumed pass only the splits count, because the number of rows that were read before is not known.
   */
  get fraction(): number | null {
    const bySplits = this.splits === 0 ? null : Math.min(1, this.splitsDone / this.splits);
    if (this.resumed || bySplits === 1 || this.estimatedRows === null || this.estimatedRows <= 0) return bySplits;
    return Math.min(0.99, this.rows / this.estimatedRows);
  }

  /** The predicted milliseconds until the pass is read; `null`: too early to predict. */
  left(now: number): number | null {
    const { fraction } = this;
    const elapsed = now - this.#passBegan;
    if (this.state !== "reading" || fraction === null || elapsed < predictAfter) return null;
    const gained = fraction - this.#fractionAtBegin;
    return gained < 0.01 ? null : (elapsed * (1 - fraction)) / gained;
  }
}

/** The progress of a sync, added up from its events. */
export class SyncProgress {
  readonly began: number;
  readonly tables = new Map<string, TableProgress>();
  /** Rows and bytes read from the source, in all passes. */
  rows = 0;
  bytes = 0;

  constructor(now: number) {
    this.began = now;
  }

  apply(event: SyncEvent, now: number): void {
    switch (event.kind) {
      case "selected":
        for (const table of event.tables) this.of(table);
        return;
      case "pass":
        return this.of(event.table).begin(event, now);
      case "read":
        this.rows += event.rows;
        this.bytes += event.bytes;
        return this.of(event.table).read(event, now);
      case "settling":
        return this.of(event.table).settle();
      case "retry":
        this.of(event.table).state = "retrying";
        this.of(event.table).retried = event.error;
        return;
      case "committed":
        for (const [table, { inserted, updated, deleted }] of event.changes) {
          const { changes } = this.of(table);
          this.of(table).changes = {
            inserted: changes.inserted + inserted,
            updated: changes.updated + updated,
            deleted: changes.deleted + deleted,
          };
        }
        return;
      case "lost":
      case "followed":
        return;
      case "finished":
        this.of(event.result.table).state = event.result.outcome;
        this.of(event.result.table).run = event.result;
        this.of(event.result.table).error = event.error;
    }
  }

  /** The same for a verify: a table's first reading is a pass, and so is its second. */
  applyVerify(event: VerifyEvent, now: number): void {
    if (event.kind === "verified") {
      this.of(event.result.table).state = "whole";
      return;
    }
    const table = this.of(event.table);
    if (event.kind === "read") return table.read({ rows: event.rows, bytes: 0, splitsDone: 0 }, now);
    const { estimatedRows } = event;
    table.begin({ pass: "full", resumed: false, splits: 0, splitsDone: 0, estimatedRows }, now);
  }

  of(table: string): TableProgress {
    const known = this.tables.get(table);
    if (known !== undefined) return known;
    const progress = new TableProgress(table);
    this.tables.set(table, progress);
    return progress;
  }
}
