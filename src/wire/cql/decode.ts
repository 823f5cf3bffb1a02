import type { Kind, Type } from "../../protocol/types.ts";
import { typeName } from "../../toolkit/types.ts";
import type { VectorBuilder } from "../../toolkit/vectors.ts";
import { powerOfTen, readVarint, rescale } from "./numbers.ts";
import { valueText } from "./text.ts";
import { mostMilliseconds } from "./time-text.ts";
import type { CqlType, Scalar } from "./types.ts";

/** Reads one value out of a page and appends it. `view` lies over `buffer`. */
export type Decoder = (builder: VectorBuilder, buffer: Buffer, view: DataView, start: number, end: number) => void;

/** A value that its column's type can't hold. The message says which value, and why. */
export class Unfit extends Error {}

/** A key that its column's type can't distinguish from another key. */
export class UnfitKey extends Unfit {
  readonly type: Type;

  constructor(value: string, type: Type) {
    super(`it has ${value}, which ${typeName(type)} can't distinguish from another value`);
    this.type = type;
  }
}

const short: Decoder = (builder, buffer, _, start) => builder.int16(buffer.readInt16BE(start));
const byteAsShort: Decoder = (builder, buffer, _, start) => builder.int16(buffer.readInt8(start));
const double: Decoder = (builder, _, view, start) => builder.float64(view.getFloat64(start));
const bytes: Decoder = (builder, buffer, view, start, end) => builder.bytesOf(buffer, start, end, view);
const uuid: Decoder = (builder, buffer, _, start) => builder.uuid(buffer, start);
const long: Decoder = (builder, _, view, start) => builder.int64(view.getInt32(start + 4), view.getInt32(start));

/**
 * Converts milliseconds to microseconds. The halves are multiplied separately, since a double would not hold the product.
 */
const timestamp: Decoder = (builder, _, view, start) => {
  const high = view.getInt32(start);
  const low = view.getUint32(start + 4);
  const milliseconds = high * 4294967296 + low;
  if (milliseconds > mostMilliseconds || milliseconds < -mostMilliseconds)
    throw new Unfit(`${milliseconds} ms since 1970 is outside the years that a timestamp can have`);
  const product = low * 1000;
  builder.int64(product | 0, high * 1000 + Math.floor(product / 4294967296));
};

/** 32-bit days; the two ends stand for the infinities. */
const date: Decoder = (builder, _, view, start) => {
  const days = view.getInt32(start) ^ -0x80000000;
  if (days > 2147483646 || days < -2147483646) throw new Unfit(`the date ${days} days from 1970 is too far`);
  builder.int32(days);
};

const timeMicroseconds: Decoder = (builder, buffer, _, start) => {
  const nanoseconds = buffer.readBigInt64BE(start);
  if (nanoseconds % 1000n !== 0n) throw new Unfit(`the time has nanoseconds (${nanoseconds} since midnight)`);
  builder.bigint64(nanoseconds / 1000n);
};

function integer(read: (buffer: Buffer, start: number, end: number) => bigint): Partial<Record<Kind, Decoder>> {
  const within =
    (bits: number, append: (builder: VectorBuilder, value: bigint) => void): Decoder =>
    (builder, buffer, _, start, end) => {
      const value = read(buffer, start, end);
      if (BigInt.asIntN(bits, value) !== value) throw new Unfit(`${shown(value)} has more than ${bits} bits`);
      append(builder, value);
    };
  return {
    SHORT: within(16, (builder, value) => builder.int16(Number(value))),
    INT: within(32, (builder, value) => builder.int32(Number(value))),
    LONG: within(64, (builder, value) => builder.bigint64(value)),
    DECIMAL: (builder, buffer, _, start, end) => appendDecimal(builder, read(buffer, start, end), 0),
    DOUBLE: (builder, buffer, _, start, end) => builder.float64(Number(read(buffer, start, end))),
  };
}

function appendDecimal(builder: VectorBuilder, unscaled: bigint, scale: number): void {
  const type = builder.type as Type & { kind: "DECIMAL" };
  const scaled = rescale(unscaled, scale, type.scale);
  const most = powerOfTen(type.precision);
  if (scaled === null || scaled >= most || scaled <= -most)
    throw new Unfit(`${shown(unscaled)}E${-scale} does not fit DECIMAL(${type.precision},${type.scale})`);
  builder.decimal(scaled);
}

/** Of a number with thousands of digits, only the first are shown. */
function shown(value: bigint): string {
  const text = value.toString();
  return text.length <= 50 ? text : `${text.slice(0, 50)}… (${text.length} digits)`;
}

/**
 * How each native type is read as each of ours. STRING is possible for all (see {@link decoderFor}).
 */
