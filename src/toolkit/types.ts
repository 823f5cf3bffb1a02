import type { Table } from "../protocol/table.ts";
import type { Kind, Type } from "../protocol/types.ts";

/** Bytes of one value in `Vector.values`; 0 for BOOLEAN (one bit), `null` for types with offsets. */
export function byteWidth(type: Type): number | null {
  switch (type.kind) {
    case "BOOLEAN":
      return 0;
    case "SHORT":
      return 2;
    case "INT":
    case "FLOAT":
    case "NAIVE_DATE":
      return 4;
    case "LONG":
    case "DOUBLE":
    case "NAIVE_TIME":
    case "NAIVE_DATETIME":
    case "UTC_DATETIME":
      return 8;
    case "DECIMAL":
      return type.precision <= 18 ? 8 : 16;
    case "BINARY":
    case "UUID":
    case "STRING":
    case "XML":
    case "JSON":
      return null;
  }
}

/** A type as users write and read it: `DECIMAL(10,2)`, `LONG`. */
export function typeName(type: Type): string {
  return type.kind === "DECIMAL" ? `DECIMAL(${type.precision},${type.scale})` : type.kind;
}

export const kinds: readonly Kind[] = [
  "BOOLEAN",
  "SHORT",
  "INT",
  "LONG",
  "DECIMAL",
  "FLOAT",
  "DOUBLE",
  "NAIVE_DATE",
  "NAIVE_TIME",
  "NAIVE_DATETIME",
  "UTC_DATETIME",
  "BINARY",
  "UUID",
  "XML",
  "STRING",
  "JSON",
];

/** The inverse of {@link typeName}, ignoring case; `null`: no such type. `DECIMAL` alone is DECIMAL(38,0). */
export function parseType(name: string): Type | null {
  const match = /^([A-Z_]+)(?:\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\))?$/.exec(name.trim().toUpperCase());
  const kind = kinds.find((candidate) => candidate === match?.[1]);
  if (kind === undefined || match === null) return null;
  if (kind !== "DECIMAL") return match[2] === undefined ? { kind } : null;
  const precision = Number(match[2] ?? 38);
  const scale = Number(match[3] ?? 0);
  return precision >= 1 && precision <= 38 && scale <= precision ? { kind, precision, scale } : null;
}

export function sameType(a: Type, b: Type): boolean {
  return typeName(a) === typeName(b);
}

/** The most digits that a whole number of this kind can have. */
const wholeDigits: Partial<Record<Kind, number>> = { SHORT: 5, INT: 10, LONG: 19 };

/**
 * The narrowest type that holds every value of both types exactly: SHORT < INT < LONG < DECIMAL, FLOAT < DOUBLE, and
 * STRING holds anything. Whole numbers and floats widen to DOUBLE only if DOUBLE holds all of the whole numbers exactly
 * (SHORT and INT). A date is midnight of a datetime. Of the two kinds of datetimes the later one counts, `b`: at UTC, each
 * holds all values of the other.
 */
export function widen(a: Type, b: Type): Type {
  if (sameType(a, b)) return a;
  const [narrow, wide] = rank(a) <= rank(b) ? [a, b] : [b, a];
  const whole = wholeDigits[narrow.kind];
  if (whole !== undefined) {
    if (wholeDigits[wide.kind] !== undefined) return wide;
    if (wide.kind === "DECIMAL") return decimal(Math.max(whole, wide.precision - wide.scale), wide.scale);
    if (wide.kind === "DOUBLE" && narrow.kind !== "LONG") return wide;
    if (wide.kind === "FLOAT" && narrow.kind !== "LONG") return narrow.kind === "SHORT" ? wide : { kind: "DOUBLE" };
  }
  if (narrow.kind === "FLOAT" && wide.kind === "DOUBLE") return wide;
  if (narrow.kind === "DECIMAL" && wide.kind === "DECIMAL") {
    const before = Math.max(narrow.precision - narrow.scale, wide.precision - wide.scale);
    return decimal(before, Math.max(narrow.scale, wide.scale));
  }
  if (isDatetime(wide)) {
    if (narrow.kind === "NAIVE_DATE") return wide;
    if (isDatetime(narrow)) return b;
  }
  return { kind: "STRING" };
}

function isDatetime({ kind }: Type): boolean {
  return kind === "NAIVE_DATETIME" || kind === "UTC_DATETIME";
}

function rank(type: Type): number {
  return kinds.indexOf(type.kind);
}

function decimal(before: number, scale: number): Type {
  return before + scale <= 38 ? { kind: "DECIMAL", precision: Math.max(1, before + scale), scale } : { kind: "STRING" };
}

/** Whether `known` has every column of `table`, with the same type. */
export function hasColumnsOf(known: Table, table: Table): boolean {
  return table.columns.every(({ name, type }) =>
    known.columns.some((column) => column.name === name && holdsAsIs(column.type, type)),
  );
}

/**
 * Whether a column that was made as `known` has the values of `type` as they are now: it is the same type, or UUID, which
 * releases up to 0.1.0 copied as text.
 */
export function holdsAsIs(known: Type, type: Type): boolean {
  return sameType(known, type) || (known.kind === "STRING" && type.kind === "UUID");
}

/** A table with the columns of both, each in the wider type. Everything else is taken from `b`. */
export function unite(a: Table, b: Table): Table {
  const columns = new Map(a.columns.map((column) => [column.name, column]));
  for (const column of b.columns) {
    const known = columns.get(column.name);
    const type = known === undefined ? column.type : widen(known.type, column.type);
    columns.set(column.name, { ...column, type, nullable: column.nullable || known?.nullable !== false });
  }
  return { ...b, columns: [...columns.values()] };
}
