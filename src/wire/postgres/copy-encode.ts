import type { Vector } from "../../protocol/rows.ts";
import type { Kind } from "../../protocol/types.ts";
import { type OutOfRange, outOfRange } from "./codecs.ts";
import { type NumericDigits, numericDigits } from "./numeric-encode.ts";

/** What happens if a text holds the character U+0000, which PostgreSQL can't store. */
export type NulPolicy = "error" | "remove";

/** A column of a batch, as it is sent. */
export interface EncodedColumn {
  readonly name: string;
  readonly vector: Vector;
}

/** What every row of a batch ends with, after its columns. */
export interface RowTail {
  /** Whole fields, each with its length before it; the same for every row. */
  readonly bytes: Uint8Array;
  readonly fields: number;
  /** One more last field: an int8 that counts the rows from this number. */
  readonly ordinal: number | null;
}

/** Writes the value of a row, after its length. */
type ValueEncoder = (row: number) => void;

/** A message is sent when it has about this many bytes. */
const messageBytes = 256 << 10;
const messageHead = 5;
const copyData = 0x64;

/** The most bytes that a field of fixed width takes: a numeric of 38 digits, 11 of base 10,000, behind its head. */
const mostFixed = 4 + 8 + 2 * 12;

/** The header of a binary COPY: signature, flags, length of an extension; as a CopyData message. */
export const copyHeader = message(Buffer.from("PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0", "latin1"));
/** The end of a binary COPY. */
export const copyTrailer = message(Buffer.from([0xff, 0xff]));

function message(payload: Buffer): Buffer {
  const head = Buffer.alloc(messageHead);
  head[0] = copyData;
  head.writeUInt32BE(payload.length + 4, 1);
  return Buffer.concat([head, payload]);
}

/** A timestamptz field: microseconds since 1970. */
export function timestampField(microseconds: bigint): Buffer {
  const bytes = Buffer.alloc(12);
  bytes.writeInt32BE(8);
  bytes.writeBigInt64BE(microseconds - epochMicroseconds, 4);
  return bytes;
}

/** A boolean field. */
export function booleanField(value: boolean): Buffer {
  return Buffer.from([0, 0, 0, 1, value ? 1 : 0]);
}

/** From 1970-01-01 to 2000-01-01, where PostgreSQL's times begin. */
const epochMicroseconds = 946_684_800_000_000n;
const epochDays = 10_957;
const two32 = 2 ** 32;
const epochHigh = Number(epochMicroseconds / 2n ** 32n);
const epochLow = Number(epochMicroseconds % 2n ** 32n);
/** 4714-11-24 BC, PostgreSQL's first day, since 2000: https://www.postgresql.org/docs/15/datatype-datetime.html. */
const firstMicroseconds = -211_813_488_000_000_000n;
const firstHigh = Number(firstMicroseconds >> 32n);
const firstLow = Number(BigInt.asUintN(32, firstMicroseconds));
const firstDay = -2_451_545;
/** The day after 5874897-12-31, its last. */
const endDay = 2_145_031_949;

/** The head of a message. */
const roomOfMessage = messageBytes + messageBytes / 4;

/**
 * Buffers of sent messages, for reuse. Without it each buffer would become garbage: a fifth of the processor time
 * of a load went into collecting it.
 */
const spare: ArrayBuffer[] = [];
const mostSpare = 16;

/** Returns a message's buffer once nobody reads it any more. */
export function recycle({ buffer }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === roomOfMessage && spare.length < mostSpare)
    spare.push(buffer);
}

/** A growing buffer for one message at a time. */
class Output {
  bytes = new Uint8Array(0);
  view = new DataView(this.bytes.buffer);
  at = 0;

  /** Makes room for this many more bytes. */
  need(room: number): void {
    const needed = this.at + room;
    if (needed <= this.bytes.length) return;
    const grown = new Uint8Array(needed + messageBytes / 4);
    grown.set(this.bytes.subarray(0, this.at));
    this.#adopt(grown);
  }

  begin(): void {
    this.#adopt(new Uint8Array(spare.pop() ?? new ArrayBuffer(roomOfMessage)));
    this.at = messageHead;
  }

  /** The message so far; another one may begin. */
  take(): Uint8Array {
    this.bytes[0] = copyData;
    this.view.setUint32(1, this.at - 1);
    return this.bytes.subarray(0, this.at);
  }

  #adopt(bytes: Uint8Array<ArrayBuffer>): void {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer);
  }
}

