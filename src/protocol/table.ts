import type { Json } from "./json.ts";
import type { Type } from "./types.ts";

export interface Column {
  readonly name: string;
  readonly type: Type;
  readonly nullable: boolean;
  /** Changes without the row having changed (a time to live): copied, never compared. */
  readonly volatile?: true;
}

/** A source table, keyspace table, collection or key space. */
export interface Table {
  /** Its name in the source, unique there; also the copy's name, unless the user renamed it. */
  readonly id: string;
  /** The columns that are selected, in order. A source reads these and no others. */
  readonly columns: readonly Column[];
  /** Names of the key columns, in key order; empty: no key, so the table is always read fully. */
  readonly key: readonly string[];
  /** Another value means another table under the same name (dropped and made again): an oid, a CQL or RethinkDB id. */
  readonly identity: string;
  /** The cursor column, by which window passes read; `null`: there is none. */
  readonly cursor: string | null;
  /**
   * The column that differs whenever a row was changed, which sweeps compare; `null`: sweeps find inserts and deletes only.
   * Where it holds a moment (alone, or before a `|`), that tells `verify` which rows changed since a sync.
   */
  readonly version: string | null;
  /** About how many rows it has, for estimates and progress; `null`: unknown. */
  readonly estimatedRows: number | null;
  /** What a user should know of how this table is read, in whole sentences; `discover` shows them. */
  readonly notes: readonly string[];
}

/** Whether windows show every change but deletes: else rows must be swept for the others too. */
export function cursorShowsAll({ cursor, version }: Table): boolean {
  return cursor !== null && version === cursor;
}

/** What the destination keeps of a table between syncs, as of the last pass that was closed on it. */
export interface TableState {
  /** As it stood then: drift is told by comparison with it. */
  readonly table: Table;
  /** The pass's `next` of this table: where the following window starts. `null`: the source keeps none. */
  readonly next: Json;
  /** The read point of the copy: ISO 8601, UTC. */
  readonly asOf: string;
  /** The read point of the last pass that read every row: ISO 8601, UTC. */
  readonly readAt: string;
  /** A fingerprint of everything that decides which rows and columns are in the copy. */
  readonly scope: string;
  /** When the last pass over every key began (full or keys): ISO 8601, UTC. */
  readonly sweptAt: string;
  /** How long that pass took, in milliseconds: what the next sweep is estimated to take. */
  readonly sweepMilliseconds: number | null;
  /** The copy has values that only reading every row once more makes the source's. */
  readonly reread?: true;
}
