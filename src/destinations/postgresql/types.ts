import type { Codec } from "../../wire/postgres/codecs.ts";
import type { Kind, Type } from "../../protocol/types.ts";

type PlainKind = Exclude<Kind, "DECIMAL">;

/**
 * Our types in PostgreSQL, as `format_type` writes them. JSON is stored as `json`, which keeps the text exactly; jsonb
 * would drop repeated keys, the order of keys and the spelling of numbers, and can't store U+0000. XML is stored as
 * text: the type xml drops the declaration, and not every server has it.
 */
const names: Readonly<Record<PlainKind, string>> = {
  BOOLEAN: "boolean",
  SHORT: "smallint",
  INT: "integer",
  LONG: "bigint",
  FLOAT: "real",
  DOUBLE: "double precision",
  NAIVE_DATE: "date",
  NAIVE_TIME: "time without time zone",
  NAIVE_DATETIME: "timestamp without time zone",
  UTC_DATETIME: "timestamp with time zone",
  BINARY: "bytea",
  UUID: "uuid",
  XML: "text",
  STRING: "text",
  JSON: "json",
};

export function postgresType(type: Type): string {
  return type.kind === "DECIMAL" ? `numeric(${type.precision},${type.scale})` : names[type.kind];
}

/** Our type for a type that `format_type` wrote; `null`: there is none. XML comes back as STRING. */
export function typeOf(formatted: string): Type | null {
  const decimal = /^numeric\((\d+),(\d+)\)$/.exec(formatted);
  if (decimal !== null) {
    const [precision, scale] = [Number(decimal[1]), Number(decimal[2])];
    return precision <= 38 && scale <= precision ? { kind: "DECIMAL", precision, scale } : null;
  }
  if (formatted === names.STRING) return { kind: "STRING" };
  const found = Object.entries(names).find(([, name]) => name === formatted);
  return found === undefined ? null : { kind: found[0] as PlainKind };
}

/** The format of a type's values in a binary COPY. */
export const codecOf: Readonly<Record<Kind, Codec>> = {
  BOOLEAN: "boolean",
  SHORT: "int2",
  INT: "int4",
  LONG: "int8",
  FLOAT: "float4",
  DOUBLE: "float8",
  DECIMAL: "numeric",
  NAIVE_DATE: "date",
  NAIVE_TIME: "time",
  NAIVE_DATETIME: "timestamp",
  UTC_DATETIME: "timestamp",
  BINARY: "bytea",
  UUID: "uuid",
  XML: "text",
  STRING: "text",
  JSON: "text",
};

/** A value of the type that replaces NULL in a probe. It never decides whether keys are equal. */
export function anyValue(type: Type): string {
  return `${anyText[type.kind]}::${postgresType(type)}`;
}

const anyText: Readonly<Record<Kind, string>> = {
  BOOLEAN: "false",
  SHORT: "0",
  INT: "0",
  LONG: "0",
  FLOAT: "0",
  DOUBLE: "0",
  DECIMAL: "0",
  NAIVE_DATE: "'epoch'",
  NAIVE_TIME: "'00:00'",
  NAIVE_DATETIME: "'epoch'",
  UTC_DATETIME: "'epoch'",
  BINARY: "''",
  UUID: "'00000000-0000-0000-0000-000000000000'",
  XML: "''",
  STRING: "''",
  JSON: "'null'",
};

/** An expression that can be compared and grouped by. The type json has no equality, so json is compared as text. */
export function comparable(expression: string, type: Type): string {
  return type.kind === "JSON" ? `${expression}::text` : expression;
}

/** As in `Dialect.exact`: floats are compared as text, because -0 = 0. */
export function exact(expression: string, type: Type): string {
  return isFloat(type) ? `${expression}::text` : comparable(expression, type);
}

/** As in `Dialect.differ`. Floats become text only if they are zero, which is faster. */
export function differ(a: string, b: string, type: Type): string {
  const differs = `${comparable(a, type)} IS DISTINCT FROM ${comparable(b, type)}`;
  return isFloat(type) ? `(${differs} OR (${a} = 0 AND ${exact(a, type)} <> ${exact(b, type)}))` : differs;
}

function isFloat({ kind }: Type): boolean {
  return kind === "FLOAT" || kind === "DOUBLE";
}
