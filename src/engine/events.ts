import type { HeadwatersError } from "../protocol/errors.ts";
import type { PassKind } from "../protocol/pass.ts";
import type { KeptStream } from "../protocol/source.ts";
import type { TableRun } from "../protocol/state-store.ts";
import type { Changes } from "../protocol/transaction.ts";

/** What every event has. */
export interface EventOrigin {
  /** ISO 8601, UTC. */
  readonly at: string;
  /** The id of the sync, or of the `verify`, that it belongs to. */
  readonly run: string;
  readonly connection: string;
}

/** What a sync reports while it runs. */
export type SyncEvent = EventOrigin & SyncHappening;

/** Adds the origin to everything that happens in one run of a connection. */
export function reporter<Happening extends object>(
  connection: string,
  id: string,
  report: (event: EventOrigin & Happening) => void,
): (happening: Happening) => void {
  return (happening) => report({ at: new Date().toISOString(), run: id, connection, ...happening });
}

export type SyncHappening =
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
  /** The changes since its last pass can't be known any more: the table is read whole. `reason` ends a sentence. */
  | { readonly kind: "lost"; readonly table: string; readonly reason: string }
  /** A reading failed and will be tried again. */
  | { readonly kind: "retry"; readonly table: string; readonly error: HeadwatersError; readonly milliseconds: number }
  /** Data and state are durable; changes by table id since the last commit. */
  | { readonly kind: "committed"; readonly changes: ReadonlyMap<string, Changes> }
  /**
   * While a stream is followed: these tables are up to date, durably; if there are none, only `kept` is new.
   * `lag`: the age of the oldest of their changes then, in milliseconds; 0: there was none; `null`: unknown, since other
   * tables are being read. `kept`: what the source keeps.
   */
  | {
      readonly kind: "followed";
      readonly tables: readonly string[];
      readonly lag: number | null;
      readonly kept: KeptStream | null;
    }
  /** A table is whole, failed or was stopped; `error` is that of `result`, whole. */
  | { readonly kind: "finished"; readonly result: TableRun; readonly error: HeadwatersError | null };

/** Whether a follower reports an event. What happens at every commit is reported once, by `followed`. */
export function isNotable(event: SyncEvent): boolean {
  switch (event.kind) {
    case "read":
    case "settling":
      return false;
    case "pass":
      return event.pass !== "stream";
    case "finished":
      return event.error !== null || event.result.passes.some((pass) => pass !== "stream");
    case "committed":
      return event.changes.size > 0;
    case "followed":
      return event.tables.length > 0;
    default:
      return true;
  }
}
