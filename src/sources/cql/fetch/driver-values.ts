import type { types } from "cassandra-driver";
import type { Type } from "../../../protocol/types.ts";
import type { Cell } from "../../../toolkit/vectors.ts";
import { Unfit, UnfitKey } from "../../../wire/cql/decode.ts";
import {
  canonicalDecimal,
  decimalText,
  doubleText,
  floatText,
  powerOfTen,
  rescale,
} from "../../../wire/cql/numbers.ts";
import {
  mostMilliseconds,
  dateText,
  durationText,
  inetText,
  timestampText,
  timeText,
} from "../../../wire/cql/time-text.ts";
import type { KeyPlace } from "../../../wire/cql/text.ts";
import type { CqlType, Scalar } from "../../../wire/cql/types.ts";

/** A value as the vendor's driver decodes it, with 64-bit numbers and varints as bigint. */
export type DriverValue = unknown;

const dayMilliseconds = 86_400_000;

function days(value: DriverValue): number {
  const { date, _value: beyond } = value as { date: Date; _value: number | null };
  return beyond ?? Math.floor(date.getTime() / dayMilliseconds);
}

function milliseconds(value: DriverValue): bigint {
  const time = (value as Date).getTime();
  if (Number.isNaN(time)) throw new Unfit(`a timestamp lies more than ${mostMilliseconds} ms from 1970`);
  return BigInt(time);
}

function decimal(value: DriverValue): { readonly unscaled: bigint; readonly scale: number } {
  const { _intVal: unscaled, _scale: scale } = value as { _intVal: types.Integer; _scale: number };
  return { unscaled: BigInt(unscaled.toString()), scale };
}

const plain = (value: DriverValue): string => String(value);

const texts: Readonly<Record<Scalar, (value: DriverValue) => string>> = {
  ascii: plain,
  text: plain,
  bigint: plain,
  counter: plain,
  blob: (value) => `0x${(value as Buffer).toString("hex")}`,
  boolean: plain,
  date: (value) => dateText(days(value)),
  decimal: (value) => {
    const { unscaled, scale } = decimal(value);
    return decimalText(unscaled, scale);
  },
  double: (value) => doubleText(value as number),
  duration: (value) => {
    const {
      months,
      days: inDays,
      nanoseconds,
    } = value as unknown as Record<"months" | "days" | "nanoseconds", unknown>;
    return durationText(BigInt(plain(months)), BigInt(plain(inDays)), BigInt(plain(nanoseconds)));
  },
  float: (value) => floatText(value as number),
  // The driver's own text shortens single zero groups, which RFC 5952 forbids, and may end in a third colon.
  inet: (value) => inetText((value as types.InetAddress).getBuffer()),
  int: plain,
  smallint: plain,
  tinyint: plain,
  time: (value) => timeText(nanoseconds(value)),
  timestamp: (value) => timestampText(milliseconds(value)),
  timeuuid: plain,
  uuid: plain,
  varint: plain,
  empty: () => "",
};

function nanoseconds(value: DriverValue): bigint {
  return BigInt((value as types.LocalTime).getTotalNanoseconds().toString());
}

const numeric: ReadonlySet<string> = new Set([
  ...["bigint", "boolean", "counter", "int", "smallint", "tinyint", "varint"],
]);

