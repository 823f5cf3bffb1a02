import type { DataChunk } from "@duckdb/node-bindings";
import type { Row, Session } from "../sql/dialect.ts";
import type { FeedColumn, Slice } from "./feed.ts";
import type { Sizes } from "./sizes.ts";

/** A session that also moves rows as chunks in memory. */
export interface Feeding extends Session {
  readonly sizes: Sizes;
  /** Calls `take` with each chunk of a result. `take` must not use the chunk after it returns. */
  chunks(sql: string, take: (chunk: DataChunk) => void): Promise<void>;
  /**
   * Runs a statement that reads rows from memory, and resolves to its small result. `source` is the table function that
   * yields `slices`, in order.
   */
  feed(
    columns: readonly FeedColumn[],
    slices: readonly Slice[],
    sql: (source: string) => string,
  ): Promise<readonly Row[]>;
}
