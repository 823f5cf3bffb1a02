import type { z } from "zod";
import type { CheckResult } from "./source.ts";
import type { Json } from "./json.ts";
import type { Log } from "./log.ts";
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
}

/** Where rows and state go: the least that every way of running offers. */
export interface Destination extends StateStore, AsyncDisposable {
  readonly capabilities: DestinationCapabilities;
  /**
   * One transaction at a time. `stamp` goes to the rows that it writes: ISO 8601, UTC, in microseconds, later than every
   * stamp before it of this connection, whatever the clock says. {@link Stored.lastStamp} is where it goes on from.
   */
  begin(lease: number, stamp: string): Promise<Transaction>;
  /**
   * Only where `reads` is `never`: what a full pass does to a table that was copied before. `settles`: the destination
   * remembers its keys, so that only what differs is written; `replaces`: the copy is truncated and every row written.
   */
  fullPass?(table: string): "settles" | "replaces";
}

/** A destination that can be read: DuckDB, DuckLake, PostgreSQL. */
export interface Warehouse extends Destination, Readable {
  check(signal: AbortSignal): AsyncIterable<CheckResult>;
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
