import type { z } from "zod";
import type { CheckResult } from "./source.ts";
import type { Json } from "./json.ts";
import type { Log } from "./log.ts";
import type { QueryResult, UserQuery } from "./query.ts";
import type { Readable } from "./readable.ts";
import type { StateStore } from "./state-store.ts";
import type { Transaction } from "./transaction.ts";

/** What a destination can do, as data. */
export interface DestinationCapabilities {
  /** What one commit holds: everything of the connection, or one table. */
  readonly atomic: "connection" | "table";
  /** How many processes may write one connection at the same time. */
  readonly writers: "one" | "many";
  /** Whether a transaction that is undone takes back the tables and columns that it made. */
  readonly ddl: "transactional" | "not";
  /** When others can read the copies; `never`: nobody can, so that no sweep can be made. */
  readonly reads: "while written" | "between syncs" | "never";
  /** While a stream is followed, commits are this far apart unless the user says otherwise, in milliseconds. */
  readonly freshEach?: number;
}

/** Where rows and state go: what every destination offers. */
export interface Destination extends StateStore, AsyncDisposable {
  readonly capabilities: DestinationCapabilities;
  /**
   * One transaction at a time. The rows that it writes get `stamp`: ISO 8601, UTC, in microseconds, later than every
   * earlier stamp of this connection, whatever the clock says. It goes on from {@link Stored.lastStamp}.
   */
  begin(lease: number, stamp: string): Promise<Transaction>;
  /**
   * Called between commits of a stream that is followed. Where others can't read while this destination is open, it lets go
   * until it is used again; the lease stays.
   */
  rest?(): Promise<void>;
  /**
   * Only if `reads` is `never`: what a full pass does to a table that was copied before. `settles`: the destination
   * remembers its keys, so that only what differs is written. `replaces`: the copy is truncated and every row written.
   */
  fullPass?(table: string): "settles" | "replaces";
}

/** A destination that can be read: DuckDB, DuckLake, PostgreSQL. */
export interface Warehouse extends Destination, Readable {
  check(signal: AbortSignal): AsyncIterable<CheckResult>;
}

export type Deletion = "soft" | "hard";

/** What a destination is opened with, besides its configuration. */
export interface DestinationContext {
  readonly log: Log;
  /** The name of the connection: a destination may serve several. */
  readonly connection: string;
  /** The destination schema that the tables go to. */
  readonly schema: string;
  /** `_headwaters` or `_fivetran`: `<prefix>_synced`, `<prefix>_deleted`, `<prefix>_id`. */
  readonly systemColumnPrefix: string;
  /** Whether deleted rows are marked or removed. */
  readonly deletion: Deletion;
  /** By table id: exceptions from `deletion`. */
  readonly deletions?: Readonly<Record<string, Deletion>>;
  /** By table id: the names in the destination of tables that the user renamed. */
  readonly rename: Readonly<Record<string, string>>;
  /** `live`: each copy gets a view without deleted rows, in the schema `<schema>_live`. */
  readonly views?: "none" | "live";
  /** How long runs and schema changes are kept, in milliseconds. Absent: for ever. */
  readonly keepRuns?: number;
}

/** A kind of destination, as the registry knows it. */
export interface DestinationDefinition<Schema extends z.ZodType = z.ZodType> {
  readonly name: string;
  readonly title: string;
  readonly configuration: Schema;
  /**
   * Turns the part after `duckdb:` on the command line into a configuration, which is checked afterwards. `variables`:
   * the environment, which may have a password; absent: that of the process.
   */
  fromAddress(address: string, variables?: NodeJS.ProcessEnv): Json;
  /**
   * Checks whether the destination can be reached and written, without opening it as a warehouse: it may not exist yet.
   */
  check(configuration: z.output<Schema>, context: DestinationContext, signal: AbortSignal): AsyncIterable<CheckResult>;
  /** `create: false`: throws `DESTINATION_EMPTY` if nothing exists yet. */
  open(
    configuration: z.output<Schema>,
    context: DestinationContext,
    how: { readonly create: boolean },
  ): Promise<Warehouse>;
  /** Runs a query of the user, who may read whatever the login may, and write nothing. */
  query(configuration: z.output<Schema>, query: UserQuery): Promise<QueryResult>;
}
