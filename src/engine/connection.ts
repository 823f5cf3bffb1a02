import type { Json } from "../protocol/json.ts";
import type { Log } from "../protocol/log.ts";
import type { Warehouse } from "../protocol/sink.ts";
import type { Source, SourceCapabilities } from "../protocol/source.ts";

/** An open connection: one source, one destination, what is selected and how. All that the engine needs. */
export interface Connection {
  readonly name: string;
  readonly source: Source;
  readonly capabilities: SourceCapabilities;
  readonly warehouse: Warehouse;
  /** What decides which rows there are, beside the selection: server, database, schema. */
  readonly scope: Json;
  readonly selection: Selection;
  readonly settings: Settings;
  readonly log: Log;
}

/** Table ids or patterns with `*`. A table is selected if `include` has it (or is empty) and `exclude` has it not. */
export interface Selection {
  readonly include: readonly string[];
  readonly exclude: readonly string[];
}

/** How a connection is synced. */
export interface Settings {
  /** When deletes are looked for: `auto` (with each sync where that takes seconds, else once a day) or an interval in ms. */
  readonly deletes: "auto" | "each_sync" | "never" | number;
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

export const defaultSettings: Settings = {
  deletes: "auto",
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
