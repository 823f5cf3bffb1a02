import type { Type } from "../../protocol/types.ts";

/** Names of the columns that every copy has in addition to the source's. */
export interface SystemColumns {
  /** UTC: the stamp of the transaction that last wrote the row. */
  readonly synced: string;
  readonly deleted: string;
  /** Only for tables without a key: the row's hash and the number of its occurrence. */
  readonly id: string;
}

/** The copy of one table, as it is in the destination. Columns are listed by their physical names. */
export interface Copy {
  /** The id of the table. */
  readonly id: string;
  /** The quoted name, with the schema. */
  readonly relation: string;
  readonly schema: string;
  /** Without the system columns. */
  readonly columns: ReadonlyMap<string, Type>;
  /** The native types of all columns, including those that a user added. */
  readonly native: ReadonlyMap<string, string>;
  readonly system: SystemColumns;
  /** Names of the indexes that Headwaters created. */
  readonly indexes: readonly string[];
}

/** A table that rows are set aside in. Its columns have the types of the copy. */
export interface Stage {
  readonly relation: string;
  /** By their names in the source. */
  readonly columns: ReadonlyMap<string, Type>;
}

/**
 * How the rows of a pass reach the copy.
 *
 * - `direct`: rows are appended to the copy, which had no rows when the pass was opened.
 * - `set aside`: rows go into a stage that lasts until the pass is settled.
 * - `replace`: like `set aside`, and the rows of the stage become the copy.
 * - `keys`: keys and versions go into a stage; rows that are looked up are merged into the copy.
 * - `merge`: rows are merged into the copy with each commit.
 */
export type Mode = "direct" | "set aside" | "replace" | "keys" | "merge";
