import type { Json } from "../protocol/json.ts";
import type { Log } from "../protocol/log.ts";
import type { Destination, Warehouse } from "../protocol/destination.ts";
import type { Selection, Source, SourceCapabilities } from "../protocol/source.ts";

/** An open connection: one source, one destination, what is selected and how it is synced. */
export interface Connection {
  readonly name: string;
  readonly source: Source;
  readonly capabilities: SourceCapabilities;
  readonly warehouse: Warehouse;
  /** What decides which rows exist, besides the selection: server, database, schema. */
  readonly scope: Json;
  /** The same, for the server's other addresses: a copy that was made under one of them goes on. */
  readonly sameScopes?: readonly Json[];
  /** Of tables, by table id. */
  readonly selection: Selection;
  readonly settings: Settings;
  /** Settings for individual tables, by table id. */
  readonly tables?: Readonly<Record<string, TableSettings>>;
  readonly log: Log;
  /** Removes secrets from a text that is stored: errors may repeat what a server or a custom source says. */
  readonly withoutSecrets?: (text: string) => string;
}

/** What a sync needs of a connection. The destination may be one that can't be read. */
export interface SyncConnection extends Omit<Connection, "warehouse"> {
  readonly warehouse: Destination;
}

/** Settings for one table, which override those of the connection. */
export interface TableSettings {
  /**
   * `full`: read whole in each sync. `incremental`: an error if nothing shows what changed. Absent: incremental where
   * possible.
   */
  readonly mode?: "full" | "incremental";
  /** Of its columns, by their names in the source. */
  readonly columns?: Selection;
  /** By column name in the source: the name in the copy. */
  readonly renameColumns?: Readonly<Record<string, string>>;
  /** The name of the copy. */
  readonly rename?: string;
  /** As in the source's `TableOptions`. */
  readonly filter?: Json;
  readonly settings?: Partial<Pick<Settings, "deletes" | "reread" | "maxDeleteFraction" | "schemaChanges">>;
}

/** How a connection is synced. */
export interface Settings {
  /** When to look for deletes: `auto` (in each sync where that takes seconds, else once a day) or an interval in ms. */
  readonly deletes: "auto" | "each_sync" | "never" | number;
  /** When to read every row again without another reason: `auto` (as the source says) or an interval in ms. */
  readonly reread: "auto" | "never" | number;
  /** The delete limit: the fraction of a table's rows that one pass may delete without the user's agreement, 0–1. */
  readonly maxDeleteFraction: number;
  readonly schemaChanges: "allow_all" | "allow_columns" | "block_all";
  /** How many splits are read at the same time. */
  readonly parallel: number;
  /** Rows that wait for the destination take at most about this many bytes. */
  readonly memoryBytes: number;
  readonly batchBytes: number;
  /** While rows arrive, data and state are committed at least this often, in milliseconds … */
  readonly commitMilliseconds: number;
  /** … and after this many rows; `null`: by time alone. */
  readonly commitRows: number | null;
  /** While a stream is followed, the least time between two commits, in milliseconds; `null`: the destination's default. */
  readonly followMilliseconds: number | null;
  /** While a stream is followed, tables without a stream are synced this often, in milliseconds. */
  readonly followInterval: number;
  /** How many rows are read from the source per second, at most; `null`: no limit. */
  readonly maxRowsPerSecond: number | null;
  /** How often one split is tried before its table fails. */
  readonly attempts: number;
}

/** The settings for one table alone. */
export function tableSettings({ tables = {} }: Pick<Connection, "tables">, table: string): TableSettings {
  return Object.hasOwn(tables, table) ? tables[table]! : {};
}

/** The settings that hold for one table. */
export function settingsOf(connection: Pick<Connection, "settings" | "tables">, table: string): Settings {
  return { ...connection.settings, ...tableSettings(connection, table).settings };
}

export const defaultSettings: Settings = {
  deletes: "auto",
  reread: "auto",
  maxDeleteFraction: 0.5,
  schemaChanges: "allow_all",
  parallel: 4,
  memoryBytes: 64 << 20,
  batchBytes: 1 << 20,
  commitMilliseconds: 5_000,
  commitRows: null,
  followMilliseconds: null,
  followInterval: 15 * 60 * 1_000,
  maxRowsPerSecond: null,
  attempts: 5,
};
