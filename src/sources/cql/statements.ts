import { createHash } from "node:crypto";
import type { Table } from "../../protocol/table.ts";
import { unreadCell, versionColumn } from "../../wire/cql/decode-page.ts";
import { quoted } from "../../wire/cql/errors.ts";
import { isBoundAsJson } from "../../wire/cql/keys.ts";
import { columnNames, type CqlColumn, type CqlTable } from "./catalog.ts";

/** What the server can do, where that decides how a statement is written. */
export interface Dialect {
  readonly scylla: boolean;
  /** `WRITETIME` takes collections: Cassandra 5.0 and later (CASSANDRA-8877). */
  readonly collectionWriteTimes: boolean;
}

export function dialectOf({ scylla, version }: { readonly scylla: boolean; readonly version: string }): Dialect {
  return { scylla, collectionWriteTimes: !scylla && Number.parseInt(version, 10) >= 5 };
}

/**
 * What is selected: `columns` in their order, then what makes the version of `table`'s columns where `columns` has it.
 * Of a table with static columns at least one is selected, or partitions that hold nothing else would be left out.
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
 * What tells that a cell was written: its write time. Its value, where the server has no write times of it; and of a
 * user-defined type that is not frozen, since the vendor's driver can't read the gaps in those.
 */
function writeTime({ name, kind, type, multiCell }: CqlColumn, dialect: Dialect): string[] {
  if (kind === "partition_key" || kind === "clustering") return [];
  const byValue = multiCell && (type.kind === "udt" || !dialect.collectionWriteTimes);
  if (type.kind === "counter" || byValue) return [quoted(name)];
  return [`WRITETIME(${quoted(name)})`];
}

/** Of what the version of a table's rows is made: another recipe gives each row another version. */
export function versionRecipe(native: CqlTable, dialect: Dialect): string {
  const cells = native.columns.flatMap((column) => writeTime(column, dialect));
  return createHash("sha256").update(cells.join(", ")).digest("hex").slice(0, 16);
}

/** How rows are chosen, beside their token range. */
export interface RangeOptions {
  /** Reads rows whose value is `>= ?` and, with `bounded`, `< ?`. */
  readonly cursor: { readonly column: string; readonly bounded: boolean; readonly filtering: boolean } | null;
  /** Conditions that every row fulfils: the user's filter. */
  readonly filter: readonly string[];
  /** Whether the range of tokens is bound: the partitioner must be Murmur3. */
  readonly tokens: boolean;
  /** Every row is read once: it should not push others out of the server's cache. */
  readonly bypassCache: boolean;
}

/** The token of a row, as the server makes it. */
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

/** One row by its key, or with `partition` the first row of a partition; where it fulfils the user's filter. */
export function lookupStatement(
  cells: readonly string[],
  native: CqlTable,
  scope: "row" | "partition",
  filter: readonly string[],
): string {
  const names = columnNames(native, "partition_key");
  if (scope === "row") names.push(...columnNames(native, "clustering"));
  const conditions = names.map((name) => {
    const column = native.columns.find((candidate) => candidate.name === name)!;
    return `${quoted(name)} = ${isBoundAsJson(column.type) ? "fromJson(?)" : "?"}`;
  });
  return [
    `SELECT ${cells.join(", ")} FROM ${quoted(native.keyspace)}.${quoted(native.name)}`,
    `WHERE ${[...conditions, ...filter].join(" AND ")}`,
    ...(scope === "row" ? [] : ["LIMIT 1"]),
    ...(filter.length > 0 ? ["ALLOW FILTERING"] : []),
  ].join(" ");
}
