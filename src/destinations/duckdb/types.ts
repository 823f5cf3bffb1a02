import duckdb from "@duckdb/node-bindings";
import type { LogicalType } from "@duckdb/node-bindings";
import type { Kind, Type } from "../../protocol/types.ts";

/** Our types in DuckDB. All are exact. JSON and TIMESTAMPTZ are part of the binary, so nothing is downloaded. */
const names: Readonly<Record<Exclude<Kind, "DECIMAL">, string>> = {
  BOOLEAN: "BOOLEAN",
  SHORT: "SMALLINT",
  INT: "INTEGER",
  LONG: "BIGINT",
  FLOAT: "FLOAT",
  DOUBLE: "DOUBLE",
  NAIVE_DATE: "DATE",
  NAIVE_TIME: "TIME",
  NAIVE_DATETIME: "TIMESTAMP",
  UTC_DATETIME: "TIMESTAMP WITH TIME ZONE",
  BINARY: "BLOB",
  UUID: "UUID",
  XML: "VARCHAR",
  STRING: "VARCHAR",
  JSON: "JSON",
};

export function duckdbType(type: Type): string {
  return type.kind === "DECIMAL" ? `DECIMAL(${type.precision},${type.scale})` : names[type.kind];
}

/**
 * The argument of `hash()` for a value. DuckDB hashes a 128-bit number as the XOR of the hashes of its halves, so that
 * 0 and -1 have the same hash (seen in DuckDB 1.5.5: `hash(0::HUGEINT) = hash((-1)::HUGEINT)`).
 */
export function hashable(value: string, type: Type): string {
  const wide = type.kind === "UUID" || (type.kind === "DECIMAL" && type.precision > 18);
  return wide ? `CAST(${value} AS VARCHAR)` : value;
}

/**
 * A cast of a value of type `from` to `to`. DuckDB writes a DECIMAL without digits before the point as `.5` (seen in
 * 1.5.5); the text is `0.5`, as other databases write it.
 */
export function converted(value: string, from: Type, to: Type): string {
  const cast = `CAST(${value} AS ${duckdbType(to)})`;
  const bare = from.kind === "DECIMAL" && from.precision === from.scale && duckdbType(to) === names.STRING;
  return bare ? `regexp_replace(${cast}, '^(-?)\\.', '\\10.')` : cast;
}

/**
 * A value as text, within the text of a row. (Measured, 1 M rows of 9 columns: a second of processor time for the texts and
 * their MD5; asking for both halves of the MD5 by themselves takes half as much again.) Texts and bytes have their length
 * before them, so that no value runs into its neighbour. No other value has a `~` or a `|`.
 */
export function cellText(value: string, type: Type): string {
  const text = `CAST(${value} AS VARCHAR)`;
  switch (type.kind) {
    case "STRING":
    case "XML":
    case "JSON":
      return sizedText(`strlen(${text})`, text, text);
    case "BINARY":
      return sizedText(`octet_length(${value})`, value, text);
    // Much faster than as text. An infinite time has no microseconds.
    case "NAIVE_DATETIME":
    case "UTC_DATETIME":
      return `coalesce(CAST(epoch_us(${value}) AS VARCHAR), ${text}, '~')`;
    // The text of a NaN shows its sign, which means nothing.
    case "FLOAT":
    case "DOUBLE":
      return `coalesce(CASE WHEN isnan(${value}) THEN 'nan' ELSE CAST(${canonical(value, type)} AS VARCHAR) END, '~')`;
    default:
      return `coalesce(${text}, '~')`;
  }
}

/**
 * Texts and bytes with more bytes than this stand in the text of a row by their own MD5: the text of a whole row would
 * hold each long value several times over.
 */
const longBytes = 4_096;

function sizedText(size: string, value: string, text: string): string {
  return `CASE WHEN ${size} <= ${longBytes} THEN ${size} || ':' || ${text} WHEN ${value} IS NULL THEN '~' ELSE ${size} || '#' || md5(${value}) END`;
}

/**
 * The expression for a value as it is stored. DuckDB takes the two zeros of a float for one value: compression and
 * Parquet's dictionaries give every zero of a segment the sign of the first one (seen in DuckDB 1.5.5). So -0 is stored
 * as 0. Adding 0 changes no other value.
 */
export function canonical(value: string, { kind }: Type): string {
  return kind === "FLOAT" || kind === "DOUBLE" ? `(${value} + 0)` : value;
}

/** Our type for a DuckDB type; `null`: there is none. XML comes back as STRING. */
export function typeOf(duckdbName: string): Type | null {
  const decimal = /^DECIMAL\((\d+),(\d+)\)$/.exec(duckdbName);
  if (decimal !== null) return { kind: "DECIMAL", precision: Number(decimal[1]), scale: Number(decimal[2]) };
  if (duckdbName === "VARCHAR") return { kind: "STRING" };
  const found = Object.entries(names).find(([, name]) => name === duckdbName);
  return found === undefined ? null : { kind: found[0] as Exclude<Kind, "DECIMAL"> };
}

/** The DuckDB type with the same memory layout as a vector of `type`. A cast then narrows and checks decimals and UUIDs. */
export function layoutType(type: Type): string {
  if (type.kind === "UUID") return "VARCHAR";
  if (type.kind !== "DECIMAL") return duckdbType(type);
  return `DECIMAL(${type.precision <= 18 ? 18 : 38},${type.scale})`;
}

const ids: Readonly<Record<Exclude<Kind, "DECIMAL">, number>> = {
  BOOLEAN: duckdb.Type.BOOLEAN,
  SHORT: duckdb.Type.SMALLINT,
  INT: duckdb.Type.INTEGER,
  LONG: duckdb.Type.BIGINT,
  FLOAT: duckdb.Type.FLOAT,
  DOUBLE: duckdb.Type.DOUBLE,
  NAIVE_DATE: duckdb.Type.DATE,
  NAIVE_TIME: duckdb.Type.TIME,
  NAIVE_DATETIME: duckdb.Type.TIMESTAMP,
  UTC_DATETIME: duckdb.Type.TIMESTAMP_TZ,
  BINARY: duckdb.Type.BLOB,
  UUID: duckdb.Type.VARCHAR,
  XML: duckdb.Type.VARCHAR,
  STRING: duckdb.Type.VARCHAR,
  JSON: duckdb.Type.VARCHAR,
};

/** {@link layoutType} as a native handle. */
export function layoutHandle(type: Type): LogicalType {
  if (type.kind === "DECIMAL") return duckdb.create_decimal_type(type.precision <= 18 ? 18 : 38, type.scale);
  const handle = duckdb.create_logical_type(ids[type.kind]);
  // With this alias VARCHAR counts as JSON, and a JSON column takes it without parsing it again.
  if (type.kind === "JSON") duckdb.logical_type_set_alias(handle, "JSON");
  return handle;
}
