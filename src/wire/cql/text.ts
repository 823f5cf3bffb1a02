import { ProtocolBroken } from "../../net/broken.ts";
import { canonicalDecimal, decimalText, doubleText, floatText, readVarint } from "./numbers.ts";
import { dateText, durationText, inetText, timestampText, timeText } from "./time-text.ts";
import { type CqlType, fixedLength, maySize, type Scalar } from "./types.ts";

/**
 * Cassandra's vint: its leading ones give the number of bytes that follow, at most 8. Returns the value and where it ends.
 */
function readUnsignedVint(buffer: Buffer, at: number): readonly [bigint, number] {
  const first = buffer[at]!;
  const extra = Math.min(8, Math.clz32((~first & 0xff) << 24));
  let value = BigInt(first & (0xff >> extra));
  for (let index = 1; index <= extra; index++) value = (value << 8n) | BigInt(buffer[at + index]!);
  return [value, at + 1 + extra];
}

function zigZag(value: bigint): bigint {
  return (value >> 1n) ^ -(value & 1n);
}

function readDuration(buffer: Buffer, start: number): readonly [months: bigint, days: bigint, ns: bigint] {
  const [months, afterMonths] = readUnsignedVint(buffer, start);
  const [days, afterDays] = readUnsignedVint(buffer, afterMonths);
  const [nanoseconds] = readUnsignedVint(buffer, afterDays);
  return [zigZag(months), zigZag(days), zigZag(nanoseconds)];
}