/**
 * Rows as CopyData messages of a `COPY … FROM STDIN (FORMAT binary)`: straight from the memory of the vectors, without a
 * JavaScript value in between. Each column must have exactly the type that is used here: smallint for
 * SHORT, `timestamp` for NAIVE_DATETIME, json or text for JSON. {@link copyHeader} comes before the first message,
 * {@link copyTrailer} after the last.
 *
 * Throws `VALUE_OUT_OF_RANGE` if PostgreSQL has no such value: dates before 4714 BC, and U+0000 in a text.
 */
export function* encodeRows(
  table: string,
  columns: readonly EncodedColumn[],
  length: number,
  tail: RowTail,
  nul: NulPolicy,
): Generator<Uint8Array> {
  if (length === 0) return;
  const out = new Output();
  const room = 2 + columns.length * mostFixed + tail.bytes.length + 12;
  const encoders = columns.map(({ name, vector }) =>
    encoderOf[vector.type.kind](vector, out, { fail: outOfRange(table, name), room, length, nul }),
  );
  const validities = columns.map(({ vector }) => vector.validity);
  const fields = columns.length + tail.fields + (tail.ordinal === null ? 0 : 1);
  const count = columns.length;
  out.begin();
  for (let row = 0; row < length; row++) {
    if (out.at > messageBytes) {
      yield out.take();
      out.begin();
    }
    out.need(room);
    out.view.setInt16(out.at, fields);
    out.at += 2;
    const byte = row >> 3;
    const bit = 1 << (row & 7);
    for (let index = 0; index < count; index++) {
      const validity = validities[index]!;
      if (validity !== null && (validity[byte]! & bit) === 0) {
        out.view.setInt32(out.at, -1);
        out.at += 4;
      } else {
        encoders[index]!(row);
      }
    }
    const { bytes } = out;
    let { at } = out;
    for (let index = 0; index < tail.bytes.length; index++) bytes[at++] = tail.bytes[index]!;
    if (tail.ordinal !== null) {
      const ordinal = tail.ordinal + row;
      out.view.setInt32(at, 8);
      out.view.setInt32(at + 4, Math.floor(ordinal / two32));
      out.view.setInt32(at + 8, ordinal);
      at += 12;
    }
    out.at = at;
  }
  yield out.take();
}

interface Encoding {
  readonly fail: OutOfRange;
  /** The room that must stay free after a text, for the fields of fixed width that follow. */
  readonly room: number;
  readonly length: number;
  readonly nul: NulPolicy;
}

type MakeEncoder = (vector: Vector, out: Output, encoding: Encoding) => ValueEncoder;

const words = ({ values }: Vector): Int32Array =>
  new Int32Array(values.buffer, values.byteOffset, values.byteLength >> 2);

const four: MakeEncoder = (vector, out) => {
  const from = words(vector);
  return (row) => {
    const { view, at } = out;
    view.setInt32(at, 4);
    view.setInt32(at + 4, from[row]!);
    out.at = at + 8;
  };
};

const eight: MakeEncoder = (vector, out) => {
  const from = words(vector);
  return (row) => {
    const { view, at } = out;
    view.setInt32(at, 8);
    view.setInt32(at + 4, from[row * 2 + 1]!);
    view.setInt32(at + 8, from[row * 2]!);
    out.at = at + 12;
  };
};

const timestamp: MakeEncoder = (vector, out, { fail }) => {
  const from = words(vector);
  return (row) => {
    const high = from[row * 2 + 1]!;
    const low = from[row * 2]! >>> 0;
    const { view, at } = out;
    let [upper, lower] = [high, low];
    if (high === -0x8000_0000 && low === 1) {
      lower = 0;
    } else if (high !== 0x7fff_ffff || low !== 0xffff_ffff) {
      lower = low - epochLow;
      upper = high - epochHigh - (lower < 0 ? 1 : 0);
      if (upper < firstHigh || (upper === firstHigh && lower >>> 0 < firstLow)) {
        fail("a timestamp is before 4714-11-24 BC, PostgreSQL's first day", inAnotherType);
      }
    }
    view.setInt32(at, 8);
    view.setInt32(at + 4, upper);
    view.setInt32(at + 8, lower);
    out.at = at + 12;
  };
};

const date: MakeEncoder = (vector, out, { fail }) => {
  const from = words(vector);
  return (row) => {
    let day = from[row]!;
    if (day === -0x7fff_ffff) day = -0x8000_0000;
    else if (day !== 0x7fff_ffff) {
      day -= epochDays;
      if (day < firstDay || day >= endDay) {
        fail("a date is outside the range of PostgreSQL, 4714-11-24 BC to 5874897-12-31", inAnotherType);
      }
    }
    const { view, at } = out;
    view.setInt32(at, 4);
    view.setInt32(at + 4, day);
    out.at = at + 8;
  };
};

