import type { DecimalType, Type } from "../../protocol/types.ts";
import type { Codec } from "../../wire/postgres/codecs.ts";
import { sameType } from "../../toolkit/types.ts";

/** The type of a column as the catalogs describe it; of a domain, its base type. */
export interface NativeType {
  /** `int4`, `_text`. */
  readonly name: string;
  /** The schema that the type is in. */
  readonly schema: string;
  /** `pg_type.typtype`: b base, c composite, e enum, m multirange, r range. */
  readonly kind: string;
  /** `pg_type.typcategory`: A is an array. */
  readonly category: string;
  /** `pg_attribute.atttypmod`; −1 if the type has no modifier. */
  readonly modifier: number;
  /** The type's SQL name without a modifier; literals are cast to it. */
  readonly sql: string;
}

/** How one column is read: its type in Headwaters, the expression to select, and the codec that decodes the result. */
export interface Mapping {
  readonly type: Type;
  readonly codec: Codec;
  /** The expression to select for a quoted column. */
  select(column: string): string;
  /** The value's text can be cast back to the same native value, so it can be a key or a bound in a statement. */
  readonly reversible: boolean;
  /** What a user should know about the column; `null`: nothing. */
  readonly note: string | null;
}

type PlainKind = Exclude<Type["kind"], "DECIMAL">;

/**
 * Types of pg_catalog that map to a type of Headwaters. The cast is the identity: it keeps the binary form that the
 * decoder expects, even if the column is altered meanwhile. `bpchar` keeps its padding; `::text` would strip it.
 */
const exact: Readonly<Record<string, readonly [PlainKind, Codec, cast: string]>> = {
  bool: ["BOOLEAN", "boolean", "bool"],
  int2: ["SHORT", "int2", "int2"],
  int4: ["INT", "int4", "int4"],
  int8: ["LONG", "int8", "int8"],
  oid: ["LONG", "oid", "oid"],
  float4: ["FLOAT", "float4", "float4"],
  float8: ["DOUBLE", "float8", "float8"],
  bytea: ["BINARY", "bytea", "bytea"],
  date: ["NAIVE_DATE", "date", "date"],
  time: ["NAIVE_TIME", "time", "time"],
  timestamp: ["NAIVE_DATETIME", "timestamp", "timestamp"],
  timestamptz: ["UTC_DATETIME", "timestamp", "timestamptz"],
  uuid: ["UUID", "uuid", "uuid"],
  text: ["STRING", "text", "text"],
  varchar: ["STRING", "text", "text"],
  bpchar: ["STRING", "text", "bpchar"],
  name: ["STRING", "text", "text"],
  char: ["STRING", "checked_text", "text"],
  json: ["JSON", "text", "json"],
  jsonb: ["JSON", "jsonb", "jsonb"],
  xml: ["XML", "text", "text"],
};

/** Types that are copied as text (STRING) without a note, because the text is the whole value. */
const asText = new Set(
  [
    "money timetz interval inet cidr macaddr macaddr8 bit varbit tsvector tsquery pg_lsn xid xid8 cid tid jsonpath",
    "point line lseg box path polygon circle txid_snapshot pg_snapshot int2vector oidvector aclitem refcursor",
    "regproc regprocedure regoper regoperator regclass regtype regrole regnamespace regconfig regdictionary regcollation",
    "citext ltree lquery ltxtquery semver isbn issn ean13",
  ].flatMap((names) => names.split(" ")),
);

/** Values of these types have no order, or their text does not lead back to the same value. */
const irreversible = new Set(["json", "xml"]);

/** By the type that the user chose: the cast, and the codec that decodes the result. */
const chosen: Readonly<Record<PlainKind, readonly [Codec, cast: string]>> = {
  BOOLEAN: ["boolean", "bool"],
  SHORT: ["int2", "int2"],
  INT: ["int4", "int4"],
  LONG: ["int8", "int8"],
  FLOAT: ["float4", "float4"],
  DOUBLE: ["float8", "float8"],
  NAIVE_DATE: ["date", "date"],
  NAIVE_TIME: ["time", "time"],
  NAIVE_DATETIME: ["timestamp", "timestamp"],
  UTC_DATETIME: ["timestamp", "timestamptz"],
  BINARY: ["bytea", "bytea"],
  UUID: ["uuid", "uuid"],
  STRING: ["text", "text"],
  XML: ["text", "text"],
  JSON: ["text", "text"],
};

