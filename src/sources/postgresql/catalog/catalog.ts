import type { PostgresConnection, TextRow } from "../../../wire/postgres/connection.ts";
import { escapeIdentifier, qualifiedName } from "../../../wire/postgres/literals.ts";
import type { NativeType } from "../types.ts";
import type { Work } from "../work.ts";

/** A column as `pg_attribute` has it. */
export interface CatalogColumn {
  readonly name: string;
  readonly nullable: boolean;
  readonly type: NativeType;
  /** This role may SELECT it. */
  readonly readable: boolean;
  readonly comment: string | null;
}

/** An index and its leading columns; the list ends before the first expression. */
interface CatalogIndex {
  readonly columns: readonly string[];
  readonly primary: boolean;
  /** It identifies rows: it is unique, all of its columns are NOT NULL, and it covers every row. */
  readonly identifies: boolean;
  /** It covers the whole table. */
  readonly complete: boolean;
  /** Leading columns that YugabyteDB shards by their hash. */
  readonly hashed: number;
  /** The log identifies rows by it (REPLICA IDENTITY USING INDEX). */
  readonly replica: boolean;
}

/** A relation that stores rows: the table itself, or a partition without partitions of its own. */
export interface CatalogHeap {
  readonly oid: string;
  readonly schema: string;
  readonly name: string;
  /** `r`: a table; `f`: a foreign table. */
  readonly kind: string;
  readonly readable: boolean;
  /** Its changes are written to the log: it is neither unlogged nor temporary. */
  readonly logged: boolean;
  /** How the log identifies its rows: `d` and `c` the primary key, `f` all columns, `i` an index, `n` nothing. */
  readonly replicaIdentity: string;
  /** The count of the last VACUUM or ANALYZE; −1 or 0: never counted. */
  readonly tuples: number;
  readonly pages: number;
  /** Size of its file; on YugabyteDB the compressed size of what was flushed to disk. */
  readonly bytes: number;
}

/** A table of the catalogs, whether or not this role may read it. */
export interface CatalogTable {
  readonly oid: string;
  readonly schema: string;
  readonly name: string;
  /** `information_schema` shows it to this role. */
  readonly visible: boolean;
  readonly partitioned: boolean;
  /** Other tables inherit from it (not as partitions); they are tables of their own. */
  readonly inherited: boolean;
  /** Row-level security applies to this role. */
  readonly secured: boolean;
  /** This role may change its rows. */
  readonly writable: boolean;
  readonly columns: readonly CatalogColumn[];
  readonly indexes: readonly CatalogIndex[];
  readonly heaps: readonly CatalogHeap[];
  /** Changes when the rows are rewritten, which hides them from older snapshots: TRUNCATE, ALTER TABLE. */
  readonly storage: string;
  /**
   * The heaps that were rewritten since they were made, and into which file. A heap that is new is not among them, so
   * another partition changes nothing here.
   */
  readonly rewritten: string;
  readonly comment: string | null;
  /** What the columns' types are made of: fields of composite types, labels of enums. `null`: none has parts. */
  readonly parts: string | null;
}

const tablesSql = `
SELECT c.oid::text AS oid, c.relname AS name, c.relkind::text AS kind, row_security_active(c.oid)::text AS secured,
  has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')::text AS writable,
  (c.relkind = 'r' AND EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = c.oid))::text AS inherited,
  EXISTS (
    SELECT FROM information_schema.tables t WHERE t.table_schema = n.nspname AND t.table_name = c.relname
  )::text AS visible, d.description AS comment
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_description d ON d.objoid = c.oid AND d.classoid = 'pg_class'::regclass AND d.objsubid = 0
WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'
  AND ($2::text[] IS NULL OR c.relname = ANY ($2))
ORDER BY c.relname`;

/** Follows domains to their base type. The innermost modifier counts. */
const columnsSql = `
WITH RECURSIVE typed AS (
  SELECT a.attrelid, a.attnum, a.attname, a.attnotnull, a.atttypid AS type, a.atttypmod AS modifier
  FROM pg_attribute a
  WHERE a.attrelid = ANY ($1::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
  UNION ALL
  SELECT typed.attrelid, typed.attnum, typed.attname, typed.attnotnull, t.typbasetype,
    CASE WHEN t.typtypmod >= 0 THEN t.typtypmod ELSE typed.modifier END
  FROM typed JOIN pg_type t ON t.oid = typed.type WHERE t.typtype = 'd'
)
SELECT typed.attrelid::text AS oid, typed.attname AS name, typed.attnotnull::text AS required,
  t.typname AS type, n.nspname AS type_schema, t.typtype::text AS type_kind, t.typcategory::text AS category,
  typed.modifier::text AS modifier, format_type(t.oid, -1) AS sql,
  has_column_privilege(typed.attrelid, typed.attnum, 'SELECT')::text AS readable, d.description AS comment
FROM typed JOIN pg_type t ON t.oid = typed.type JOIN pg_namespace n ON n.oid = t.typnamespace
LEFT JOIN pg_description d ON d.objoid = typed.attrelid AND d.classoid = 'pg_class'::regclass AND d.objsubid = typed.attnum
WHERE t.typtype <> 'd'
ORDER BY typed.attrelid, typed.attnum`;

