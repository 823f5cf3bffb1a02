import { isUtf8 } from "node:buffer";
import { HeadwatersError } from "../../protocol/errors.ts";
import type { VectorBuilder } from "../vectors.ts";
import { asString, type Codec, type OutOfRange, outOfRange, type ResultColumn } from "./codecs.ts";
import { numericDecoder } from "./numeric.ts";

/** Writes the value at `start` to the column's builder. */
export type ValueDecoder = (bytes: Uint8Array, view: DataView, start: number, length: number) => void;

/** Microseconds from 1970-01-01 to 2000-01-01, where PostgreSQL's timestamps begin, in two halves. */
const epochMicroseconds = 946_684_800_000_000;
const epochHigh = Math.floor(epochMicroseconds / 2 ** 32);
const epochLow = epochMicroseconds % 2 ** 32;
const epochDays = 10_957;

/** `PGCOPY\n\xff\r\n\0`, flags, length of the header's extension (always 0 so far). */
const signature = Buffer.from("PGCOPY\n\xff\r\n\0", "latin1");
const headerBytes = signature.length + 8;
const messageHead = 5;

const decoders: Readonly<Record<Codec, (builder: VectorBuilder, fail: OutOfRange) => ValueDecoder>> = {
  boolean: (builder) => (bytes, _view, start) => builder.boolean(bytes[start] === 1),
  int2: (builder) => (_bytes, view, start) => builder.int16(view.getInt16(start)),
  int4: (builder) => (_bytes, view, start) => builder.int32(view.getInt32(start)),
  int8: (builder) => (_bytes, view, start) => builder.int64(view.getInt32(start + 4), view.getInt32(start)),
  oid: (builder) => (_bytes, view, start) => builder.int64(view.getInt32(start), 0),
  tid: (builder) => (_bytes, view, start) => builder.int64(view.getUint16(start + 4), view.getInt32(start)),
  float4: (builder) => (_bytes, view, start) => builder.float32(view.getFloat32(start)),
  float8: (builder) => (_bytes, view, start) => builder.float64(view.getFloat64(start)),
  numeric: numericDecoder,
  date: (builder) => (_bytes, view, start) => {
    const days = view.getInt32(start);
    if (days === 0x7fff_ffff) builder.int32(days);
    else builder.int32(days === -0x8000_0000 ? -0x7fff_ffff : days + epochDays);
  },
  time: (builder) => (_bytes, view, start) => builder.int64(view.getInt32(start + 4), view.getInt32(start)),
  timestamp: (builder, fail) => (_bytes, view, start) => {
    const high = view.getInt32(start);
    const low = view.getUint32(start + 4);
    if (high === 0x7fff_ffff && low === 0xffff_ffff) return builder.int64(-1, 0x7fff_ffff);
    if (high === -0x8000_0000 && low === 0) return builder.int64(1, -0x8000_0000);
    const sum = low + epochLow;
    const carried = high + epochHigh + (sum > 0xffff_ffff ? 1 : 0);
    if (carried > 0x7fff_ffff || (carried === 0x7fff_ffff && sum % 2 ** 32 === 0xffff_ffff)) {
      fail("a timestamp lies after 294247-01-10T04:00:54", asString);
    }
    return builder.int64(sum, carried);
  },
  bytea: (builder) => (bytes, view, start, length) => builder.bytesOf(bytes, start, start + length, view),
  uuid: (builder) => (bytes, _view, start) => builder.uuid(bytes, start),
  text: (builder) => (bytes, view, start, length) => builder.bytesOf(bytes, start, start + length, view),
  checked_text: (builder, fail) => (bytes, view, start, length) => {
    if (!isUtf8(bytes.subarray(start, start + length))) fail("a text is not valid UTF-8", "Set its type to BINARY.");
    builder.bytesOf(bytes, start, start + length, view);
  },
  // The first byte is the version of the format: 1, and then it is text.
  jsonb: (builder) => (bytes, view, start, length) => builder.bytesOf(bytes, start + 1, start + length, view),
};

/**
 * Decodes what {@link PostgresConnection.copy} yields of a `COPY … TO STDOUT (FORMAT binary)` straight into builders:
 * no object, no string and no BigInt is made of a row.
 */
export class BinaryRows {
  readonly #builders: readonly VectorBuilder[];
  readonly #decoders: readonly ValueDecoder[];
  readonly #table: string;
  #header = true;

  /** `table` is named in errors. */
  constructor(table: string, columns: readonly ResultColumn[]) {
    this.#table = table;
    this.#builders = columns.map((column) => column.builder);
    this.#decoders = columns.map((column) => decoders[column.codec](column.builder, outOfRange(table, column.name)));
  }

  /**
   * Takes a chunk of whole CopyData messages, heads included, from `position` on, until its end or until about `budget`
   * bytes of it were decoded. Gives the position that it came to.
   */
  decode(chunk: Buffer, position: number, budget: number): number {
    // Not a Buffer: its subarray() costs twice as much.
    const bytes = new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    const decoders = this.#decoders;
    const builders = this.#builders;
    const columns = decoders.length;
    const end = Math.min(chunk.length, position + budget);
    let at = position;
    while (at < end) {
      const messageEnd = at + 1 + view.getUint32(at + 1);
      at += messageHead;
      if (this.#header) at = this.#skipHeader(bytes, view, at);
      // A row lies within one message.
      while (at < messageEnd) {
        const fields = view.getInt16(at);
        at += 2;
        if (fields === -1) break;
        if (fields !== columns) this.#malformed(`a row of ${fields} columns instead of ${columns}`);
        for (let index = 0; index < columns; index++) {
          const length = view.getInt32(at);
          at += 4;
          if (length < 0) {
            builders[index]!.null();
          } else {
            decoders[index]!(bytes, view, at, length);
            at += length;
          }
        }
      }
      if (at !== messageEnd) this.#malformed("a row that does not end with its message");
    }
    return at;
  }

  #skipHeader(bytes: Uint8Array, view: DataView, position: number): number {
    if (signature.compare(bytes, position, position + signature.length) !== 0) this.#malformed("no header");
    this.#header = false;
    return position + headerBytes + view.getInt32(position + headerBytes - 4);
  }

  #malformed(what: string): never {
    throw new HeadwatersError("SOURCE_FAILED", `table "${this.#table}": the server sent ${what} in a binary COPY`, {
      hint: 'Set read to "cursor" to go another way, and report this.',
    });
  }
}
