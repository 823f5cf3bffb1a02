import type { ColumnChange, Described, Dialect, Session } from "../sql/dialect.ts";
import { literal } from "../sql/names.ts";
import { merging } from "./merge.ts";
import type { Storage } from "./storage.ts";
import { cellText, duckdbType, hashable, typeOf } from "./types.ts";

export function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** To DuckDB, names that differ only in the case of ASCII letters are the same. */
function fold(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

/** The dialect of DuckDB. `catalog` holds the copies. */
export function duckdbDialect(catalog: string, storage: Storage): Dialect {
  return {
    title: "DuckDB",
    begin: "BEGIN",
    numbered: false,
    constraints: false,
    analyzes: false,
    leaseColumns: "",
    sumType: "HUGEINT",
    fence: "",
    sealedRows: storage.sealedRows,

    physical: (name) => name,
    identity: fold,
    hiddenColumns: new Set(),
    // The last of two rows is found by `rowid`, unless a column with this name hides it.
    hidesOrder: new Set(["rowid"]),
    collision: (one, other) => `columns "${one}" and "${other}" differ only by case, which DuckDB can't tell apart`,
    quote,
    // With the catalog, because a catalog and a schema may have the same name.
    relation: (schema, name) => `${quote(catalog)}.${quote(schema)}.${quote(name)}`,
    temporary: (name) => `temp.main.${quote(name)}`,
    ownSuffix: storage.ownSuffix,

    typeName: duckdbType,
    typeOf,
    comparable: (expression) => expression,
    exact: (expression) => expression,
    differ: (a, b) => `${a} IS DISTINCT FROM ${b}`,
    // `hash` of several columns ends with the XOR of the last column's hash, so that rows could swap its values and keep
    // their sum (seen in DuckDB 1.5.5). The second `hash` mixes all bits once more.
    hash: (columns) => `hash(hash(${columns.map(({ sql, type }) => hashable(sql, type)).join(", ")}))`,
    strong: (columns) =>
      `md5_number(concat_ws('|', ${columns.map(({ sql, type }) => cellText(sql, type)).join(", ")}))`,
    // Modulo would be calculated by dividing 128-bit numbers, which takes five times as long.
    halves: (digest) => [
      `CAST(${digest} & 18446744073709551615::UHUGEINT AS UBIGINT)`,
      `CAST(${digest} >> 64 AS UBIGINT)`,
    ],
    bucket: (hash, buckets) => `${hash} % ${buckets}`,
    // `concat` needs an argument.
    digest: (texts) => `md5(concat(${["''", ...texts].join(", ")}))`,
    sameValues: (columns, s, t) =>
      columns.map(({ sql }) => `${s}.${sql} IS NOT DISTINCT FROM ${t}.${sql}`).join(" AND "),
    records(parameter, columns) {
      const structure = JSON.stringify([columns]);
      return `(SELECT unnest(from_json(${parameter}, ${literal(structure)}), recursive := true)) given`;
    },
    alter: (relation, changes) => changes.flatMap((change) => altered(storage, relation, change)),

    createSchema: async (session, schema) =>
      void (await session.run(`CREATE SCHEMA IF NOT EXISTS ${quote(catalog)}.${quote(schema)}`)),
    async lockBookkeeping() {},
    describe,
    keepsComment: storage.keepsComment,
    async viewComments(session, schema) {
      const rows = await session.rows(
        `SELECT view_name, comment FROM duckdb_views()
          WHERE database_name = current_database() AND lower(schema_name) = lower($1)`,
        [schema],
      );
      return new Map(rows.map(({ view_name, comment }) => [view_name as string, (comment ?? null) as string | null]));
    },
    vet: storage.vet,
    slicing: storage.sizes,
    merging: merging(storage),
  };
}

function altered(storage: Storage, relation: string, change: ColumnChange): readonly string[] {
  const { sql, type } = change;
  if (change.kind === "add") return [`ALTER TABLE ${relation} ADD COLUMN ${sql} ${duckdbType(type)}`];
  return storage.retype(relation, sql, change.from, type);
}

async function describe(session: Session, schema: string, table: string | null): Promise<readonly Described[]> {
  const found = await session.rows(
    `SELECT table_name, column_name, data_type FROM duckdb_columns()
      WHERE database_name = current_database() AND lower(schema_name) = lower($1)
        AND ($2 IS NULL OR lower(table_name) = lower($2))
      ORDER BY table_name, column_index`,
    [schema, table],
  );
  const described = new Map<string, { name: string; type: string }[]>();
  for (const row of found) {
    const name = row["table_name"] as string;
    // DuckDB's lower() folds all letters, not only ASCII.
    if (table !== null && fold(name) !== fold(table)) continue;
    const columns = described.get(name) ?? [];
    described.set(name, columns);
    columns.push({ name: row["column_name"] as string, type: row["data_type"] as string });
  }
  return [...described].map(([name, columns]) => ({ table: name, columns, indexes: [] }));
}
