import type { Rows } from "./rows.ts";
import type { Holder, RunKind, RunRecord } from "./state-store.ts";
import type { Table } from "./table.ts";

/** A destination whose copies and records can be read. */
export interface Readable {
  /**
   * Begins to compare a source table, which is read again for it, with its copy. It needs no lease, and sees only what is
   * committed: a sync may go on meanwhile.
   */
  compare(table: Table): Promise<Comparison>;
  /** The process that holds the lease of the connection now; `null`: nobody. A holder that died holds nothing. */
  holder(): Promise<Holder | null>;
  /** The last runs, newest first; only those that are asked for. */
  runs(limit: number, which?: RunsAsked): Promise<readonly RunRecord[]>;
  /** The last changes of the tables' schemas, newest first. */
  schemaChanges(limit: number): Promise<readonly SchemaChange[]>;
  /** Stores the record of a run that holds no lease, such as a verify. Not allowed during a transaction. */
  keep(run: RunRecord): Promise<void>;
  /** Rows of the copy that are not deleted, with the transaction under way; `null`: there is no copy. */
  count(table: string): Promise<number | null>;
  /**
   * Writes the rows of copies that are not deleted to Parquet files, all from the same moment. `files`: path by table id.
   * Yields each table once its file is complete. Not allowed during a transaction. Absent: not supported.
   */
  exportParquet?(
    files: ReadonlyMap<string, string>,
    how: { readonly systemColumns: boolean; readonly signal: AbortSignal },
  ): AsyncGenerator<{ readonly table: string; readonly rows: number }>;
}

export interface RunsAsked {
  readonly kind?: RunKind | null;
  /** Those that started before this moment. */
  readonly before?: string | null;
  readonly id?: string | null;
}

/** A column that came, went or became another, or another key. */
export interface SchemaChange {
  /** ISO 8601, UTC. */
  readonly at: string;
  readonly table: string;
  /** Such as `column "email" added as STRING`. */
  readonly change: string;
}

/** One key at which source and copy differ. */
export interface Difference {
  /**
   * `missing`: only in the source; `extra`: only in the copy; `different`: in both. `repeated`: several rows of the source
   * have this key, with different values.
   */
  readonly kind: "missing" | "extra" | "different" | "repeated";
  /** The key: value as text by column name. */
  readonly key: Readonly<Record<string, string | null>>;
  /** The version column as text, which shows what changed meanwhile; `null`: no such row, or no such column. */
  readonly version: { readonly source: string | null; readonly copy: string | null };
  /** For `different`: the columns that differ. */
  readonly columns: readonly { readonly name: string; readonly source: string | null; readonly copy: string | null }[];
}

/**
 * The two readings of `verify`. The first adds every row of the source to the digest of a bucket, by the hash of its key;
 * the digest does not depend on the order of rows. The second keeps only rows of buckets that differ, and names the keys.
 */
export interface Comparison extends AsyncDisposable {
  /** The stamp of the last commit that had written to the copy when the comparison began; `null`: unknown. */
  readonly written: string | null;
  /** Whether a sync has written to the copy since then. */
  rewritten(): Promise<boolean>;
  /** May read the copy whole. */
  seal(): Promise<Seal>;
  /** First reading. */
  digest(rows: Rows): Promise<void>;
  /** Ends the first reading: rows on both sides, and how many buckets there are and differ. */
  digested(): Promise<{
    readonly source: number;
    readonly copy: number;
    readonly buckets: number;
    readonly differing: number;
  }>;
  /** Second reading. Call `digested` first. */
  collect(rows: Rows): Promise<void>;
  /**
   * Ends the second reading. `explain` is called for every difference. It returns why the copy may be right although
   * they differ; `null`: it has no explanation. Up to `limit` differences of each kind are shown, those without an explanation first.
   */
  differences(
    limit: number,
    explain: (one: Pick<Difference, "kind" | "version">) => string | null,
  ): Promise<Differences>;
}

/**
 * Whether a copy is as the last sync left it: `intact`, or changed by something else (`broken`); `none`: unknown.
 */
export type Seal = "intact" | "broken" | "none";

/** How many keys of each kind differ. */
export interface Differences {
  readonly missing: number;
  readonly extra: number;
  readonly different: number;
  /**
   * Keys that the source gave more than once with different values, the same in both readings. They count as unexplained
   * too.
   */
  readonly repeated: number;
  /** Other keys that the second reading gave more than once with different values: their rows changed meanwhile. */
  readonly moved: number;
  /** Rows that the source gave more than once, without the last row of each key. They were digested too. */
  readonly again: number;
  readonly unexplained: number;
  /** The explanations of the others. */
  readonly explanations: readonly string[];
  readonly shown: readonly Difference[];
}
