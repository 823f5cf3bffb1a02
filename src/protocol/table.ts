import type { HeadwatersError } from "./errors.ts";
import type { Json } from "./json.ts";
import type { Type } from "./types.ts";

export interface Column {
  readonly name: string;
  readonly type: Type;
  readonly nullable: boolean;
  /** It changes even if the row does not (such as a time to live): copied, never compared. */
  readonly volatile?: true;
  /** The moment at which the source drops the row by itself; NULL: never. A UTC_DATETIME. */
  readonly expires?: true;
  /** Its comment in the source. */
  readonly comment?: string;
}

/** A source table, keyspace table, collection or key space. */
export interface Table {
  /** Its name in the source, where it is unique. Also the name of the copy, unless the user renamed it. */
  readonly id: string;
  /** The selected columns, in order. A source reads only these. */
  readonly columns: readonly Column[];
  /** Names of the key columns, in key order; empty: no key, so that the table is always read fully. */
  readonly key: readonly string[];
  /** An oid, a CQL or RethinkDB id. Another value means another table of the same name: dropped and created again. */
  readonly identity: string;
  /**
   * Another value means that all rows may be others, which neither cursor nor version need show (TRUNCATE, VACUUM FULL):
   * every row is read again. Absent: the source can't tell.
   */
  readonly storage?: string;
  /** The cursor column, by which window passes read; `null`: none. */
  readonly cursor: string | null;
  /**
   * The column whose value differs whenever a row changed, which sweeps compare; `null`: sweeps only find inserts and
   * deletes. If it is a moment (alone, or before a `|`), it shows `verify` which rows changed since a sync.
   */
  readonly version: string | null;
  /**
   * After a full pass, `stream` passes show every change and every delete, so that neither windows nor sweeps are needed.
   * Absent: they don't.
   */
  readonly streamed?: true;
  /** Approximate number of rows, for estimates and progress; `null`: unknown. */
  readonly estimatedRows: number | null;
  /** What a user should know about how this table is read, in whole sentences; `discover` shows them. */
  readonly notes: readonly string[];
  /** Its comment in the source. */
  readonly comment?: string;
  /**
   * Why the table can't be described, such as a setting that does not fit it. It fails alone with this error; of its other
   * fields only the id is valid.
   */
  readonly refused?: HeadwatersError;
}

/** Whether windows show every change except deletes. Otherwise sweeps must find the others too. */
export function cursorShowsAll({ cursor, version }: Table): boolean {
  return cursor !== null && version === cursor;
}

/** Deletes that were held back, because they are more than the delete limit allows. */
export interface HeldDeletes {
  /** The rows of the copy that the source no longer has. */
  readonly gone: number;
  /** The rows of the copy before the pass that found them. The limit stays a part of these though new rows arrive. */
  readonly of: number;
}

/** What the destination stores of a table between syncs: its state after the last closed pass. */
export interface TableState {
  /** As it was then: schema changes are found by comparing with it. */
  readonly table: Table;
  /** The pass's `next` of this table: where the next window starts. `null`: the source needs none. */
  readonly next: Json;
  /** The read point of the copy: ISO 8601, UTC. */
  readonly asOf: string;
  /** The pass's `unseenFrom`. */
  readonly unseenFrom?: string;
  /** The read point of the last pass that read every row: ISO 8601, UTC. */
  readonly readAt: string;
  /** A fingerprint of everything that decides which rows and columns are in the copy. */
  readonly scope: string;
  /** The read point of the last pass over every key (full or keys): ISO 8601, UTC. */
  readonly sweptAt: string;
  /** How long that pass took, in milliseconds: the estimate for the next sweep. `null`: unknown. */
  readonly sweepMilliseconds: number | null;
  readonly held?: HeldDeletes;
  /** The copy has values that differ from the source's until every row is read again. */
  readonly reread?: true;
}
