import type { Type } from "./types.ts";

/**
 * One column of a batch, in Arrow's memory layout (https://arrow.apache.org/docs/format/Columnar.html), little-endian.
 * Threads and destinations can share it without making JavaScript values of its rows.
 *
 * | type | `values` holds |
 * |---|---|
 * | BOOLEAN | one bit a row, least significant bit first |
 * | SHORT, INT, LONG | int16, int32, int64 |
 * | DECIMAL, precision ≤ 18 | int64, unscaled |
 * | DECIMAL, precision > 18 | int128, unscaled, two's complement |
 * | FLOAT, DOUBLE | IEEE 754 binary32, binary64 |
 * | NAIVE_DATE | int32 days since 1970-01-01 |
 * | NAIVE_TIME | int64 microseconds since midnight |
 * | NAIVE_DATETIME, UTC_DATETIME | int64 microseconds since 1970-01-01T00:00; ±(2⁶³−1) is ±infinity |
 * | BINARY, STRING, XML, JSON | the bytes of all rows, one after the other; row `i` is `offsets[i]` to `offsets[i + 1]` |
 *
 * Text (STRING, XML, JSON) is valid UTF-8: the source guarantees it. A NAIVE_DATE of ±(2³¹−1) is ±infinity.
 * The value under a null is unspecified; with offsets it has no length.
 */
export interface Vector {
  readonly type: Type;
  /** Bit `i` is set if row `i` has a value, least significant bit first; `null`: every row has one. */
  readonly validity: Uint8Array | null;
  /** Starts at a multiple of 8 in its buffer, so that a typed array can share it. */
  readonly values: Uint8Array;
  /** `length + 1` positions in `values`, from 0; only for BINARY, STRING, XML and JSON. */
  readonly offsets: Int32Array | null;
}

/** The rows of one batch, by column. */
export interface Rows {
  readonly columns: readonly string[];
  /** One for each of `columns`, in their order. */
  readonly values: readonly Vector[];
  readonly length: number;
}