const decimal: MakeEncoder = (vector, out) => {
  const { type } = vector;
  if (type.kind !== "DECIMAL") throw new TypeError(`${type.kind} is no DECIMAL`);
  const number: NumericDigits = { count: 0, weight: 0, negative: false, digits: new Uint16Array(12) };
  const take = numericDigits(type, vector.values, number);
  return (row) => {
    take(row);
    const { view } = out;
    let { at } = out;
    const { count, digits } = number;
    view.setInt32(at, 8 + count * 2);
    view.setInt16(at + 4, count);
    view.setInt16(at + 6, number.weight);
    view.setUint16(at + 8, number.negative ? 0x4000 : 0);
    view.setUint16(at + 10, type.scale);
    at += 12;
    for (let index = 0; index < count; index++, at += 2) view.setUint16(at, digits[index]!);
    out.at = at;
  };
};

/** Values from here on are copied at once; shorter ones by words: see `VectorBuilder.bytesOf`, which measured it. */
const longValue = 160;

const bytes: MakeEncoder = ({ values, offsets }, out, { room }) => {
  const from = new DataView(values.buffer, values.byteOffset, values.byteLength);
  return (row) => {
    let start = offsets![row]!;
    const end = offsets![row + 1]!;
    const length = end - start;
    if (out.at + length + room > out.bytes.length) out.need(length + room);
    const { view } = out;
    const to = out.bytes;
    let { at } = out;
    view.setInt32(at, length);
    at += 4;
    out.at = at + length;
    if (length > longValue) {
      to.set(values.subarray(start, end), at);
      return;
    }
    for (; start + 8 <= end; start += 8, at += 8) {
      view.setInt32(at, from.getInt32(start, true), true);
      view.setInt32(at + 4, from.getInt32(start + 4, true), true);
    }
    while (start < end) to[at++] = values[start++]!;
  };
};

const text: MakeEncoder = (vector, out, encoding) => {
  const { values, offsets } = vector;
  // A Buffer's search is native: one search over the whole column, which hardly ever has one.
  const used = Buffer.from(values.buffer, values.byteOffset, offsets![encoding.length]);
  if (!used.includes(0)) return bytes(vector, out, encoding);
  if (encoding.nul === "error") {
    encoding.fail(
      "a text holds the character U+0000, which PostgreSQL can't store",
      'Set nul to "remove" in the destination to copy the text without it, or set the type of this column to BINARY.',
    );
  }
  return (row) => {
    const cleaned = used.subarray(offsets![row], offsets![row + 1]).filter((byte) => byte !== 0);
    out.need(4 + cleaned.length + encoding.room);
    out.view.setInt32(out.at, cleaned.length);
    out.bytes.set(cleaned, out.at + 4);
    out.at += 4 + cleaned.length;
  };
};

/** The value of a hexadecimal digit, by its letter. */
const digitOf = Uint8Array.from({ length: 128 }, (_, letter) =>
  Math.max(0, "0123456789abcdef".indexOf(String.fromCharCode(letter))),
);
/** Where the two digits of each byte begin in the 36 letters of a UUID. */
const byteStarts = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];

const uuid: MakeEncoder =
  ({ values, offsets }, out) =>
  (row) => {
    const start = offsets![row]!;
    const { bytes: to, view, at } = out;
    view.setInt32(at, 16);
    for (let index = 0; index < 16; index++) {
      const from = start + byteStarts[index]!;
      to[at + 4 + index] = (digitOf[values[from]!]! << 4) | digitOf[values[from + 1]!]!;
    }
    out.at = at + 20;
  };

const inAnotherType = "Set the type of this column to STRING or LONG, or leave it out.";

const encoderOf: Readonly<Record<Kind, MakeEncoder>> = {
  BOOLEAN:
    ({ values }, out) =>
    (row) => {
      const { view, at } = out;
      view.setInt32(at, 1);
      view.setUint8(at + 4, (values[row >> 3]! >> (row & 7)) & 1);
      out.at = at + 5;
    },
  SHORT: ({ values }, out) => {
    const from = new Int16Array(values.buffer, values.byteOffset, values.byteLength >> 1);
    return (row) => {
      const { view, at } = out;
      view.setInt32(at, 2);
      view.setInt16(at + 4, from[row]!);
      out.at = at + 6;
    };
  },
  INT: four,
  LONG: eight,
  FLOAT: four,
  DOUBLE: eight,
  DECIMAL: decimal,
  NAIVE_DATE: date,
  NAIVE_TIME: eight,
  NAIVE_DATETIME: timestamp,
  UTC_DATETIME: timestamp,
  BINARY: bytes,
  UUID: uuid,
  STRING: text,
  XML: text,
  JSON: text,
};
