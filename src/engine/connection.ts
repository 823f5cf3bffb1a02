import type { Json } from "../protocol/json.ts";
import type { Log } from "../protocol/log.ts";
import type { Destination, Warehouse } from "../protocol/destination.ts";
import type { Selection, Source, SourceCapabilities } from "../protocol/source.ts";

/** An open connection: one source, one destination, what is selected and how. All that the engine needs. */
export interface Connection {
  readonly name: string;
  readonly source: Source;
  readonly capabilities: SourceCapabilities;
  readonly warehouse: Warehouse;
  /** What decides which rows there are, beside the selection: server, database, schema. */
  readonly scope: Json;
  /** Of tables, by their ids. */
  readonly selection: Selection;
  readonly settings: Settings;
  /** What was set for single tables, by their ids. */
  readonly tables?: Readonly<Record<string, TableSettings>>;
  readonly log: Log;
}

/** What a sync needs of a connection: any destination will do, also one that can't be read. */
export interface SyncConnection extends Omit<Connection, "warehouse"> {
  readonly warehouse: Destination;
}

/** What is otherwise for one table. */
export interface TableSettings {
  /** `full`: read whole in each sync. `incremental`: refused where nothing tells what changed. Absent: as can be. */
  readonly mode?: "full" | "incremental";
  /** Its columns that are copied, by their names in the source. */
  readonly columns?: Selection;
  /** By column name in the source: the name in the copy. */
  readonly renameColumns?: Readonly<Record<string, string>>;
  /** The name of the copy. */
  readonly rename?: string;
  /** As the source has it in `TableOptions`. */
  readonly filter?: Json;
  readonly settings?: Partial<Pick<Settings, "deletes" | "reread" | "maxDeleteFraction" | "schemaChanges">>;
}

/** How a connection is synced. */
export interface Settings {
  /** When deletes are looked for: `auto` (with each sync where that takes seconds, else once a day) or an interval in ms. */
  readonly deletes: "auto" | "each_sync" | "never" | number;
  /** When every row is read again though nothing asks for it: `auto` (as the source says) or an interval in ms. */
  readonly reread: "auto" | "never" | number;
  /** The part of a table's rows that one pass may delete without the user's word, 0–1. */
  readonly maxDeleteFraction: number;
  readonly schemaChanges: "allow_all" | "allow_columns" | "block_all";
  /** Splits that are read at the same time. */
  readonly parallel: number;
  /** Rows read ahead of the destination take at most about this many bytes. */
  readonly memoryBytes: number;
  readonly batchBytes: number;
  /** Data and state are committed at least this often while rows arrive, in milliseconds … */
  readonly commitMilliseconds: number;
  /** … and after this many rows; `null`: by time alone. */
  readonly commitRows: number | null;
  /** The most rows that are read from the source in a second; `null`: no limit. */
  readonly maxRowsPerSecond: number | null;
  /** Readings of one split before its table fails. */
  readonly attempts: number;
}

/** What was set for one table alone. */
export function tableSettings({ tables = {} }: Pick<Connection, "tables">, table: string): TableSettings {
  return Object.hasOwn(tables, table) ? tables[table]! : {};
}

/** How one table is synced. */
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
  maxRowsPerSecond: null,
  attempts: 5,
};
