import { createHash } from "node:crypto";
import type { Described, Dialect, Session } from "../sql/dialect.ts";
import { escapeIdentifier, qualifiedName } from "../../wire/postgres/literals.ts";
import { indexPrefix } from "./key-index.ts";
import { merging } from "./merge.ts";
import { comparable, differ, exact, postgresType, typeOf } from "./types.ts";

/** The maximum length of a name in PostgreSQL, in bytes of UTF-8. PostgreSQL would silently cut a longer name. */
const longestName = 63;

/** A name that PostgreSQL can store. A longer name is cut, and ends with a hash of the whole name. */
function physicalName(name: string): string {
  const bytes = Buffer.from(name);
  if (bytes.length <= longestName) return name;
  const hash = createHash("sha256").update(name).digest("hex").slice(0, 8);
  let end = longestName - hash.length - 1;
  // Do not cut within a character: all bytes after a character's first byte begin with the bits 10.
  while ((bytes[end]! & 0xc0) === 0x80) end -= 1;
  return `${bytes.toString("utf8", 0, end)}_${hash}`;
}

/** The number of an advisory lock, from the name of what it guards. */
export function lockKey(what: string): string {
  return createHash("sha256").update(`headwaters\n${what}`).digest().readBigInt64BE().toString();
}

/** The dialect of PostgreSQL 13 and later. */
export const postgresqlDialect: Dialect = {
  title: "PostgreSQL",
  begin: "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
  // PostgreSQL moves rows within a table.
  numbered: true,
  constraints: true,
  analyzes: true,
  // The server process of the holder's writing session.
  leaseColumns: "session bigint, started timestamp with time zone",
  sumType: "numeric",
  fence: "OFFSET 0",
  // Each row is written as text and hashed, which takes longer than in DuckDB.
  sealedRows: 100_000,

  physical: physicalName,
  identity: physicalName,
  // https://www.postgresql.org/docs/15/ddl-system-columns.html
  hiddenColumns: new Set(["tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"]),
  hidesOrder: new Set(),
  collision: (one, other) => `columns "${one}" and "${other}" would both be "${physicalName(other)}" in PostgreSQL`,
  quote: (name) => escapeIdentifier(physicalName(name)),
  relation: (schema, name) => qualifiedName(physicalName(schema), physicalName(name)),
  temporary: (name) => `pg_temp.${escapeIdentifier(name)}`,
  ownSuffix: () => "",

  typeName: postgresType,
  typeOf,
  comparable,
  exact,
  differ,
  hash: (columns) => `hashtextextended(${rowText(columns.map(({ sql }) => sql))}, 0)`,
  strong: (columns) => `sha256(convert_to(${rowText(columns.map(({ sql }) => sql))}, 'UTF8'))`,
  halves: (digest) => [half(digest, 1), half(digest, 9)],
  bucket: (hash, buckets) => `(${hash} & ${buckets - 1})::int`,
  digest: (texts) => `left(encode(sha256(convert_to(${texts.join(" || ") || "''"}, 'UTF8')), 'hex'), 32)`,
  sameValues: (columns, s, t) => {
    const [one, other] = [s, t].map((side) => rowText(columns.map(({ sql }) => `${side}.${sql}`)));
    return `${one} = ${other}`;
  },
  records: (parameter, columns) =>
    `json_to_recordset(${parameter}::json) AS given(${Object.entries(columns)
      .map(([name, type]) => `${name} ${type}`)
      .join(", ")})`,
  // One statement, so that widening several columns rewrites the table only once.
  alter(relation, changes) {
    const actions = changes.map(({ kind, sql, type }) => {
      const native = postgresType(type);
      return kind === "add" ? `ADD COLUMN ${sql} ${native}` : `ALTER ${sql} TYPE ${native} USING ${sql}::${native}`;
    });
    return actions.length === 0 ? [] : [`ALTER TABLE ${relation} ${actions.join(", ")}`];
  },

  async createSchema(session, schema) {
    // A user who may not create schemas can use an existing one.
    const there = await session.number("SELECT count(*) FROM pg_namespace WHERE nspname = $1", [physicalName(schema)]);
    if (there === 0) await session.run(`CREATE SCHEMA ${escapeIdentifier(physicalName(schema))}`);
  },
  lockBookkeeping: async (session) =>
    void (await session.run("SELECT pg_advisory_xact_lock($1)", [lockKey("the bookkeeping")])),
  describe,
  keepsComment: () => true,
  async viewComments(session, schema) {
    const rows = await session.rows(
      `SELECT c.relname AS name, obj_description(c.oid, 'pg_class') AS comment
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relkind = 'v'`,
      [schema],
    );
    return new Map(rows.map(({ name, comment }) => [name as string, (comment ?? null) as string | null]));
  },
  vet() {},
  // The server reads row by row.
  slicing: {
    parts: async (_session, relation) => [relation],
    pick: async (_session, relation, which) => `(SELECT t.* FROM ${relation} t ${which})`,
    created() {},
    async moved() {},
  },
  merging,
  team: {
    lock: async (session, what, shared) =>
      void (await session.run(`SELECT pg_advisory_xact_lock${shared ? "_shared" : ""}($1)`, [lockKey(what)])),
    number: (session) => session.number("SELECT txid_current()"),
  },
};

/** Eight bytes of a digest as a bigint. */
function half(digest: string, from: number): string {
  return `('x' || encode(substr(${digest}, ${from}, 8), 'hex'))::bit(64)::bigint`;
}

/** Values as one text. Different rows have different texts, also if they differ only in the sign of a zero. */
function rowText(values: readonly string[]): string {
  return `ROW(${values.join(", ")})::text`;
}

async function describe(session: Session, schema: string, table: string | null): Promise<readonly Described[]> {
  const rows = await session.rows(
    `SELECT c.relname AS relation, a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type,
        (SELECT string_agg(i.relname, ' ') FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
          WHERE x.indrelid = c.oid AND starts_with(i.relname, $3)) AS indexes
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      WHERE n.nspname = $1 AND (c.relname = $2 OR $2 IS NULL AND c.relkind <> 'i') ORDER BY c.oid, a.attnum`,
    [physicalName(schema), table === null ? null : physicalName(table), indexPrefix],
  );
  const described = new Map<string, { name: string; type: string }[]>();
  const indexes = new Map<string, readonly string[]>();
  for (const row of rows) {
    const relation = row["relation"] as string;
    const columns = described.get(relation) ?? [];
    described.set(relation, columns);
    // A table without columns also exists.
    columns.push({ name: (row["name"] ?? "") as string, type: (row["type"] ?? "") as string });
    indexes.set(relation, ((row["indexes"] ?? null) as string | null)?.split(" ") ?? []);
  }
  return [...described].map(([name, columns]) => ({ table: name, columns, indexes: indexes.get(name)! }));
}
