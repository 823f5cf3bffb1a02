import type { Kind } from "../../src/protocol/types.ts";
import { parseType } from "../../src/toolkit/types.ts";
import type { Cell } from "../../src/toolkit/vectors.ts";

/** The types that tables of a proof have: a kind that is missing here does not compile. */
const typesByKind: Readonly<Record<Kind, readonly string[]>> = {
  BOOLEAN: ["BOOLEAN"],
  SHORT: ["SHORT"],
  INT: ["INT"],
  LONG: ["LONG"],
  DECIMAL: ["DECIMAL(9,2)", "DECIMAL(38,4)"],
  FLOAT: ["FLOAT"],
  DOUBLE: ["DOUBLE"],
  NAIVE_DATE: ["NAIVE_DATE"],
  NAIVE_TIME: ["NAIVE_TIME"],
  NAIVE_DATETIME: ["NAIVE_DATETIME"],
  UTC_DATETIME: ["UTC_DATETIME"],
  BINARY: ["BINARY"],
  UUID: ["UUID"],
  XML: ["XML"],
  STRING: ["STRING"],
  JSON: ["JSON"],
};
export const proofTypes = Object.values(typesByKind).flat();

const texts = ["", " ", "a", "ab", "abc", "NULL", "~", "|", "1:a", "é", "😀", "a|b", '"', "\\", "'", "x".repeat(40)];
const uuids = [
  "00000000-0000-0000-0000-00000000000",
  "7fffffff-0000-4000-8000-00000000000",
  "ffffffff-ffff-ffff-ffff-fffffffffff",
];
const floats = [0, 1, -1, 0.1, 1e-30, 1e30, Number.NaN, Infinity, -Infinity];

/** A value of a type. `random`: from 0 to below 1. Small domains, so that rows often have equal values. */
export function valueOf(type: string, random: () => number): Cell {
  const parsed = parseType(type)!;
  const pick = (below: number): number => Math.floor(random() * below);
  const whole = BigInt(pick(3)) - 1n;
  switch (parsed.kind) {
    case "BOOLEAN":
      return random() < 0.5;
    case "SHORT":
    case "INT":
      return pick(3) - 1;
    case "LONG":
      return random() < 0.5 ? whole : whole * 9_007_199_254_740_993n;
    case "DECIMAL":
      return random() < 0.5 ? whole * 101n : whole * (10n ** BigInt(parsed.precision - 1) + 1n);
    case "FLOAT":
      return Math.fround(floats[pick(floats.length)]!);
    case "DOUBLE":
      return floats[pick(floats.length)]!;
    case "NAIVE_DATE":
      return pick(20_000);
    case "NAIVE_TIME":
      return BigInt(pick(86_399)) * 1_000_000n + BigInt(pick(2));
    case "NAIVE_DATETIME":
    case "UTC_DATETIME":
      return BigInt(pick(2_000_000_000)) * 1_000_000n + BigInt(pick(2));
    case "BINARY":
      return Uint8Array.from({ length: pick(20) }, () => pick(256));
    case "JSON":
      return JSON.stringify({ a: texts[pick(texts.length)]!, n: pick(3) });
    case "UUID":
      return `${uuids[pick(uuids.length)]!}${pick(3)}`;
    case "XML":
    case "STRING":
      return texts[pick(texts.length)]!;
  }
}

/** The value that differs least: by one bit, one unit or one character. */
export function changed(kind: string, value: Cell): Cell {
  if (value === null) return valueOf(kind, () => 0);
  if (typeof value === "boolean") return !value;
  if (typeof value === "bigint") return value ^ 1n;
  if (value instanceof Uint8Array) return value.length === 0 ? Uint8Array.of(0) : value.with(0, value[0]! ^ 1);
  if (kind === "UUID") return `${String(value).slice(0, -1)}${String(value).endsWith("1") ? 0 : 1}`;
  if (typeof value === "string") return kind === "JSON" ? value.replace("}", " }") : `${value} `;
  if (kind === "FLOAT" || kind === "DOUBLE") return nextUp(kind, value);
  return value ^ 1;
}

/** The next float: one unit in the last place more. NaN and the infinities become the greatest of them all. */
function nextUp(kind: string, value: number): number {
  const view = new DataView(new ArrayBuffer(8));
  if (!Number.isFinite(value)) return kind === "FLOAT" ? 3.4028234663852886e38 : Number.MAX_VALUE;
  // Not to the denormals, which only -0 and 0 have as neighbours.
  if (kind === "FLOAT") {
    view.setFloat32(0, value);
    view.setUint32(0, view.getUint32(0) ^ 1);
    return view.getFloat32(0);
  }
  view.setFloat64(0, value);
  view.setBigUint64(0, view.getBigUint64(0) ^ 1n);
  return view.getFloat64(0);
}

/** A value as SQL that every destination takes. */
export function literal(kind: string, value: Cell, bytes: (hex: string) => string): string {
  if (value === null) return "NULL";
  if (value instanceof Uint8Array) return bytes(Buffer.from(value).toString("hex"));
  return `CAST('${textOf(kind, value).replaceAll("'", "''")}' AS ${types[kind] ?? kind})`;
}

const types: Readonly<Record<string, string>> = {
  SHORT: "smallint",
  INT: "integer",
  LONG: "bigint",
  FLOAT: "real",
  DOUBLE: "double precision",
  NAIVE_DATE: "date",
  NAIVE_TIME: "time",
  NAIVE_DATETIME: "timestamp",
  UTC_DATETIME: "timestamp with time zone",
  XML: "text",
  STRING: "text",
};

function textOf(kind: string, value: Exclude<Cell, null | Uint8Array>): string {
  const moment = (microseconds: bigint): string =>
    `${new Date(Number(microseconds / 1_000n)).toISOString().slice(0, -1)}${String(microseconds % 1_000n).padStart(3, "0")}`;
  const decimal = /^DECIMAL\(\d+,(\d+)\)$/.exec(kind);
  if (decimal !== null) {
    const scale = Number(decimal[1]);
    const digits = String(value)
      .replace("-", "")
      .padStart(scale + 1, "0");
    return `${String(value).startsWith("-") ? "-" : ""}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
  }
  if (kind === "NAIVE_DATE") return new Date(Number(value) * 86_400_000).toISOString().slice(0, 10);
  if (kind === "NAIVE_TIME") return moment(value as bigint).slice(11);
  if (kind === "NAIVE_DATETIME") return moment(value as bigint);
  if (kind === "UTC_DATETIME") return `${moment(value as bigint)}Z`;
  return Object.is(value, -0) ? "-0" : String(value);
}