/** Lists only key columns of an index, not included ones; an expression has the number 0. YugabyteDB marks a hashed
 * column by the bit 4 of its option. */
const indexesSql = `
SELECT i.indrelid::text AS oid, i.indisprimary::text AS primary, i.indisreplident::text AS replica,
  (i.indpred IS NULL AND am.amname IN ('btree', 'lsm'))::text AS complete,
  (i.indisunique AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL)::text AS identifying,
  (SELECT json_agg(json_build_array(a.attname, a.attnotnull, (i.indoption::int2[])[k.position - 1] & 4 <> 0) ORDER BY k.position)
   FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, position)
   LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum AND k.attnum > 0
   WHERE k.position <= i.indnkeyatts)::text AS columns
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am am ON am.oid = c.relam
WHERE i.indrelid = ANY ($1::oid[]) AND i.indisvalid
ORDER BY i.indrelid, i.indisprimary DESC, i.indisreplident DESC, i.indnkeyatts, i.indexrelid`;

/**
 * The parts of the types that the columns have, at any depth. Rows that were read before such a part changed (ALTER TYPE)
 * have the old names in them. Types whose text was another one in releases up to 0.1.0 are listed too, so that these
 * tables are read again once: `inet` and types of users with a cast of their own to text were copied as the cast has
 * them, and names of objects (`regclass`) without the schemas of the `search_path` of the time.
 */
const partsSql = `
WITH RECURSIVE used AS (
  SELECT a.attrelid AS root, a.atttypid AS type
  FROM pg_attribute a WHERE a.attrelid = ANY ($1::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
  UNION
  SELECT used.root, inner_type.oid FROM used JOIN pg_type t ON t.oid = used.type CROSS JOIN LATERAL (
    SELECT t.typbasetype AS oid WHERE t.typtype = 'd'
    UNION ALL SELECT t.typelem WHERE t.typcategory = 'A'
    UNION ALL SELECT r.rngsubtype FROM pg_range r WHERE r.rngtypid = t.oid
    UNION ALL SELECT a.atttypid FROM pg_attribute a
      WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
  ) inner_type
), described AS (
  SELECT used.root, t.oid, CASE
    WHEN t.typtype = 'e' THEN (SELECT json_agg(e.enumlabel ORDER BY e.oid) FROM pg_enum e WHERE e.enumtypid = t.oid)
    WHEN t.typtype = 'c' THEN (SELECT json_agg(json_build_array(a.attname, a.atttypid) ORDER BY a.attnum) FROM pg_attribute a
      WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped)
    WHEN (t.oid = 'inet'::regtype OR t.oid >= 16384) AND EXISTS (
      SELECT FROM pg_cast c WHERE c.castsource = t.oid AND c.casttarget = 'text'::regtype AND c.castfunc <> 0
    ) THEN '"output"'
    WHEN t.typnamespace = 'pg_catalog'::regnamespace AND t.typname = ANY (
      '{regclass,regcollation,regconfig,regdictionary,regoper,regoperator,regproc,regprocedure,regtype}'
    ) THEN '"schema"' END AS parts
  FROM used JOIN pg_type t ON t.oid = used.type
)
SELECT root::text AS oid, json_agg(json_build_array(oid, parts) ORDER BY oid)::text AS parts
FROM described WHERE parts IS NOT NULL GROUP BY root`;

const heapsSql = `
WITH RECURSIVE tree AS (
  SELECT o AS root, o AS oid FROM unnest($1::oid[]) AS o
  UNION ALL
  SELECT tree.root, i.inhrelid FROM tree
  JOIN pg_class c ON c.oid = tree.oid AND c.relkind = 'p' JOIN pg_inherits i ON i.inhparent = tree.oid
)
SELECT tree.root::text AS root, c.oid::text AS oid, n.nspname AS schema, c.relname AS name, c.relkind::text AS kind,
  (has_table_privilege(c.oid, 'SELECT') AND has_schema_privilege(n.oid, 'USAGE'))::text AS readable,
  c.relpersistence::text AS persistence, c.relreplident::text AS identity, c.reltuples::text AS tuples, c.relpages::text AS pages,
  (CASE WHEN version() LIKE '%-YB-%' THEN pg_table_size(c.oid) ELSE pg_relation_size(c.oid) END)::text AS bytes, pg_relation_filenode(c.oid)::text AS storage
FROM tree JOIN pg_class c ON c.oid = tree.oid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind <> 'p'
ORDER BY tree.root, c.oid`;

