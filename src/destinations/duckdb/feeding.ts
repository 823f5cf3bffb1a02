import type { DataChunk } from "@duckdb/node-bindings";
import type { Session } from "../sql/dialect.ts";
import type { FeedColumn, Slice } from "./feed.ts";

/** A session as what moves rows uses it: by chunks in memory, beside statements. */
export interface Feeding extends Session {
  /** Hands the chunks of a result to `take`, which must be done with each when it returns. */
  chunks(sql: string, take: (chunk: DataChunk) => void): Promise<void>;
  /** Runs a statement that reads rows from memory: `sql` is given the table function that yields `slices`, in order. */
  feed(columns: readonly FeedColumn[], slices: readonly Slice[], sql: (source: string) => string): Promise<void>;
}
