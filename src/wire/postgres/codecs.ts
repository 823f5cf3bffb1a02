import { HeadwatersError } from "../../protocol/errors.ts";
import type { VectorBuilder } from "../../toolkit/vectors.ts";

/**
 * How a column's values are written on the wire, and into which builder method they go. Each codec has a binary
 * decoder (`copy-binary.ts`) and a text decoder (`text-decode.ts`), which share no code.
 *
 * - `text` trusts the server, which converts to UTF-8 or at least checks it (SQL_ASCII); `checked_text` checks it here: the
 *   type `"char"` may hold any byte, and PostgreSQL before 15 sends it unchanged.
 * - `oid` is an unsigned 32-bit number, into a LONG; `tid` (a row's place: block and offset) into one as 2³² · block + offset.
 * - `time`: microseconds since midnight; `timestamp` with or without time zone.
 */
export type Codec =
  | "boolean"
  | "int2"
  | "int4"
  | "int8"
  | "oid"
  | "tid"
  | "float4"
  | "float8"
  | "numeric"
  | "date"
  | "time"
  | "timestamp"
  | "bytea"
  | "uuid"
  | "text"
  | "checked_text"
  | "jsonb";

/** Writes the value at `start` to the column's builder. */
export type ValueDecoder = (bytes: Uint8Array, view: DataView, start: number, length: number) => void;

/** One column of a SELECT's result: how it is decoded, and where it goes. */
export interface ResultColumn {
  readonly name: string;
  readonly codec: Codec;
  readonly builder: VectorBuilder;
}

/** A value that its column's type can't hold. */
export class ValueOutOfRange extends HeadwatersError {
  readonly column: string;

  constructor(table: string, column: string, what: string, hint: string) {
    super("VALUE_OUT_OF_RANGE", `table "${table}", column "${column}": ${what}`, { hint });
    this.column = column;
  }
}

/** Throws {@link ValueOutOfRange} of one column. */
export type OutOfRange = (what: string, hint: string) => never;

export function outOfRange(table: string, column: string): OutOfRange {
  return (what, hint) => {
    throw new ValueOutOfRange(table, column, what, hint);
  };
}

/** The hint if a value fits its column's type at the source but not here. */
export const asString = "Set the type of this column to STRING: it holds every value.";
