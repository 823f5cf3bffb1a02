import { createHash } from "node:crypto";
import type { Table } from "../../protocol/table.ts";
import { unreadCell, versionColumn } from "../../wire/cql/decode-page.ts";
import { quoted } from "../../wire/cql/errors.ts";
import type { CqlType } from "../../wire/cql/types.ts";
import { columnNames, type CqlColumn, type CqlTable } from "./catalog.ts";

/** The abilities of the server that decide how a statement is written. */
export interface Dialect {
  readonly scylla: boolean;
  /** `WRITETIME` accepts collections: Cassandra 5.0 and later (CASSANDRA-8877). */
  readonly collectionWriteTimes: boolean;
}

export function dialectOf({ scylla, version }: { readonly scylla: boolean; readonly version: string }): Dialect {
  return { scylla, collectionWriteTimes: !scylla && Number.parseInt(version, 10) >= 5 };
}

/**
 * The selected expressions: `columns` in their order, then the values that make the version, if `columns` has it. The
 * version covers the columns of `table`. If the table has static columns, at least one of them is selected; otherwise
 * partitions that hold only static columns would be left out.
 */
export function selection(columns: Table["columns"], table: Table, native: CqlTable, dialect: Dialect): string[] {
  const cells = columns.filter(({ name }) => name !== versionColumn).map(({ name }) => quoted(name));
  const named = new Set(columns.map(({ name }) => name));
  if (named.has(versionColumn)) {
    const all = new Set(table.columns.map(({ name }) => name));
    for (const column of native.columns.filter(({ name }) => all.has(name))) {
      if (column.kind === "static") named.add(column.name);
      cells.push(...writeTime(column, dialect));
    }
  }
  const statics = columnNames(native, "static");
  if (statics.length > 0 && !statics.some((name) => named.has(name)))
    cells.push(`${quoted(statics[0]!)} AS ${quoted(unreadCell)}`);
  return cells;
}

/**
 * The expression that shows that a cell was written: its write time. It is the value instead if the server has no write
 * time for it, or for a user-defined type that is not frozen, because the vendor's driver can't read gaps in such
 * times.
 */
function writeTime({ name, kind, type, multiCell }: CqlColumn, dialect: Dialect): string[] {
  if (kind === "partition_key" || kind === "clustering") return [];
  const byValue = multiCell && (type.kind === "udt" || !dialect.collectionWriteTimes);
  if (type.kind === "counter" || byValue) return [quoted(name)];
  return [`WRITETIME(${quoted(name)})`];
}

/** A digest of the expressions that make a version. Another recipe gives each row another version. */
export function versionRecipe(native: CqlTable, dialect: Dialect): string {
  return shortDigest(native.columns.flatMap((column) => writeTime(column, dialect)).join(", "));
}

/** A digest of the fields of all user-defined types in the table's columns, if there are any. */
export function userTypesRecipe({ columns }: CqlTable): string[] {
  const types = columns.filter(({ type }) => hasUserType(type)).map(({ name, type }) => [name, type]);
  return types.length === 0 ? [] : [shortDigest(JSON.stringify(types))];
}

function hasUserType(type: CqlType): boolean {
  switch (type.kind) {
    case "udt":
      return true;
    case "list":
    case "set":
    case "vector":
      return hasUserType(type.of);
    case "map":
      return hasUserType(type.key) || hasUserType(type.value);
    case "tuple":
      return type.of.some(hasUserType);
    default:
      return false;
  }
}

function shortDigest(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}

/** How rows are selected, besides by their token range. */
export interface RangeOptions {
  /** Reads rows whose value is `>= ?` and, with `bounded`, `< ?`. */
  readonly cursor: { readonly column: string; readonly bounded: boolean; readonly filtering: boolean } | null;
  /** Conditions that every row meets: the user's filter. */
  readonly filter: readonly string[];
  /** Whether the token range is bound, which requires Murmur3 as partitioner. */
  readonly tokens: boolean;
  /** Every row is read once, so these rows should not push others out of the server's cache. */
  readonly bypassCache: boolean;
}

/** The token of a row, computed by the server. */
export function tokenExpression(native: CqlTable): string {
  return `token(${columnNames(native, "partition_key").map(quoted).join(", ")})`;
}

export function rangeStatement(cells: readonly string[], native: CqlTable, options: RangeOptions): string {
  const token = tokenExpression(native);
  const { cursor, filter } = options;
  const conditions = [
    ...(options.tokens ? [`${token} > ?`, `${token} <= ?`] : []),
    ...(cursor === null ? [] : [`${quoted(cursor.column)} >= ?`]),
    ...(cursor?.bounded === true ? [`${quoted(cursor.column)} < ?`] : []),
    ...filter,
  ];
  return [
    `SELECT ${cells.join(", ")} FROM ${quoted(native.keyspace)}.${quoted(native.name)}`,
    ...(conditions.length > 0 ? [`WHERE ${conditions.join(" AND ")}`] : []),
    ...(cursor?.filtering === true || filter.length > 0 ? ["ALLOW FILTERING"] : []),
    ...(options.bypassCache ? ["BYPASS CACHE"] : []),
  ].join(" ");
}

/**
 * Selects one row by its key, or with `partition` the first row of a partition; with a number, every row whose key begins with
 * so many values. Only rows that meet the user's filter.
 */
export function lookupStatement(
  cells: readonly string[],
  native: CqlTable,
  scope: "row" | "partition" | number,
  filter: readonly string[],
): string {
  const partition = columnNames(native, "partition_key");
  const key = [...partition, ...columnNames(native, "clustering")];
  const names = key.slice(0, scope === "row" ? key.length : scope === "partition" ? partition.length : scope);
  const conditions = names.map((name) => `${quoted(name)} = ?`);
  return [
    `SELECT ${cells.join(", ")} FROM ${quoted(native.keyspace)}.${quoted(native.name)}`,
    `WHERE ${[...conditions, ...filter].join(" AND ")}`,
    ...(scope === "partition" ? ["LIMIT 1"] : []),
    ...(filter.length > 0 ? ["ALLOW FILTERING"] : []),
  ].join(" ");
}