function uuidText(buffer: Buffer, start: number): string {
  const hex = buffer.toString("hex", start, start + 16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

const textOf: Readonly<Record<Scalar, (buffer: Buffer, start: number, end: number) => string>> = {
  ascii: (buffer, start, end) => buffer.toString("latin1", start, end),
  text: (buffer, start, end) => buffer.toString("utf8", start, end),
  bigint: (buffer, start) => buffer.readBigInt64BE(start).toString(),
  counter: (buffer, start) => buffer.readBigInt64BE(start).toString(),
  blob: (buffer, start, end) => `0x${buffer.toString("hex", start, end)}`,
  boolean: (buffer, start) => (buffer[start] === 0 ? "false" : "true"),
  date: (buffer, start) => dateText(buffer.readUInt32BE(start) - 2 ** 31),
  decimal: (buffer, start, end) => decimalText(readVarint(buffer, start + 4, end), buffer.readInt32BE(start)),
  double: (buffer, start) => doubleText(buffer.readDoubleBE(start)),
  duration: (buffer, start) => durationText(...readDuration(buffer, start)),
  float: (buffer, start) => floatText(buffer.readFloatBE(start)),
  inet: (buffer, start, end) => inetText(buffer.subarray(start, end)),
  int: (buffer, start) => buffer.readInt32BE(start).toString(),
  smallint: (buffer, start) => buffer.readInt16BE(start).toString(),
  tinyint: (buffer, start) => buffer.readInt8(start).toString(),
  time: (buffer, start) => timeText(buffer.readBigInt64BE(start)),
  timestamp: (buffer, start) => timestampText(buffer.readBigInt64BE(start)),
  timeuuid: uuidText,
  uuid: uuidText,
  varint: (buffer, start, end) => readVarint(buffer, start, end).toString(),
  empty: () => "",
};

/** Types whose values may have no bytes. For all others CQL calls a value without bytes empty, and we read it as NULL. */
export const mayBeEmpty: ReadonlySet<CqlType["kind"]> = new Set(["ascii", "text", "blob", "custom"]);

export function isAbsent(type: CqlType, start: number, end: number): boolean {
  return start === end && !mayBeEmpty.has(type.kind);
}

/** A value as text: scalars as CQL writes them (without quotes), all others as JSON. */
export function valueText(type: CqlType, buffer: Buffer, start: number, end: number): string {
  if (!maySize(type, end - start)) throw new ProtocolBroken(`a value of type ${type.kind} in ${end - start} bytes`);
  const scalar = textOf[type.kind as Scalar] as (typeof textOf)[Scalar] | undefined;
  if (scalar !== undefined) return scalar(buffer, start, end);
  return type.kind === "custom" ? textOf.blob(buffer, start, end) : jsonText(type, buffer, start, end);
}

/** Types whose text is already a JSON number. */
const numeric: ReadonlySet<CqlType["kind"]> = new Set([
  "bigint",
  "boolean",
  "counter",
  "int",
  "smallint",
  "tinyint",
  "varint",
]);

/** A value as JSON, in the forms of CQL's own `SELECT JSON`; NaN and the infinities as strings. */
export function jsonText(type: CqlType, buffer: Buffer, start: number, end: number): string {
  return json(type, buffer, start, end, null);
}

/**
 * The part of a key that a value belongs to. Two partition keys are equal if their bytes are; two clustering keys if they
 * compare as equal, as 1.5 and 1.50 do.
 */
export type KeyPlace = "partition_key" | "clustering";

/**
 * The JSON of a value in a key. Values that are distinct at the server have different texts: `""` is a value without bytes.
 * In a partition key, missing fields are left out. In a clustering key, equal values have one text, which does
 * not change if a field is added to a user-defined type: the last fields are left out if they are NULL.
 */
export function keyText(type: CqlType, place: KeyPlace, buffer: Buffer, start: number, end: number): string {
  return json(type, buffer, start, end, place);
}

function json(type: CqlType, buffer: Buffer, start: number, end: number, place: KeyPlace | null): string {
  if (isAbsent(type, start, end)) return place === null ? "null" : '""';
  switch (type.kind) {
    case "list":
    case "set":
      return `[${elements(buffer, start, end)
        .map((part) => partJson(type.of, buffer, part, place))
        .join(",")}]`;
    case "map":
      return mapJson(type, buffer, start, end, place);
    case "tuple":
      return `[${tupleParts(type.of, buffer, start, end, place).join(",")}]`;
    case "udt": {
      const fields = type.fields.map(([, field]) => field);
      const values = tupleParts(fields, buffer, start, end, place);
      if (place === "clustering") values.length = values.findLastIndex((value) => value !== "null") + 1;
      return `{${values.map((value, index) => `${JSON.stringify(type.fields[index]![0])}:${value}`).join(",")}}`;
    }
    case "vector":
      return `[${vectorParts(type, buffer, start, end, place).join(",")}]`;
    case "decimal": {
      const [unscaled, scale] = [readVarint(buffer, start + 4, end), buffer.readInt32BE(start)];
      return place === "clustering" ? decimalText(...canonicalDecimal(unscaled, scale)) : decimalText(unscaled, scale);
    }
    case "float":
    case "double": {
      const text = valueText(type, buffer, start, end);
      return /\d/.test(text) ? text : JSON.stringify(text);
    }
    default: {
      const text = valueText(type, buffer, start, end);
      return numeric.has(type.kind) ? text : JSON.stringify(text);
    }
  }
}

/** Where an element lies; `null`: it is null. */
type Part = readonly [start: number, end: number] | null;

function partJson(type: CqlType, buffer: Buffer, part: Part, place: KeyPlace | null): string {
  return part === null ? "null" : json(type, buffer, part[0], part[1], place);
}

/** The elements of a list or set. */
function elements(buffer: Buffer, start: number, end: number): Part[] {
  let at = start + 4;
  return Array.from({ length: countAt(buffer, start, end, 4) }, () => {
    const part = partAt(buffer, at, end);
    at = part === null ? at + 4 : part[1];
    return part;
  });
}

/** How many elements follow, each of at least `least` bytes. */
function countAt(buffer: Buffer, start: number, end: number, least: number): number {
  const count = buffer.readInt32BE(start);
  if (count < 0 || count * least > end - start - 4) throw new ProtocolBroken(`a collection of ${count} elements`);
  return count;
}

function partAt(buffer: Buffer, at: number, end: number): Part {
  const length = buffer.readInt32BE(at);
  if (length > end - at - 4) throw new ProtocolBroken("an element that is longer than its collection");
  return length < 0 ? null : [at + 4, at + 4 + length];
}

/** Keys of JSON are strings: any other key is written as JSON inside a string, as CQL does. */
function mapJson(
  type: CqlType & { kind: "map" },
  buffer: Buffer,
  start: number,
  end: number,
  place: KeyPlace | null,
): string {
  const entries: string[] = [];
  let at = start + 4;
  const next = (of: CqlType): string => {
    const part = partAt(buffer, at, end);
    at = part === null ? at + 4 : part[1];
    return partJson(of, buffer, part, place);
  };
  for (let left = countAt(buffer, start, end, 8); left > 0; left--) {
    const key = next(type.key);
    entries.push(`${key.startsWith('"') ? key : JSON.stringify(key)}:${next(type.value)}`);
  }
  return `{${entries.join(",")}}`;
}

/** Fields that were added to a type after the value was written are missing: null, but left out in a partition key. */
function tupleParts(
  types: readonly CqlType[],
  buffer: Buffer,
  start: number,
  end: number,
  place: KeyPlace | null,
): string[] {
  let at = start;
  return types.flatMap((type) => {
    if (at >= end) return place === "partition_key" ? [] : ["null"];
    const part = partAt(buffer, at, end);
    at = part === null ? at + 4 : part[1];
    return [partJson(type, buffer, part, place)];
  });
}

function vectorParts(
  type: CqlType & { kind: "vector" },
  buffer: Buffer,
  start: number,
  end: number,
  place: KeyPlace | null,
): string[] {
  const length = fixedLength(type.of);
  let at = start;
  return Array.from({ length: type.size }, () => {
    let bytes = length;
    if (bytes === null) {
      const [size, after] = readUnsignedVint(buffer, at);
      bytes = Number(size);
      at = after;
    }
    at += bytes;
    if (at > end) throw new ProtocolBroken("a vector that is longer than its value");
    return json(type.of, buffer, at - bytes, at, place);
  });
}
