import type { Type } from "../../protocol/types.ts";

/** Names of the columns that every copy has beside the source's. */
export interface SystemColumns {
  /** UTC: the stamp of the transaction that last wrote the row. */
  readonly synced: string;
  readonly deleted: string;
  /** Only of tables without a key: hash of the row and its occurrence. */
  readonly id: string;
}

/** The copy of one table, as it stands in the destination. Its columns go by their physical names. */
export interface Copy {
  /** The id of the table. */
  readonly id: string;
  /** As SQL has it. */
  readonly relation: string;
  readonly schema: string;
  /** The system columns are not among them. */
  readonly columns: ReadonlyMap<string, Type>;
  /** The database's types of all its columns, also of those that a user added. */
  readonly native: ReadonlyMap<string, string>;
  readonly system: SystemColumns;
  /** Names of the indexes that we made. */
  readonly indexes: readonly string[];
}

/** Where rows are set aside: columns of the table, each with the type that it has in the copy. */
export interface Stage {
  readonly relation: string;
  /** By the names that the source has for them. */
  readonly columns: ReadonlyMap<string, Type>;
}

/**
 * How the rows of a pass reach the copy.
 *
 * - `direct`: appended, for a copy that had no row when the pass was opened.
 * - `set aside`: into a stage that lasts until the pass is settled.
 * - `replace`: likewise, and what is in the stage becomes the copy.
 * - `keys`: keys and versions into a stage; rows that are looked up are merged.
 * - `merge`: into the copy with each commit.
 */
export type Mode = "direct" | "set aside" | "replace" | "keys" | "merge";
