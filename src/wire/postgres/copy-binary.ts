import { isUtf8 } from "node:buffer";
import { HeadwatersError } from "../../protocol/errors.ts";
import type { VectorBuilder } from "../../toolkit/vectors.ts";
import { asString, type Codec, type OutOfRange, outOfRange, type ResultColumn, type ValueDecoder } from "./codecs.ts";
import { numericDecoder } from "./numeric.ts";

/** The positions of fields: row by row, `columns` in each; -1 is NULL. A field's length stands before it. */
interface Fields {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly starts: Int32Array;
  readonly columns: number;
  readonly rows: number;
}

/** Writes one column of some rows to its builder. */
type ColumnDecoder = (fields: Fields, column: number) => void;

/** Microseconds from 1970-01-01 to 2000-01-01, where PostgreSQL's timestamps begin, in two halves. */
const epochMicroseconds = 946_684_800_000_000;
const epochHigh = Math.floor(epochMicroseconds / 2 ** 32);
const epochLow = epochMicroseconds % 2 ** 32;
const epochDays = 10_957;

/** `PGCOPY\n\xff\r\n\0`, flags, length of the header's extension (always 0 so far). */
const signature = Buffer.from("PGCOPY\n\xff\r\n\0", "latin1");
const headerBytes = signature.length + 8;
const messageHead = 5;

/**
 * Decodes a whole column at a time, so that Node.js compiles one tight loop for each type, with the builder's method
 * inlined. (Measured, rows of 9 columns: 32 ns a field; a call through a table for each field took 47.)
 */
const decoders: Readonly<Record<Codec, (builder: VectorBuilder, fail: OutOfRange) => ColumnDecoder>> = {
  boolean: (builder) => each(builder, (bytes, _view, start) => builder.boolean(bytes[start] === 1)),
  int2: (builder) => each(builder, (_bytes, view, start) => builder.int16(view.getInt16(start))),
  int4: (builder) => (fields, column) => {
    const { view, starts, columns } = fields;
    for (let field = column, end = fields.rows * columns; field < end; field += columns) {
      const start = starts[field]!;
      if (start < 0) builder.null();
      else builder.int32(view.getInt32(start));
    }
  },
  int8: (builder) => (fields, column) => {
    const { view, starts, columns } = fields;
    for (let field = column, end = fields.rows * columns; field < end; field += columns) {
      const start = starts[field]!;
      if (start < 0) builder.null();
      else builder.int64(view.getInt32(start + 4), view.getInt32(start));
    }
  },
  oid: (builder) => each(builder, (_bytes, view, start) => builder.int64(view.getInt32(start), 0)),
  tid: (builder) =>
    each(builder, (_bytes, view, start) => builder.int64(view.getUint16(start + 4), view.getInt32(start))),
  float4: (builder) => each(builder, (_bytes, view, start) => builder.float32(view.getFloat32(start))),
  float8: (builder) => (fields, column) => {
    const { view, starts, columns } = fields;
    for (let field = column, end = fields.rows * columns; field < end; field += columns) {
      const start = starts[field]!;
      if (start < 0) builder.null();
      else builder.float64(view.getFloat64(start));
    }
  },
  numeric: (builder, fail) => each(builder, numericDecoder(builder, fail)),
  date: (builder) =>
    each(builder, (_bytes, view, start) => {
      const days = view.getInt32(start);
      if (days === 0x7fff_ffff) builder.int32(days);
      else builder.int32(days === -0x8000_0000 ? -0x7fff_ffff : days + epochDays);
    }),
  time: (builder) =>
    each(builder, (_bytes, view, start) => builder.int64(view.getInt32(start + 4), view.getInt32(start))),
  timestamp: (builder, fail) => (fields, column) => {
    const { view, starts, columns } = fields;
    for (let field = column, end = fields.rows * columns; field < end; field += columns) {
      const start = starts[field]!;
      if (start < 0) {
        builder.null();
        continue;
      }
      const high = view.getInt32(start);
      const sum = view.getUint32(start + 4) + epochLow;
      // The value is finite and fits our type, since its upper half is not near the ends.
      if (high < commonHigh && high > -commonHigh) builder.int64(sum, high + epochHigh + (sum > 0xffff_ffff ? 1 : 0));
      else rareTimestamp(builder, high, view.getUint32(start + 4), fail);
    }
  },
  bytea: (builder) => textColumn(builder, 0),
  uuid: (builder) => each(builder, (bytes, _view, start) => builder.uuid(bytes, start)),
  text: (builder) => textColumn(builder, 0),
  checked_text: (builder, fail) =>
    each(builder, (bytes, view, start, length) => {
      if (!isUtf8(bytes.subarray(start, start + length))) fail("a text is not valid UTF-8", "Set its type to BINARY.");
      builder.bytesOf(bytes, start, start + length, view);
    }),
  // The first byte is the version of the format (1); the rest is text.
  jsonb: (builder) => textColumn(builder, 1),
};

/** The bytes of a value, for types of fixed width; negative: {@link BinaryRows} checks the length. */
const sizes: Partial<Record<Codec, number>> = {
  numeric: -1,
  jsonb: -1,
  boolean: 1,
  int2: 2,
  int4: 4,
  int8: 8,
  oid: 4,
  tid: 6,
  float4: 4,
  float8: 8,
  date: 4,
  time: 8,
  timestamp: 8,
  uuid: 16,
};

/** For types that do not need a loop of their own. */
function each(builder: VectorBuilder, decode: ValueDecoder): ColumnDecoder {
  return ({ bytes, view, starts, columns, rows }, column) => {
    for (let field = column, end = rows * columns; field < end; field += columns) {
      const start = starts[field]!;
      if (start < 0) builder.null();
      else decode(bytes, view, start, view.getInt32(start - 4));
    }
  };
}

