import type { HeadwatersError } from "../protocol/errors.ts";
import type { PassKind } from "../protocol/pass.ts";
import type { TableRun } from "../protocol/state-store.ts";
import type { Changes } from "../protocol/transaction.ts";

/** What a sync tells while it runs, for whoever shows it. */
export type SyncEvent =
  /** All the tables that will be synced, in order. */
  | { readonly kind: "selected"; readonly tables: readonly string[] }
  /** A pass begins or goes on; `estimatedRows` is of the whole pass, where known. */
  | {
      readonly kind: "pass";
      readonly table: string;
      readonly pass: PassKind;
      readonly resumed: boolean;
      readonly splits: number;
      readonly splitsDone: number;
      readonly estimatedRows: number | null;
    }
  /** Rows and bytes that were read since the last event of this kind; `splitsDone` of the pass so far. */
  | {
      readonly kind: "read";
      readonly table: string;
      readonly rows: number;
      readonly bytes: number;
      readonly splitsDone: number;
    }
  /** Every row of the pass was read; the copy is compared and completed. */
  | { readonly kind: "settling"; readonly table: string }
  /** A reading failed and will be tried again. */
  | { readonly kind: "retry"; readonly table: string; readonly error: HeadwatersError; readonly milliseconds: number }
  /** Data and state are durable; changes by table id since the last commit. */
  | { readonly kind: "committed"; readonly changes: ReadonlyMap<string, Changes> }
  /** A table is whole, failed or was stopped; `error` is that of `run`, with its hint. */
  | { readonly kind: "finished"; readonly run: TableRun; readonly error: HeadwatersError | null };