/**
 * A value as the output function of its type writes it; NULL stays NULL. A cast to text is not always that: it may call a
 * function of its own (of `inet`, which adds a mask to hosts), also one that a user made. `concat` always calls the output
 * function. A condition `IS NULL` would hold for a composite value whose fields are all NULL.
 */
function output(column: string): string {
  return `CASE WHEN pg_catalog.num_nulls(${column}) = 0 THEN pg_catalog.concat(${column}) END`;
}

/**
 * A value as text. Types that have a type of ours are cast: `true`, not `t`; xml as it is
 * stored, with its declaration.
 */
function asTextOf(native: NativeType): (column: string) => string {
  const cast = native.schema === "pg_catalog" && (native.name === "numeric" || native.name in exact);
  return cast ? (column) => `${column}::text` : output;
}

/** A value as JSON text. */
function asJsonOf(native: NativeType): (column: string) => string {
  const plain = (column: string): string => `pg_catalog.to_json(${column})::text`;
  // The type has no dimensions to write, though its lower bound is 0.
  if (native.category !== "A" || native.name === "int2vector" || native.name === "oidvector") return plain;
  // JSON has no place for a lower bound other than 1, so such an array becomes a string: "[3:4]={5,6}".
  return (column) =>
    `CASE WHEN pg_catalog.array_dims(${column}) OPERATOR(pg_catalog.~) '\\[(?!1:)' THEN pg_catalog.to_json(pg_catalog.concat(${column})) ELSE pg_catalog.to_json(${column}) END::text`;
}

/**
 * Writes what Python's `isoformat()` writes: six fraction digits or none. Years unknown to Python become plain text.
 */
function isoTimestamp(column: string, zone: string, type: string): string {
  const inRange = `${column} BETWEEN ${type} '0001-01-01 00:00:00${zone}' AND ${type} '9999-12-31 23:59:59.999999${zone}'`;
  const text = `replace(to_char(${column}, 'YYYY-MM-DD"T"HH24:MI:SS.US'), '.000000', '')`;
  return `CASE WHEN ${inRange} THEN ${text} || '${zone === "" ? "" : "+00:00"}' ELSE ${column}::text END`;
}

/** Types that the published example maps differently. */
const example: Readonly<Record<string, readonly [PlainKind, Codec, select: (column: string) => string]>> = {
  date: ["STRING", "text", (column) => `${column}::text`],
  time: ["STRING", "text", (column) => `replace(to_char(${column}::interval, 'HH24:MI:SS.US'), '.000000', '')`],
  timestamp: ["STRING", "text", (column) => isoTimestamp(column, "", "timestamp")],
  timestamptz: ["STRING", "text", (column) => isoTimestamp(column, "+00", "timestamptz")],
  numeric: ["DOUBLE", "float8", (column) => `${column}::float8`],
  bytea: ["STRING", "text", (column) => `${column}::text`],
  uuid: ["STRING", "uuid", (column) => `${column}::uuid`],
};

/**
 * How a column of this type is read. `wanted` is the type that the user chose, if any. `isKey`: a key stays exact, so
 * that two keys never become one.
 */
export function mappingOf(
  native: NativeType,
  types: "exact" | "example",
  wanted: Type | undefined,
  isKey: boolean,
): Mapping {
  const detected = detect(native, types, isKey);
  return wanted === undefined || sameType(wanted, detected.type) ? detected : convert(native, wanted, isKey);
}

function detect(native: NativeType, types: "exact" | "example", isKey: boolean): Mapping {
  if (native.schema === "pg_catalog") {
    const known = types === "example" && !(isKey && native.name === "numeric") ? example[native.name] : undefined;
    if (known !== undefined) {
      const [kind, codec, select] = known;
      return mapping({ kind }, codec, select, native.name !== "numeric");
    }
    if (native.name === "numeric") return numeric(native);
    const row = exact[native.name];
    if (row !== undefined) {
      const [kind, codec, cast] = row;
      return mapping({ kind }, codec, (column) => `${column}::${cast}`, !irreversible.has(native.name));
    }
  }
  if (native.category === "A" || native.kind === "c" || native.name === "hstore") {
    // JSON has no bounds of arrays, and no difference between NULL and a missing key: the server's text has them.
    // The server itself compares arrays and composites. The operators of an extension are not in the search_path.
    if (isKey) return mapping({ kind: "STRING" }, "text", asTextOf(native), native.name !== "hstore");
    return mapping({ kind: "JSON" }, "text", asJsonOf(native), false);
  }
  const known = native.kind === "e" || native.kind === "r" || native.kind === "m" || asText.has(native.name);
  return mapping(
    { kind: "STRING" },
    "text",
    asTextOf(native),
    native.kind === "e" || native.schema === "pg_catalog",
    known ? null : `is of type ${native.sql}, which Headwaters does not know: it is copied as text`,
  );
}

