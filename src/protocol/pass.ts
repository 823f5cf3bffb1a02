import type { Json } from "./json.ts";
import type { Table } from "./table.ts";

/**
 * - `full` reads every row. The first full pass fills the copy; a later one is set aside, compared and settled.
 * - `window` reads the rows whose cursor column lies in one window.
 * - `keys` reads key and version of every row: a sweep.
 * - `stream` reads changes in their order.
 */
export type PassKind = "full" | "window" | "keys" | "stream";

/**
 * The unit of work: a part of a pass that can be read, resumed, retried and checked alone, in any process. Plain JSON.
 */
export interface Split {
  /** Unique in its pass. */
  readonly id: string;
  /** Ids of the tables whose rows it reads. */
  readonly tables: readonly string[];
  /** What the source needs to read it: bounds, a cursor window. */
  readonly work: Json;
}

/** The source's plan of a pass. The engine stores the pass before its first row is read. */
export interface Plan {
  readonly splits: readonly Split[];
  /**
   * By table id: where the next window starts, once this pass is closed. Unused after a `stream`, which goes on from the
   * states that its splits ended with: see {@link nextOfStream}.
   */
  readonly next: Readonly<Record<string, Json>>;
  /** The read point: the rows are those of this moment, or later. ISO 8601, UTC, by the source's clock. */
  readonly asOf: string;
  /**
   * Rows with this version or a later one may have been written, but not committed, at the read point; the next window has
   * them. ISO 8601, UTC. Absent: writers commit within a second of the moment that they write into the version.
   */
  readonly unseenFrom?: string;
  /**
   * For a `stream`: it does not go on from `previous`, so it does not show what was removed meanwhile. If tables are read
   * together, their copies are emptied before its first row. A table that is planned alone is read whole instead and
   * settled, or caught up with (`SourceCapabilities.catchesUp`); then its stream is planned again.
   */
  readonly startsOver?: true;
  /** Why the changes since `previous` can't be known any more, as the end of a sentence. Absent: nothing was lost. */
  readonly lost?: string;
  /**
   * For a `full` pass: it gives each key once, since it reads one snapshot. Two rows with the same key are then two rows of
   * the source whose keys became one, and not one row that was read twice.
   */
  readonly distinct?: true;
  /** Identifies the snapshot of the source that all splits read; `null`: they share none. */
  readonly snapshot: Json;
}

/** One planned reading of one or more tables. It may span several syncs. */
export interface Pass extends Plan {
  readonly id: string;
  readonly kind: PassKind;
  /** As they were when the pass was planned. */
  readonly tables: readonly Table[];
  /**
   * The stamp of the transaction that opened it, see `Destination.begin`. Settling the pass does not undo rows with a later
   * stamp.
   */
  readonly opened: string;
  /** A fingerprint of everything that decides which rows and columns are read. */
  readonly scope: string;
  /**
   * Rows of the copy, not deleted, before the sync that opened the pass wrote any: the delete limit is a part of them.
   * Absent if the pass deletes nothing, or was opened by a version that did not store it.
   */
  readonly copyRows?: number;
  /** The rows replace the copy without being compared with it, since its key is another or has another type. */
  readonly replace: boolean;
}

/** How far one split was read. */
export interface Progress {
  readonly pass: string;
  readonly split: string;
  /** Counts the attempts at this split, from 1. A commit for an older attempt is refused. */
  readonly attempt: number;
  /** Counts the commits of this split, from 1. A commit that does not follow the stored one is refused. */
  readonly version: number;
  /** What the split needs to resume; small and bounded. */
  readonly state: Json;
  /** The read point of the last checkpoint that had one. */
  readonly asOf?: string;
  readonly done: boolean;
}

/**
 * Where the next `stream` starts for one table: the last state of its split or, if several splits read the table, an
 * object with their last states by split id. `states`: the last state of each split.
 */
export function nextOfStream({ splits }: Plan, table: string, states: ReadonlyMap<string, Json>): Json {
  const own = splits.filter((split) => split.tables.includes(table)).map(({ id }) => [id, states.get(id) ?? null]);
  return own.length > 1 ? Object.fromEntries(own) : (own[0]?.[1] ?? null);
}