/** The bytes without the first `skipped`. */
function textColumn(builder: VectorBuilder, skipped: number): ColumnDecoder {
  return ({ bytes, view, starts, columns, rows }, column) => {
    for (let field = column, end = rows * columns; field < end; field += columns) {
      const start = starts[field]!;
      if (start < 0) builder.null();
      else builder.bytesOf(bytes, start + skipped, start + view.getInt32(start - 4), view);
    }
  };
}

/** The upper half of timestamps from about the year 200,000 on. */
const commonHigh = 0x5900_0000;

function rareTimestamp(builder: VectorBuilder, high: number, low: number, fail: OutOfRange): void {
  if (high === 0x7fff_ffff && low === 0xffff_ffff) return builder.int64(-1, 0x7fff_ffff);
  if (high === -0x8000_0000 && low === 0) return builder.int64(1, -0x8000_0000);
  const sum = low + epochLow;
  const carried = high + epochHigh + (sum > 0xffff_ffff ? 1 : 0);
  if (carried > 0x7fff_ffff || (carried === 0x7fff_ffff && sum % 2 ** 32 === 0xffff_ffff)) {
    fail("a timestamp is after 294247-01-10T04:00:54", asString);
  }
  builder.int64(sum, carried);
}

/**
 * Decodes what {@link PostgresConnection.copy} yields of a `COPY … TO STDOUT (FORMAT binary)` straight into builders:
 * no object, no string and no BigInt is made of a row.
 */
export class BinaryRows {
  readonly #decoders: readonly ColumnDecoder[];
  readonly #codecs: readonly Codec[];
  /** As in `sizes`; 0: any. */
  readonly #sizes: Int32Array;
  readonly #table: string;
  #ended = false;
  /** The positions of the fields found so far. */
  #starts = new Int32Array(4096);
  #header = true;

  /** `table` is named in errors. */
  constructor(table: string, columns: readonly ResultColumn[]) {
    this.#table = table;
    this.#codecs = columns.map(({ codec }) => codec);
    this.#sizes = Int32Array.from(this.#codecs, (codec) => sizes[codec] ?? 0);
    this.#decoders = columns.map((column) => decoders[column.codec](column.builder, outOfRange(table, column.name)));
  }

  /**
   * Decodes a chunk of whole CopyData messages, heads included, from `position` to its end, or until about `budget`
   * bytes were decoded. Returns the position that it reached.
   */
  decode(chunk: Buffer, position: number, budget: number): number {
    try {
      return this.#decode(chunk, position, budget);
    } catch (thrown) {
      throw thrown instanceof RangeError ? this.#malformed("a row that ends too early") : thrown;
    }
  }

  /** Throws if the server did not say that the rows have ended. */
  end(): void {
    if (!this.#ended) throw this.#malformed("rows without an end");
  }

  #decode(chunk: Buffer, position: number, budget: number): number {
    // Not a Buffer: its subarray() costs twice as much.
    const bytes = new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    const columns = this.#decoders.length;
    const end = Math.min(chunk.length, position + budget);
    const sizes = this.#sizes;
    let starts = this.#starts;
    let field = 0;
    let at = position;
    while (at < end) {
      const messageEnd = at + 1 + view.getUint32(at + 1);
      at += messageHead;
      if (this.#header) at = this.#skipHeader(bytes, view, at);
      // A row is in one message.
      while (at < messageEnd) {
        const fields = view.getInt16(at);
        at += 2;
        if (this.#ended) throw this.#malformed("a row after the last one");
        if (fields === -1) {
          this.#ended = true;
          break;
        }
        if (fields !== columns) throw this.#malformed(`a row of ${fields} columns instead of ${columns}`);
        if (field + columns > starts.length) starts = this.#grow(field + columns);
        for (let index = 0; index < columns; index++) {
          const length = view.getInt32(at);
          at += 4;
          starts[field++] = length < 0 ? -1 : at;
          if (length < 0) continue;
          const size = sizes[index]!;
          if (size !== 0 && length !== size && length <= messageEnd - at) this.#checkSize(index, length, view, at);
          at += length;
        }
      }
      if (at !== messageEnd) throw this.#malformed("a row that does not end with its message");
    }
    const rows = columns === 0 ? 0 : field / columns;
    const found: Fields = { bytes, view, starts, columns, rows };
    for (let column = 0; column < columns; column++) this.#decoders[column]!(found, column);
    return at;
  }

  #grow(fields: number): Int32Array<ArrayBuffer> {
    const starts = new Int32Array(Math.max(fields, this.#starts.length * 2));
    starts.set(this.#starts);
    this.#starts = starts;
    return starts;
  }

  #skipHeader(bytes: Uint8Array, view: DataView, position: number): number {
    if (signature.compare(bytes, position, position + signature.length) !== 0) throw this.#malformed("no header");
    this.#header = false;
    return position + headerBytes + view.getInt32(position + headerBytes - 4);
  }

  #checkSize(column: number, length: number, view: DataView, at: number): void {
    const codec = this.#codecs[column]!;
    // A numeric's head gives the number of two-byte digits that follow; a jsonb begins with a version byte.
    const fits = codec === "numeric" ? length === 8 + 2 * view.getUint16(at) : codec === "jsonb" && length > 0;
    if (!fits) throw this.#malformed(`a value of type ${codec} in ${length} bytes`);
  }

  #malformed(what: string): HeadwatersError {
    return new HeadwatersError(
      "PROTOCOL_MISMATCH",
      `table "${this.#table}": the server sent ${what} in a binary COPY`,
      {
        hint: 'Set read to "cursor" to read by another path, and report this.',
      },
    );
  }
}
