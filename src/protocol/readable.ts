import type { Rows } from "./rows.ts";
import type { RunRecord } from "./state-store.ts";
import type { Table } from "./table.ts";

/** A destination whose copies and records can be read. Reads see the transaction under way. */
export interface Readable {
  /** Compares a source table, read once more, with its copy. */
  compare(table: Table): Promise<Comparison>;
  /** The last runs, newest first. */
  runs(limit: number): Promise<readonly RunRecord[]>;
  /** Rows of the copy that are not deleted; `null`: there is no copy. */
  count(table: string): Promise<number | null>;
  /**
   * Writes the rows of copies that are not deleted to Parquet files, all from one moment: by table id, the path of its
   * file. Yields each table once its file is whole. Not while a transaction is under way. Absent: it can't.
   */
  exportParquet?(
    files: ReadonlyMap<string, string>,
    how: { readonly systemColumns: boolean; readonly signal: AbortSignal },
  ): AsyncGenerator<{ readonly table: string; readonly rows: number }>;
}

/** One key by which source and copy differ. */
export interface Difference {
  /** `missing`: only in the source; `extra`: only in the copy; `different`: in both. */
  readonly kind: "missing" | "extra" | "different";
  /** Column name to value as text, of the key. */
  readonly key: Readonly<Record<string, string | null>>;
  /** The table's version column as text, `null` where there is no row or no such column: tells what moved meanwhile. */
  readonly version: { readonly source: string | null; readonly copy: string | null };
  /** Of a `different` row: the columns that differ. */
  readonly columns: readonly { readonly name: string; readonly source: string | null; readonly copy: string | null }[];
}

/**
 * The two readings of `verify`. The first puts every row of the source into an order-free digest by bucket of its
 * key's hash; the second keeps only the rows of buckets whose digests differ, and names their keys.
 */
export interface Comparison extends AsyncDisposable {
  /** First reading. */
  digest(rows: Rows): Promise<void>;
  /** Ends the first reading: rows on both sides, and in how many of the buckets the digests differ. */
  digested(): Promise<{
    readonly source: number;
    readonly copy: number;
    readonly buckets: number;
    readonly differing: number;
  }>;
  /** Second reading; call `digested` first. */
  collect(rows: Rows): Promise<void>;
  /** Ends the second reading: how many keys differ, and up to `limit` of each kind. */
  differences(limit: number): Promise<{
    readonly missing: number;
    readonly extra: number;
    readonly different: number;
    /** Rows that the source gave of a key beside its last: a key that it reads twice is digested twice, too. */
    readonly repeated: number;
    readonly shown: readonly Difference[];
  }>;
}