/**
 * Types that a user may choose for a key column, besides the detected one and STRING: those in which each two values of the
 * native type differ. Values that don't fit at all are an error when they are read.
 */
const keepKeys: Readonly<Record<string, readonly Type["kind"][]>> = {
  bool: ["INT"],
  int2: ["INT", "LONG", "DECIMAL", "FLOAT", "DOUBLE"],
  int4: ["SHORT", "LONG", "DECIMAL", "DOUBLE"],
  int8: ["SHORT", "INT", "DECIMAL"],
  numeric: ["DECIMAL"],
  float4: ["DOUBLE"],
  date: ["NAIVE_DATE", "NAIVE_DATETIME", "UTC_DATETIME"],
  time: ["NAIVE_TIME"],
  timestamp: ["NAIVE_DATETIME", "UTC_DATETIME"],
  timestamptz: ["NAIVE_DATETIME", "UTC_DATETIME"],
  bytea: ["BINARY"],
  text: ["BINARY", "JSON", "XML"],
  varchar: ["BINARY", "JSON", "XML"],
  bpchar: ["BINARY", "JSON", "XML"],
};

/** Whether two keys could become one if a key column of this native type were read as `wanted`. */
export function losesKeys(native: NativeType, types: "exact" | "example", wanted: Type): boolean {
  if (wanted.kind === "STRING" || sameType(wanted, detect(native, types, true).type)) return false;
  return native.schema !== "pg_catalog" || keepKeys[native.name]?.includes(wanted.kind) !== true;
}

/** Exact if the type declares its digits and has at most 38 of them; otherwise text. */
function numeric(native: NativeType): Mapping {
  const type = decimalOf(native.modifier);
  if (type !== null) return mapping(type, "numeric", (column) => column, true);
  const note =
    native.modifier < 0
      ? "is numeric without a precision: it is copied as text, exactly; set its type to DECIMAL(p,s) for a number"
      : "has more than 38 digits: it is copied as text, exactly";
  return mapping({ kind: "STRING" }, "text", (column) => `${column}::text`, true, note);
}

/**
 * The type for `numeric(p,s)`, from its modifier. The upper half holds the precision, the lower 11 bits hold the scale
 * with its sign (PostgreSQL 15 allows −1000 to 1000; before, the scale was never negative and filled 16 bits). A
 * negative scale rounds before the decimal point. A scale above the precision means zeros after the decimal point.
 * `null`: more digits than a DECIMAL has, or no modifier.
 */
export function decimalOf(modifier: number): DecimalType | null {
  if (modifier < 0) return null;
  const precision = ((modifier - 4) >> 16) & 0xffff;
  const scale = (((modifier - 4) & 0x7ff) ^ 0x400) - 0x400;
  const digits = scale < 0 ? precision - scale : Math.max(precision, scale);
  return digits > 38 ? null : { kind: "DECIMAL", precision: digits, scale: Math.max(0, scale) };
}

/** The server does the cast, and fails on values that it can't cast. Digits that would be lost are an error too. */
function convert(native: NativeType, wanted: Type, isKey: boolean): Mapping {
  if (wanted.kind === "DECIMAL") {
    const isNumeric = native.schema === "pg_catalog" && native.name === "numeric";
    return mapping(wanted, "numeric", (column) => (isNumeric ? column : `${column}::numeric`), isNumeric);
  }
  const [codec, cast] = chosen[wanted.kind];
  const text = asTextOf(native);
  switch (wanted.kind) {
    case "STRING":
      return mapping(wanted, codec, text, detect(native, "exact", isKey).reversible);
    case "JSON":
      return mapping(
        wanted,
        codec,
        native.category === "S" ? (column) => `(${text(column)})::json::text` : asJsonOf(native),
        false,
      );
    case "BINARY":
      return mapping(wanted, codec, (column) => `convert_to(${text(column)}, getdatabaseencoding())`, false);
    case "XML":
      return mapping(wanted, codec, (column) => `(${text(column)})::xml::text`, false);
    default:
      return mapping(wanted, codec, (column) => `${column}::${cast}`, false);
  }
}

function mapping(
  type: Type,
  codec: Codec,
  select: (column: string) => string,
  reversible: boolean,
  note: string | null = null,
): Mapping {
  return { type, codec, select, reversible, note };
}
