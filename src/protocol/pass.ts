import type { Json } from "./json.ts";
import type { Table } from "./table.ts";

/**
 * - `full` reads every row. The first fills the table; a later one is set aside and settled.
 * - `window` reads the rows whose cursor column lies in one window.
 * - `keys` reads key and version of every row: a sweep.
 * - `stream` reads a change stream.
 */
export type PassKind = "full" | "window" | "keys" | "stream";

/**
 * The unit of work: a part of a pass that can be read alone, resumed alone, retried alone and checked alone, in any
 * process. Plain JSON.
 */
export interface Split {
  /** Unique in its pass. */
  readonly id: string;
  /** Ids of the tables whose rows it holds. */
  readonly tables: readonly string[];
  /** What the source needs to read it: bounds, a cursor window. */
  readonly work: Json;
}

/** What a source plans; the engine makes a pass of it and stores it before its first row is read. */
export interface Plan {
  readonly splits: readonly Split[];
  /**
   * By table id: where the window that follows this pass starts, once the pass is closed. Not of a `stream`: the states
   * that its splits ended with are kept, see {@link nextOfStream}.
   */
  readonly next: Readonly<Record<string, Json>>;
  /** The read point: the rows are true as of this moment or later. ISO 8601, UTC, by the source's clock. */
  readonly asOf: string;
  /**
   * Of a `stream`: it does not go on from `previous`, so what was removed meanwhile is not in it. The copies of its
   * tables are emptied before its first row.
   */
  readonly startsOver?: true;
  /** What ties the splits to one snapshot of the source; `null`: nothing does. */
  readonly snapshot: Json;
}

/** One planned reading of one or more tables; it may span runs. */
export interface Pass extends Plan {
  readonly id: string;
  readonly kind: PassKind;
  /** As they stood when the pass was planned. */
  readonly tables: readonly Table[];
  /** The start of the sync that opened it: ISO 8601, UTC. Rows that a later sync wrote are not undone by settling it. */
  readonly opened: string;
  /** A fingerprint of everything that decides which rows and columns are read. */
  readonly scope: string;
  /** What is read replaces the copy whole (another key, or one of another type): nothing of the old one is compared. */
  readonly replace: boolean;
}

/** How far one split has come. */
export interface Progress {
  readonly pass: string;
  readonly split: string;
  /** Counts the readings of this split, from 1; a commit for an older attempt is refused. */
  readonly attempt: number;
  /** Counts the commits of this split, from 1; a commit that does not follow the stored one is refused. */
  readonly version: number;
  /** What the split needs in order to resume; small and bounded. */
  readonly state: Json;
  /** The read point of the last checkpoint that had one. */
  readonly asOf?: string;
  readonly done: boolean;
}

/**
 * Where the `stream` that follows starts for one table: of one split its last state, of several an object of their last
 * states by split id. `states`: the last state of each split.
 */
export function nextOfStream({ splits }: Plan, table: string, states: ReadonlyMap<string, Json>): Json {
  const own = splits.filter((split) => split.tables.includes(table)).map(({ id }) => [id, states.get(id) ?? null]);
  return own.length > 1 ? Object.fromEntries(own) : (own[0]?.[1] ?? null);
}
