import type { Table } from "../protocol/table.ts";
import type { Type } from "../protocol/types.ts";
import { nearest } from "../toolkit/nearest.ts";
import { parseType } from "../toolkit/types.ts";
import { mistake, shown } from "./mistake.ts";
import type { TableDefinition, Tables } from "./row-types.ts";

/** A table as its source declares it, checked. */
export interface DeclaredTable {
  readonly id: string;
  readonly key: readonly string[];
  /** Declared columns, in their order. */
  readonly columns: readonly { readonly name: string; readonly type: Type }[];
  /** Position in `columns`, by name. */
  readonly index: ReadonlyMap<string, number>;
  /** Other columns are inferred from the values. */
  readonly infers: boolean;
}

/**
 * The type of an inferred key column before its first value: the narrowest type that widens to every kind of number, and
 * to text.
 */
export const unseenKey: Type = { kind: "SHORT" };

/** Checks the schema of a source. `replaced`: types that the user set, by table and column. Throws `SOURCE_MISTAKEN`. */
export function declaredTables(
  tables: Tables,
  replaced: Readonly<Record<string, Readonly<Record<string, Type>> | undefined>>,
): ReadonlyMap<string, DeclaredTable> {
  if (typeof tables !== "object" || tables === null || Object.keys(tables).length === 0) {
    throw mistake(
      "schema: it has no table",
      'Give at least one, by name: { readings: { key: ["id"], columns: { id: "LONG" } } }.',
    );
  }
  return new Map(Object.entries(tables).map(([id, table]) => [id, declared(id, table, replaced[id] ?? {})]));
}

function declared(id: string, table: TableDefinition, replaced: Readonly<Record<string, Type>>): DeclaredTable {
  const { key, columns: given, infer = given === undefined } = table;
  if (!Array.isArray(key) || key.length === 0) {
    throw mistake(
      `schema: table "${id}" has no key`,
      'Name the columns that identify a row: key: ["id"]. If there are none, add one, such as a digest of the row.',
    );
  }
  const types = { ...given, ...replaced };
  const columns = Object.keys(types).map((name) => ({
    name,
    type: replaced[name] ?? typeOf(id, name, given![name]),
  }));
  const index = new Map(columns.map(({ name }, position) => [name, position]));
  const unknown = key.find((name: unknown) => typeof name !== "string" || (!infer && !index.has(name)));
  if (unknown !== undefined) {
    const meant = nearest(String(unknown), index.keys());
    throw mistake(
      `schema: the key of table "${id}" names column ${shown(unknown)}, which does not exist`,
      meant === null ? `It has ${[...index.keys()].join(", ")}.` : `Did you mean ${meant}?`,
    );
  }
  const twice = key.find((name, position) => key.indexOf(name) !== position);
  if (twice !== undefined) throw mistake(`schema: the key of table "${id}" names "${twice}" twice`, "Name it once.");
  return { id, key, columns, index, infers: infer };
}

function typeOf(table: string, column: string, name: unknown): Type {
  const type = typeof name === "string" ? parseType(name) : null;
  if (type !== null) return type;
  throw mistake(
    `schema: column "${column}" of table "${table}" has an unknown type: ${shown(name)}`,
    "Types are BOOLEAN, SHORT, INT, LONG, DECIMAL(12,2), FLOAT, DOUBLE, NAIVE_DATE, NAIVE_TIME, NAIVE_DATETIME, UTC_DATETIME, BINARY, UUID, XML, STRING and JSON.",
  );
}

/** The table for the engine, before its first row. */
export function tableOf({ id, key, columns, index, infers }: DeclaredTable, source: string): Table {
  const inferredKey = key.filter((name) => !index.has(name)).map((name) => ({ name, type: unseenKey }));
  return {
    id,
    columns: [...columns, ...inferredKey].map(({ name, type }) => ({ name, type, nullable: !key.includes(name) })),
    key,
    identity: source,
    cursor: null,
    streamed: true,
    version: null,
    estimatedRows: null,
    notes: infers ? ["Columns that are not declared are inferred from its rows."] : [],
  };
}