/**
 * Tables of a schema (`names`: only these, else all). Partitions are folded into their parents; views and foreign
 * tables are left out. Uses pg_catalog of PostgreSQL 11, so that tables this role may not see are listed too.
 */
export async function loadCatalog(
  connection: PostgresConnection,
  schema: string,
  names: readonly string[] | null,
  signal: AbortSignal,
): Promise<CatalogTable[]> {
  const tables = await connection.query(tablesSql, [schema, names], signal);
  const oids = [tables.map((table) => table["oid"]!)];
  const columns = groupBy(await connection.query(columnsSql, oids, signal), "oid");
  const indexes = groupBy(await connection.query(indexesSql, oids, signal), "oid");
  const heaps = groupBy(await connection.query(heapsSql, oids, signal), "root");
  const typeParts = groupBy(await connection.query(partsSql, oids, signal), "oid");
  return tables.map((table) => {
    const oid = table["oid"]!;
    const parts = heaps.get(oid) ?? [];
    return {
      oid,
      schema,
      name: table["name"]!,
      visible: table["visible"] === "true",
      partitioned: table["kind"] === "p",
      inherited: table["inherited"] === "true",
      secured: table["secured"] === "true",
      writable: table["writable"] === "true",
      columns: (columns.get(oid) ?? []).map(columnOf),
      indexes: (indexes.get(oid) ?? []).map(indexOf),
      heaps: parts.map(heapOf),
      storage: storageOf(parts),
      rewritten: storageOf(parts.filter((heap) => heap["storage"] !== null && heap["storage"] !== heap["oid"])),
      comment: table["comment"] ?? null,
      parts: typeParts.get(oid)?.[0]?.["parts"] ?? null,
    };
  });
}

/**
 * `ONLY`: inheriting tables are read by themselves. A partition has the table's name as alias, for filters that use it.
 */
export function relationOf({ catalog }: { readonly catalog: CatalogTable }, heap: Work["heap"]): string {
  if (heap !== null) return `ONLY ${qualifiedName(heap[0], heap[1])} AS ${escapeIdentifier(catalog.name)}`;
  return `${catalog.partitioned ? "" : "ONLY "}${qualifiedName(catalog.schema, catalog.name)}`;
}

function storageOf(heaps: readonly TextRow[]): string {
  return heaps.map((heap) => `${heap["oid"]}:${heap["storage"]}`).join(" ");
}

function columnOf(row: TextRow): CatalogColumn {
  return {
    name: row["name"]!,
    nullable: row["required"] !== "true",
    readable: row["readable"] === "true",
    comment: row["comment"] ?? null,
    type: {
      name: row["type"]!,
      schema: row["type_schema"]!,
      kind: row["type_kind"]!,
      category: row["category"]!,
      modifier: Number(row["modifier"]),
      sql: row["sql"]!,
    },
  };
}

function indexOf(row: TextRow): CatalogIndex {
  const parts = JSON.parse(row["columns"] ?? "[]") as [
    name: string | null,
    required: boolean | null,
    hashed: boolean,
  ][];
  const expression = parts.findIndex(([name]) => name === null);
  const plain = expression < 0 ? parts : parts.slice(0, expression);
  return {
    columns: plain.map(([name]) => name!),
    primary: row["primary"] === "true",
    identifies: row["identifying"] === "true" && parts.every(([name, required]) => name !== null && required === true),
    complete: row["complete"] === "true",
    hashed: parts.filter(([, , hashed]) => hashed).length,
    replica: row["replica"] === "true",
  };
}

function heapOf(row: TextRow): CatalogHeap {
  return {
    oid: row["oid"]!,
    schema: row["schema"]!,
    name: row["name"]!,
    kind: row["kind"]!,
    readable: row["readable"] === "true",
    logged: row["persistence"] === "p",
    replicaIdentity: row["identity"]!,
    tuples: Number(row["tuples"]),
    pages: Number(row["pages"]),
    bytes: Number(row["bytes"] ?? 0),
  };
}

function groupBy(rows: readonly TextRow[], column: string): Map<string, TextRow[]> {
  const groups = new Map<string, TextRow[]>();
  for (const row of rows) {
    const group = groups.get(row[column]!);
    if (group === undefined) groups.set(row[column]!, [row]);
    else group.push(row);
  }
  return groups;
}
