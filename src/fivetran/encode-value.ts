import { HeadwatersError } from "../protocol/errors.ts";
import type { Vector } from "../protocol/rows.ts";
import type { Column } from "../protocol/table.ts";
import type { Kind, Type } from "../protocol/types.ts";
import { sameType, typeName } from "../toolkit/types.ts";
import { isValid } from "../toolkit/vectors.ts";
import { type Frame, varint64Size, varintSize } from "./frame.ts";
import { textOf } from "./text.ts";

/** Writes one value of a column: the part of its map entry that follows the column's name. */
export type ValueEncoder = (frame: Frame, row: number) => void;

/** The numbers of the fields of `ValueType`. */
const fields: Readonly<Record<Exclude<Kind, "NAIVE_TIME">, number>> = {
  BOOLEAN: 2,
  SHORT: 3,
  INT: 4,
  LONG: 5,
  FLOAT: 6,
  DOUBLE: 7,
  NAIVE_DATE: 8,
  NAIVE_DATETIME: 9,
  UTC_DATETIME: 10,
  DECIMAL: 11,
  BINARY: 12,
  STRING: 13,
  UUID: 13,
  JSON: 14,
  XML: 15,
};

/** Wire types: a varint, 8 bytes, bytes behind their length, 4 bytes. */
const [varints, fixed64, lengths, fixed32] = [0, 1, 2, 5];

/** What comes first of every map entry's second part: field 2, bytes behind their length. */
const valueTag = (2 << 3) | lengths;

/** `ValueType { null: true }`, tagged and measured. */
const nullBytes = Uint8Array.of(valueTag, 2, 1 << 3, 1);

/** A value needs at most this many bytes beside its own text or bytes. */
const overhead = 40;

/**
 * The encoder of a column of one batch. The batch may have the column narrower than `column` has it: what was read
 * before a `schema` operation, or in another split.
 */
export function valueEncoder(vector: Vector, column: Column, table: string): ValueEncoder {
  const encode =
    sameType(vector.type, column.type) || vector.type.kind === "UUID"
      ? sameTypeEncoder(vector, column, table)
      : widerEncoder(vector, column, table);
  if (vector.validity === null) return encode;
  return (frame, row) => {
    if (isValid(vector, row)) return encode(frame, row);
    frame.reserve(nullBytes.length);
    frame.copy(nullBytes, 0, nullBytes.length);
  };
}

function sameTypeEncoder(vector: Vector, column: Column, table: string): ValueEncoder {
  const { type } = vector;
  const { values } = vector;
  const tag = tagOf(type, varints);
  switch (type.kind) {
    case "BOOLEAN":
      return (frame, row) => writeVarint(frame, tag, (values[row >> 3]! >> (row & 7)) & 1, 0);
    case "SHORT": {
      const numbers = new Int16Array(values.buffer, values.byteOffset, values.byteLength >> 1);
      return (frame, row) => writeVarint(frame, tag, numbers[row]!, numbers[row]! >> 31);
    }
    case "INT": {
      const numbers = new Int32Array(values.buffer, values.byteOffset, values.byteLength >> 2);
      return (frame, row) => writeVarint(frame, tag, numbers[row]!, numbers[row]! >> 31);
    }
    case "LONG": {
      const halves = halvesOf(values);
      return (frame, row) => writeVarint(frame, tag, halves[row * 2]!, halves[row * 2 + 1]!);
    }
    case "FLOAT":
      return fixedEncoder(values, tagOf(type, fixed32), 4);
    case "DOUBLE":
      return fixedEncoder(values, tagOf(type, fixed64), 8);
    case "DECIMAL":
      return decimalEncoder(vector, type.precision, type.scale);
    case "NAIVE_DATE": {
      const days = new Int32Array(values.buffer, values.byteOffset, values.byteLength >> 2);
      return (frame, row) => writeMoment(frame, type, days[row]! * 86_400, 0, column, table);
    }
    case "NAIVE_DATETIME":
    case "UTC_DATETIME":
      return momentEncoder(vector, column, table);
    case "BINARY":
    case "STRING":
    case "UUID":
    case "JSON":
    case "XML": {
      const { offsets } = vector;
      const text = tagOf(type, lengths);
      return (frame, row) => writeBytes(frame, text, values, offsets![row]!, offsets![row + 1]!);
    }
    case "NAIVE_TIME":
      throw new HeadwatersError("DEFECT", `column "${column.name}" of ${table}: a time of day can't be sent as such`);
  }
}

/** Of a column that became wider since the batch was read; never on the hot path. */
function widerEncoder(vector: Vector, column: Column, table: string): ValueEncoder {
  const { kind } = column.type;
  const from = vector.type.kind;
  const text = (row: number): string => textOf(vector, row);
  const whole = from === "SHORT" || from === "INT" || from === "LONG";
  if (kind === "STRING" || (kind === "DECIMAL" && (whole || from === "DECIMAL"))) {
    return (frame, row) => {
      const bytes = Buffer.from(text(row));
      writeBytes(frame, tagOf(column.type, lengths), bytes, 0, bytes.length);
    };
  }
  if ((kind === "INT" || kind === "LONG") && whole) {
    const tag = tagOf(column.type, varints);
    return (frame, row) => {
      const value = Number(text(row));
      writeVarint(frame, tag, value, value >> 31);
    };
  }
  if ((kind === "FLOAT" || kind === "DOUBLE") && (whole || from === "FLOAT")) {
    const width = kind === "FLOAT" ? 4 : 8;
    const value = Buffer.alloc(width);
    const encode = fixedEncoder(value, tagOf(column.type, kind === "FLOAT" ? fixed32 : fixed64), width);
    return (frame, row) => {
      const number = Number(text(row));
      if (kind === "FLOAT") value.writeFloatLE(number);
      else value.writeDoubleLE(number);
      encode(frame, 0);
    };
  }
  if (kind === "NAIVE_DATETIME" || kind === "UTC_DATETIME") {
    if (from !== "NAIVE_DATE") return sameTypeEncoder({ ...vector, type: column.type }, column, table);
    const days = new Int32Array(vector.values.buffer, vector.values.byteOffset, vector.values.byteLength >> 2);
    return (frame, row) => writeMoment(frame, column.type, days[row]! * 86_400, 0, column, table);
  }
  const became = `a ${typeName(vector.type)} can't become a ${typeName(column.type)}`;
  throw new HeadwatersError("DEFECT", `column "${column.name}" of ${table}: ${became}`);
}