const decoders: Readonly<Record<Scalar, Partial<Record<Kind, Decoder>>>> = {
  ascii: { STRING: bytes },
  text: { STRING: bytes },
  bigint: { ...integer((buffer, start) => buffer.readBigInt64BE(start)), LONG: long },
  counter: { ...integer((buffer, start) => buffer.readBigInt64BE(start)), LONG: long },
  blob: { BINARY: bytes },
  boolean: { BOOLEAN: (builder, buffer, _, start) => builder.boolean(buffer[start] !== 0) },
  date: { NAIVE_DATE: date, INT: (builder, _, view, start) => builder.int32(view.getInt32(start) ^ -0x80000000) },
  decimal: {
    DECIMAL: (builder, buffer, _, start, end) =>
      appendDecimal(builder, readVarint(buffer, start + 4, end), buffer.readInt32BE(start)),
    DOUBLE: (builder, buffer, _, start, end) =>
      builder.float64(Number(valueText({ kind: "decimal" }, buffer, start, end))),
  },
  double: { DOUBLE: double },
  duration: {},
  float: {
    FLOAT: (builder, _, view, start) => builder.float32(view.getFloat32(start)),
    DOUBLE: (builder, _, view, start) => builder.float64(view.getFloat32(start)),
  },
  inet: {},
  int: {
    ...integer((buffer, start) => BigInt(buffer.readInt32BE(start))),
    INT: (builder, _, view, start) => builder.int32(view.getInt32(start)),
  },
  smallint: { ...integer((buffer, start) => BigInt(buffer.readInt16BE(start))), SHORT: short },
  tinyint: { ...integer((buffer, start) => BigInt(buffer.readInt8(start))), SHORT: byteAsShort },
  time: { LONG: long, NAIVE_TIME: timeMicroseconds },
  timestamp: { UTC_DATETIME: timestamp, NAIVE_DATETIME: timestamp, LONG: long },
  timeuuid: { UUID: uuid, STRING: uuid },
  uuid: { UUID: uuid, STRING: uuid },
  varint: integer(readVarint),
  empty: {},
};

const asText =
  (type: CqlType): Decoder =>
  (builder, buffer, _, start, end) =>
    builder.text(valueText(type, buffer, start, end));

/** `null`: values of this native type can't be read as this type of ours. */
export function decoderFor(native: CqlType, type: Type): Decoder | null {
  const known = decoders[native.kind as Scalar]?.[type.kind];
  if (known !== undefined) return known;
  if (native.kind === "custom") return type.kind === "BINARY" ? bytes : type.kind === "STRING" ? asText(native) : null;
  const structured = decoders[native.kind as Scalar] === undefined;
  return type.kind === "STRING" || (type.kind === "JSON" && structured) ? asText(native) : null;
}

/** The type that holds every value exactly; for `varint` and `decimal`, which are unbounded, every value of 38 digits. */
export function exactType(native: CqlType): Type {
  switch (native.kind) {
    case "varint":
      return { kind: "DECIMAL", precision: 38, scale: 0 };
    case "decimal":
      return { kind: "DECIMAL", precision: 38, scale: 18 };
    default:
      return { kind: exactKinds[native.kind] };
  }
}

const exactKinds: Readonly<Record<Exclude<CqlType["kind"], "varint" | "decimal">, Exclude<Kind, "DECIMAL">>> = {
  ascii: "STRING",
  text: "STRING",
  bigint: "LONG",
  counter: "LONG",
  blob: "BINARY",
  boolean: "BOOLEAN",
  custom: "BINARY",
  date: "NAIVE_DATE",
  double: "DOUBLE",
  duration: "STRING",
  empty: "STRING",
  float: "FLOAT",
  inet: "STRING",
  int: "INT",
  smallint: "SHORT",
  tinyint: "SHORT",
  // Nanoseconds since midnight: no time type of ours has them.
  time: "LONG",
  timestamp: "UTC_DATETIME",
  timeuuid: "UUID",
  uuid: "UUID",
  list: "JSON",
  set: "JSON",
  map: "JSON",
  tuple: "JSON",
  udt: "JSON",
  vector: "JSON",
};

/** The types of the published example that differ from ours. */
const exampleKinds: Partial<Record<CqlType["kind"], Exclude<Kind, "DECIMAL">>> = {
  smallint: "INT",
  tinyint: "INT",
  varint: "LONG",
  decimal: "DOUBLE",
  blob: "STRING",
  timeuuid: "STRING",
  uuid: "STRING",
};

export function exampleType(native: CqlType): Type {
  const kind = exampleKinds[native.kind];
  return kind === undefined ? exactType(native) : { kind };
}
