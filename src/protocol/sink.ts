import type { z } from "zod";
import type { Json } from "./json.ts";
import type { Log } from "./log.ts";
import type { Operation } from "./operation.ts";
import type { Pass, Progress, Split } from "./pass.ts";
import type { Rows } from "./rows.ts";
import type { CheckResult } from "./source.ts";
import type { Table, TableState } from "./table.ts";

/** Who holds the lease of a connection. */
export interface Holder {
  readonly host: string;
  readonly pid: number;
  /** ISO 8601, UTC. */
  readonly since: string;
}

/** What the destination holds of a connection. */
export interface Stored {
  /** Passes that were opened and not closed yet. */
  readonly passes: readonly Pass[];
  /** Of the splits of these passes. */
  readonly progress: readonly Progress[];
  /** By table id. */
  readonly tables: ReadonlyMap<string, TableState>;
  /** The run that began last; `null`: none, or runs are not kept. */
  readonly lastRun: RunRecord | null;
}

/** Where operations go: the least that every way of running offers. Fivetran's has no reading side. */
export interface Sink extends AsyncDisposable {
  /**
   * Makes this process the one writer of the connection and gives a lease, greater than any before it. Throws
   * `SYNC_RUNNING`, and says who, while another holds it. It ends with `release`, with the sink, or with the process.
   */
  acquire(holder: Holder): Promise<number>;
  release(lease: number): Promise<void>;
  load(): Promise<Stored>;
  /** `syncStart` stamps the rows that the transaction writes: ISO 8601, UTC. One transaction at a time. */
  begin(lease: number, syncStart: string): Promise<Transaction>;
  settlement(pass: Pass, table: Table): Promise<Settlement>;
  /**
   * Keys (the key columns) to be looked up: those that {@link Settlement.missing} counts. They are fixed when the
   * iteration begins; the engine writes and commits in transactions while it goes on.
   */
  missing(pass: Pass, table: Table): AsyncIterable<Rows>;
  /** Likewise: those that {@link Settlement.gone} counts. */
  gone(pass: Pass, table: Table): AsyncIterable<Rows>;
  /**
   * Only where the copy can't be read, so that no sweep can be made: what a full pass does to a table that was copied
   * before. `settles`: the sink remembers its keys, so that only what differs is written; `replaces`: the copy is
   * truncated and every row written.
   */
  fullPass?(table: string): "settles" | "replaces";
}

/** How many rows of one table a transaction changed. */
export interface Changes {
  readonly inserted: number;
  readonly updated: number;
  readonly deleted: number;
}

/** Disposed uncommitted, it is undone as a whole. */
export interface Transaction extends AsyncDisposable {
  /** Stores a pass and makes its tables ready: created, new columns added, types widened, dropped columns NULL. */
  open(pass: Pass): Promise<void>;
  /** Lets a pass go with what was set aside of it: it will start over. Rows that it has already put into the copy stay. */
  abandon(pass: Pass): Promise<void>;
  /**
   * `split` is `null` for rows that the engine looked up while settling. What a `schema` operation adds becomes part
   * of the stored pass too: `load` gives it back so.
   */
  write(pass: Pass, split: Split | null, operation: Exclude<Operation, { kind: "checkpoint" }>): Promise<void>;
  /**
   * All splits are done: settles what was set aside (writes what differs, deletes what the pass did not meet), forgets
   * the pass, keeps `states`. Deletes only keys that the copy had before the pass was opened.
   */
  close(pass: Pass, states: ReadonlyMap<string, TableState>): Promise<void>;
  /** Forgets all state of these tables, and with `drop` their copies too. */
  reset(tables: readonly string[], drop: boolean): Promise<void>;
  /** Keeps the record of a run; one with the same id is replaced. */
  record(run: RunRecord): Promise<void>;
  /**
   * Makes data, state and progress durable together. Compare-and-set: throws `LEASE_LOST`, and changes nothing, where
   * the lease is not the newest or a progress does not follow the stored one. Resolves to the changes by table id.
   */
  commit(progress: readonly Progress[]): Promise<ReadonlyMap<string, Changes>>;
}

/** The record of one sync, kept in the destination. */
export interface RunRecord {
  readonly id: string;
  /** ISO 8601, UTC. */
  readonly started: string;
  readonly ended: string | null;
  readonly outcome: "running" | "succeeded" | "failed" | "stopped";
  readonly tables: readonly TableRun[];
}

/** What one sync did on one table. */
export interface TableRun extends Changes {
  readonly table: string;
  readonly outcome: "running" | "whole" | "failed" | "stopped";
  /** The kinds of its passes, in their order. */
  readonly passes: readonly string[];
  /** Rows and bytes that were read from the source. */
  readonly rowsRead: number;
  readonly bytesRead: number;
  readonly milliseconds: number;
  readonly asOf: string | null;
  readonly error: string | null;
}

/** How the copy of a table stands against a completed pass that is about to be settled. */
export interface Settlement {
  /** Rows of the copy that are not deleted. */
  readonly live: number;
  /** Keys of the pass that the copy lacks or has in another version. Of a `keys` pass only; else 0. */
  readonly missing: number;
  /**
   * Keys that the copy had before the pass and the pass did not meet. Where keys can't be compared (the pass replaces the
   * copy, or the table has no key): how many rows fewer it brought than the copy has.
   */
  readonly gone: number;
}

/** A destination that can be read: DuckDB, PostgreSQL, DuckLake. Reads see the transaction under way. */
export interface Warehouse extends Sink {
  check(signal: AbortSignal): AsyncIterable<CheckResult>;
  /** Compares a source table, read once more, with its copy. */
  compare(table: Table): Promise<Comparison>;
  /** The last runs, newest first. */
  runs(limit: number): Promise<readonly RunRecord[]>;
  /** Rows of the copy that are not deleted; `null`: there is no copy. */
  count(table: string): Promise<number | null>;
  /**
   * Writes the rows of copies that are not deleted to Parquet files, all as of one moment: by table id, the path of its
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

export type Deletion = "soft" | "hard";

/** What a destination is opened with, beside its configuration. */
export interface DestinationContext {
  readonly log: Log;
  /** The name of the connection: one destination may serve several. */
  readonly connection: string;
  /** The destination schema that the tables go to. */
  readonly schema: string;
  /** `_headwaters` or `_fivetran`: `<prefix>_synced`, `<prefix>_deleted`, `<prefix>_id`. */
  readonly systemColumnPrefix: string;
  /** Deleted rows are marked, or removed. */
  readonly deletion: Deletion;
  /** By table id: for tables where it is otherwise. */
  readonly deletions?: Readonly<Record<string, Deletion>>;
  /** By table id: the names in the destination, where the user renamed. */
  readonly rename: Readonly<Record<string, string>>;
}

/** A kind of destination, as the registry knows it. */
export interface DestinationDefinition<Schema extends z.ZodType = z.ZodType> {
  readonly name: string;
  readonly title: string;
  readonly configuration: Schema;
  /** Turns the part behind `duckdb:` on the command line into a configuration, before it is checked. */
  fromAddress(address: string): Json;
  /**
   * Looks at the destination without opening it as a warehouse, where there may be nothing yet: whether it can be
   * reached and may be written. Absent: what can be opened is checked by {@link Warehouse.check}.
   */
  check?(configuration: z.output<Schema>, context: DestinationContext, signal: AbortSignal): AsyncIterable<CheckResult>;
  /** `create: false`: throws `DESTINATION_EMPTY` where there is nothing yet. */
  open(
    configuration: z.output<Schema>,
    context: DestinationContext,
    how: { readonly create: boolean },
  ): Promise<Warehouse>;
}
