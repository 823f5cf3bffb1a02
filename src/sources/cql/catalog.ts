import type { Cluster, Routing } from "../../wire/cql/cluster.ts";
import { type ControlRow, textList, textValue } from "../../wire/cql/control-rows.ts";
import type { KeyPlace } from "../../wire/cql/text.ts";
import { type CqlType, isMultiCell, parseCqlType, type UserTypes } from "../../wire/cql/types.ts";

/** A column of `system_schema`. */
export interface CqlColumn {
  readonly name: string;
  readonly kind: "partition_key" | "clustering" | "static" | "regular";
  readonly position: number;
  readonly type: CqlType;
  /** The column is stored cell by cell: a collection or user-defined type that is not frozen. */
  readonly multiCell: boolean;
}

/** An index of one table. */
interface CqlIndex {
  readonly name: string;
  /** `COMPOSITES`, `KEYS` or `CUSTOM`. */
  readonly kind: string;
  /** The Java class of a custom index. */
  readonly className: string;
  /** The column, or an expression on it, such as `values(tags)`. */
  readonly target: string;
}

/** A table or a materialized view, as the server describes it. */
export interface CqlTable {
  readonly keyspace: string;
  readonly name: string;
  /** A UUID that no other table ever has. */
  readonly id: string;
  readonly isView: boolean;
  /** Empty: there is none. */
  readonly comment: string;
  /** Ordered: partition key, clustering columns, then the other columns by name. */
  readonly columns: readonly CqlColumn[];
  readonly indexes: readonly CqlIndex[];
}

export function columnNames(table: CqlTable, kind: CqlColumn["kind"]): string[] {
  return table.columns.filter((column) => column.kind === kind).map((column) => column.name);
}

/** The columns of the key, and where in it each stands. */
export function keyPlaces(table: CqlTable): ReadonlyMap<string, KeyPlace> {
  return new Map(
    table.columns.flatMap(({ name, kind }) =>
      kind === "partition_key" || kind === "clustering" ? [[name, kind]] : [],
    ),
  );
}

export async function keyspaceNames(cluster: Cluster, routing: Routing): Promise<readonly string[]> {
  const rows = await cluster.rows("SELECT keyspace_name FROM system_schema.keyspaces", [], routing);
  return rows.map((row) => textValue(row["keyspace_name"]) ?? "").sort();
}

/** All tables and materialized views of a keyspace, or only the one called `name`. */
export async function readTables(
  cluster: Cluster,
  keyspace: string,
  name: string | null,
  routing: Routing,
): Promise<readonly CqlTable[]> {
  const values = [Buffer.from(keyspace), ...(name === null ? [] : [Buffer.from(name)])];
  const rowsOf = (table: string, column: string): Promise<readonly ControlRow[]> =>
    cluster.rows(
      `SELECT * FROM system_schema.${table} WHERE keyspace_name = ?${name === null ? "" : ` AND ${column} = ?`}`,
      values,
      routing,
    );
  const [tables, views, columns, indexes, types] = await Promise.all([
    rowsOf("tables", "table_name"),
    rowsOf("views", "view_name"),
    rowsOf("columns", "table_name"),
    rowsOf("indexes", "table_name"),
    cluster.rows("SELECT * FROM system_schema.types WHERE keyspace_name = ?", [Buffer.from(keyspace)], routing),
  ]);
  const userTypes = userTypesOf(types);
  const of = (rows: readonly ControlRow[], table: string): readonly ControlRow[] =>
    rows.filter((row) => row["table_name"] === table);
  const described = (row: ControlRow, isView: boolean): CqlTable => {
    const table = textValue(row[isView ? "view_name" : "table_name"])!;
    return {
      keyspace,
      name: table,
      id: textValue(row["id"])!,
      isView,
      comment: textValue(row["comment"]) ?? "",
      columns: columnsOf(of(columns, table), userTypes),
      indexes: of(indexes, table).map(indexOf),
    };
  };
  return [...tables.map((row) => described(row, false)), ...views.map((row) => described(row, true))];
}

/** The id of a table or view; `null`: none has this name. */
export async function tableId(
  cluster: Cluster,
  keyspace: string,
  name: string,
  routing: Routing,
): Promise<string | null> {
  const values = [Buffer.from(keyspace), Buffer.from(name)];
  const from = (table: string, column: string): Promise<readonly ControlRow[]> =>
    cluster.rows(`SELECT id FROM system_schema.${table} WHERE keyspace_name = ? AND ${column} = ?`, values, routing);
  const [row] = [...(await from("tables", "table_name")), ...(await from("views", "view_name"))];
  return textValue(row?.["id"]);
}

function userTypesOf(rows: readonly ControlRow[]): UserTypes {
  return new Map(
    rows.map((row) => {
      const types = textList(row["field_types"]);
      const fields = textList(row["field_names"]).map((field, index) => [field, types[index]!] as const);
      return [textValue(row["type_name"])!, fields] as const;
    }),
  );
}

const kindOrder: readonly string[] = ["partition_key", "clustering", "static", "regular"];

function columnsOf(rows: readonly ControlRow[], userTypes: UserTypes): CqlColumn[] {
  const columns = rows.map((row) => {
    const text = textValue(row["type"])!;
    return {
      name: textValue(row["column_name"])!,
      // Old tables use this name.
      kind: (row["kind"] === "compact_value" ? "regular" : row["kind"]) as CqlColumn["kind"],
      position: Number(row["position"]),
      type: parseCqlType(text, userTypes),
      multiCell: isMultiCell(text, userTypes),
    };
  });
  const rank = (column: CqlColumn): number => kindOrder.indexOf(column.kind);
  return columns
    .filter((column) => column.type.kind !== "empty")
    .sort((a, b) => rank(a) - rank(b) || a.position - b.position || (a.name < b.name ? -1 : 1));
}

function indexOf(row: ControlRow): CqlIndex {
  const options = (row["options"] ?? {}) as Readonly<Record<string, string>>;
  return {
    name: textValue(row["index_name"]) ?? "",
    kind: textValue(row["kind"]) ?? "",
    className: options["class_name"] ?? "",
    target: options["target"] ?? "",
  };
}

/** Whether an index serves range queries: storage-attached ones do; the older kind supports only equality. */
export function hasRangeIndex(table: CqlTable, column: string): boolean {
  return table.indexes.some(
    ({ kind, className, target }) =>
      kind === "CUSTOM" &&
      /(^|\.)(StorageAttachedIndex|SASIIndex|sai)$/i.test(className) &&
      (target === column || target === `"${column.replaceAll('"', '""')}"`),
  );
}