function tagOf({ kind }: Type, wire: number): number {
  return (fields[kind as keyof typeof fields] << 3) | wire;
}

function halvesOf({ buffer, byteOffset, byteLength }: Uint8Array): Int32Array {
  return new Int32Array(buffer, byteOffset, byteLength >> 2);
}

function writeVarint(frame: Frame, tag: number, low: number, high: number): void {
  frame.reserve(overhead);
  frame.byte(valueTag);
  frame.byte(1 + varint64Size(low, high));
  frame.byte(tag);
  frame.varint64(low, high);
}

function fixedEncoder(values: Uint8Array, tag: number, width: number): ValueEncoder {
  return (frame, row) => {
    frame.reserve(overhead);
    frame.byte(valueTag);
    frame.byte(1 + width);
    frame.byte(tag);
    frame.copy(values, row * width, (row + 1) * width);
  };
}

function writeBytes(frame: Frame, tag: number, bytes: Uint8Array, start: number, end: number): void {
  const length = end - start;
  frame.reserve(overhead + length);
  frame.byte(valueTag);
  frame.varint(1 + varintSize(length) + length);
  frame.byte(tag);
  frame.varint(length);
  frame.copy(bytes, start, end);
}

/** Whole numbers that a double holds have their digits taken off by division; others go by way of their text. */
function decimalEncoder(vector: Vector, precision: number, scale: number): ValueEncoder {
  const tag = tagOf(vector.type, lengths);
  const slow: ValueEncoder = (frame, row) => {
    const bytes = Buffer.from(textOf(vector, row));
    writeBytes(frame, tag, bytes, 0, bytes.length);
  };
  if (precision > 18) return slow;
  const halves = halvesOf(vector.values);
  const digits = new Uint8Array(24);
  return (frame, row) => {
    const high = halves[row * 2 + 1]!;
    // ±2⁵³: 21 bits and a sign above the lower half.
    if (high > 0x1fffff || high < -0x200000) return slow(frame, row);
    const value = high * 4_294_967_296 + (halves[row * 2]! >>> 0);
    let left = Math.abs(value);
    let at = digits.length;
    for (let place = 0; place <= scale || left > 0; place++) {
      if (place === scale && scale > 0) digits[--at] = 0x2e;
      const rest = Math.floor(left / 10);
      digits[--at] = 0x30 + left - rest * 10;
      left = rest;
    }
    if (value < 0) digits[--at] = 0x2d;
    writeBytes(frame, tag, digits, at, digits.length);
  };
}

function momentEncoder({ values, type }: Vector, column: Column, table: string): ValueEncoder {
  const halves = halvesOf(values);
  const exact = new BigInt64Array(values.buffer, values.byteOffset, values.byteLength >> 3);
  return (frame, row) => {
    const high = halves[row * 2 + 1]!;
    if (high > 0x1fffff || high < -0x200000) {
      const seconds = Number(exact[row]! / 1_000_000n);
      const rest = Number(exact[row]! % 1_000_000n);
      return writeMoment(
        frame,
        type,
        rest < 0 ? seconds - 1 : seconds,
        rest < 0 ? rest + 1_000_000 : rest,
        column,
        table,
      );
    }
    const microseconds = high * 4_294_967_296 + (halves[row * 2]! >>> 0);
    const seconds = Math.floor(microseconds / 1_000_000);
    return writeMoment(frame, type, seconds, microseconds - seconds * 1_000_000, column, table);
  };
}

/** The years 1 to 9999, which a protobuf `Timestamp` can hold. */
const [firstSecond, lastSecond] = [-62_135_596_800, 253_402_300_799];

function writeMoment(
  frame: Frame,
  type: Type,
  seconds: number,
  microseconds: number,
  column: Column,
  table: string,
): void {
  if (seconds < firstSecond || seconds > lastSecond) {
    throw new HeadwatersError(
      "VALUE_OUT_OF_RANGE",
      `table "${table}": column "${column.name}" has a ${column.type.kind} outside of the years 1 to 9999 (or infinite), which Fivetran's protocol can't carry`,
      { hint: "Change the value in the source, or leave the column out of the sync in Fivetran." },
    );
  }
  const [low, high] = [seconds >>> 0, Math.floor(seconds / 4_294_967_296) | 0];
  const nanoseconds = microseconds * 1_000;
  const secondsBytes = seconds === 0 ? 0 : 1 + varint64Size(low, high);
  const length = secondsBytes + (nanoseconds === 0 ? 0 : 1 + varintSize(nanoseconds));
  frame.reserve(overhead);
  frame.byte(valueTag);
  frame.byte(2 + length);
  frame.byte(tagOf(type, lengths));
  frame.byte(length);
  if (seconds !== 0) {
    frame.byte(1 << 3);
    frame.varint64(low, high);
  }
  if (nanoseconds !== 0) {
    frame.byte(2 << 3);
    frame.varint(nanoseconds);
  }
}