/** JSON as the fast path writes it, from the driver's objects, to which fields that are not there are `undefined`. */
export function driverJson(type: CqlType, value: DriverValue, place: KeyPlace | null): string {
  if (value === null || value === undefined) return "null";
  const nested = (of: CqlType, item: DriverValue): string => driverJson(of, item, place);
  const list = (of: CqlType, values: Iterable<DriverValue>): string =>
    `[${Array.from(values, (item) => nested(of, item)).join(",")}]`;
  const isThere = (item: DriverValue): boolean => place !== "partition_key" || item !== undefined;
  switch (type.kind) {
    case "list":
    case "set":
      return list(type.of, value as Iterable<DriverValue>);
    case "vector":
      return list(type.of, (value as types.Vector).elements as Iterable<DriverValue>);
    case "map": {
      const entries = Array.from(value as Map<DriverValue, DriverValue>, ([key, of]) => {
        const name = nested(type.key, key);
        return `${name.startsWith('"') ? name : JSON.stringify(name)}:${nested(type.value, of)}`;
      });
      return `{${entries.join(",")}}`;
    }
    case "tuple": {
      const { elements } = value as types.Tuple;
      const parts = type.of.flatMap((of, index) => (isThere(elements[index]) ? [nested(of, elements[index])] : []));
      return `[${parts.join(",")}]`;
    }
    case "udt": {
      const fields = value as Readonly<Record<string, DriverValue>>;
      const last = type.fields.findLastIndex(([name]) => fields[name] !== null && fields[name] !== undefined);
      const there = type.fields.filter(
        ([name], index) => isThere(fields[name]) && (place !== "clustering" || index <= last),
      );
      return `{${there.map(([name, of]) => `${JSON.stringify(name)}:${nested(of, fields[name])}`).join(",")}}`;
    }
    case "custom":
      return JSON.stringify(texts.blob(value));
    case "decimal": {
      const { unscaled, scale } = decimal(value);
      return place === "clustering" ? decimalText(...canonicalDecimal(unscaled, scale)) : decimalText(unscaled, scale);
    }
    default: {
      const text = texts[type.kind](value);
      if (type.kind === "float" || type.kind === "double") return /\d/.test(text) ? text : JSON.stringify(text);
      return numeric.has(type.kind) ? text : JSON.stringify(text);
    }
  }
}

/** The value as a vector of the type `ours` holds it. Throws {@link Unfit}. */
export function driverCell(native: CqlType, ours: Type, value: DriverValue, place: KeyPlace | null): Cell {
  if (value === null || value === undefined) return null;
  const text = texts[native.kind as Scalar] as ((value: DriverValue) => string) | undefined;
  if (native.kind === "custom") return ours.kind === "BINARY" ? (value as Buffer) : texts.blob(value);
  if (text === undefined) return driverJson(native, value, place);
  if (ours.kind === "UUID") return text(value);
  if (ours.kind === "STRING") return native.kind === "decimal" ? driverJson(native, value, place) : text(value);
  if (place !== null && Object.is(value, -0)) throw new UnfitKey("-0.0", ours);
  switch (native.kind) {
    case "timestamp":
      return ours.kind === "LONG" ? milliseconds(value) : milliseconds(value) * 1_000n;
    case "time":
      return ours.kind === "LONG" ? nanoseconds(value) : microseconds(nanoseconds(value));
    case "date":
      return days(value);
    case "blob":
    case "boolean":
      return value as Cell;
    case "float":
    case "double":
      return value as number;
    case "decimal":
      return ours.kind === "DOUBLE" ? Number(text(value)) : scaled(decimal(value), ours);
    default: {
      const whole = BigInt(plain(value));
      if (ours.kind === "DECIMAL") return scaled({ unscaled: whole, scale: 0 }, ours);
      return ours.kind === "DOUBLE" ? Number(whole) : fitting(whole, ours);
    }
  }
}

const bits: Partial<Record<Type["kind"], number>> = { SHORT: 16, INT: 32, LONG: 64 };

function fitting(value: bigint, { kind }: Type): bigint {
  if (BigInt.asIntN(bits[kind]!, value) !== value) throw new Unfit(`a value has more than ${bits[kind]} bits`);
  return value;
}

function microseconds(nanos: bigint): bigint {
  if (nanos % 1000n !== 0n) throw new Unfit("a time has nanoseconds");
  return nanos / 1000n;
}

function scaled({ unscaled, scale }: { unscaled: bigint; scale: number }, ours: Type): bigint {
  const type = ours as Type & { kind: "DECIMAL" };
  const result = rescale(unscaled, scale, type.scale);
  const most = powerOfTen(type.precision);
  if (result === null || result >= most || result <= -most)
    throw new Unfit(`a value does not fit DECIMAL(${type.precision},${type.scale})`);
  return result;
}
