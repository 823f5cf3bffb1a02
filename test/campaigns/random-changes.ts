import { type Client, escapeIdentifier } from "pg";

/** Rows that one statement inserted, updated or deleted, and statements that the server refused. */
export interface Changed {
  insert: number;
  update: number;
  delete: number;
  refused: number;
}

interface Place {
  readonly relation: string;
  /** Columns that can be written, with the expression that makes a value differ a little. */
  readonly columns: readonly { readonly name: string; readonly other: string }[];
}

/** By category of the type: another value of it. `r` is the row, `$1` a random number. */
const others: Readonly<Record<string, (column: string) => string>> = {
  N: (column) => `${column} + ($1::int % 10000)`,
  S: (column) => `${column} || ($1::int % 100)::text`,
  B: (column) => `NOT ${column}`,
  D: (column) => `${column} + ($1::int % 100) * interval '1 day'`,
};

/**
 * Makes `count` random changes, evenly over all tables of the database that hold rows: rows are inserted, updated and deleted.
 * `random` gives numbers from 0 to below 1. What a constraint refuses is tried elsewhere. Triggers and foreign keys are off.
 */
export async function changeAtRandom(client: Client, count: number, random: () => number): Promise<Changed> {
  await client.query("SET session_replication_role = replica; SET statement_timeout = '5s'");
  const places = await placesOf(client);
  const changed: Changed = { insert: 0, update: 0, delete: 0, refused: 0 };
  const pick = (below: number): number => Math.floor(random() * below);
  // Far more than are ever refused: the loop ends also where every statement is.
  for (let made = 0, tried = 0; made < count && tried < count * 10; tried++) {
    const place = places[pick(places.length)]!;
    const kind = (["insert", "update", "delete"] as const)[pick(3)]!;
    const sql = statement(place, kind, random, pick);
    const rows = await client.query(sql, sql.includes("$1") ? [pick(2 ** 31)] : []).then(
      ({ rowCount }) => rowCount ?? 0,
      () => null,
    );
    if (rows === null) changed.refused++;
    else if (rows > 0) {
      changed[kind]++;
      made++;
    }
  }
  return changed;
}

function statement(
  { relation, columns }: Place,
  kind: "insert" | "update" | "delete",
  random: () => number,
  pick: (below: number) => number,
): string {
  // The table of a partition with its ctid tells a row apart. Large tables are not read whole for each change.
  const row = `(SELECT tableoid, ctid FROM (SELECT tableoid, ctid FROM ${relation} LIMIT 500) s
    OFFSET floor(${random()} * (SELECT count(*) FROM (SELECT FROM ${relation} LIMIT 500) c)) LIMIT 1)`;
  const where = `(r.tableoid, r.ctid) = ${row}`;
  if (kind === "delete") return `DELETE FROM ${relation} r WHERE ${where}`;
  if (kind === "update") {
    const { name, other } = columns[pick(columns.length)]!;
    const value = random() < 0.1 ? "NULL" : random() < 0.5 ? other : `(SELECT ${name} FROM ${relation} LIMIT 1)`;
    return `UPDATE ${relation} r SET ${name} = ${value} WHERE ${where}`;
  }
  const values = columns.map(({ name, other }) => (random() < 0.7 ? other : `r.${name}`));
  return `INSERT INTO ${relation} (${columns.map(({ name }) => name).join(", ")}) OVERRIDING SYSTEM VALUE
    SELECT ${values.join(", ")} FROM ${relation} r WHERE ${where}`;
}

async function placesOf(client: Client): Promise<Place[]> {
  const { rows } = await client.query<{ schema: string; name: string; kind: string; columns: string }>(
    `SELECT n.nspname AS schema, c.relname AS name, c.relkind AS kind,
      json_agg(json_build_array(a.attname, t.typcategory) ORDER BY a.attnum)::text AS columns
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
      JOIN pg_type t ON t.oid = a.atttypid
    WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'
      AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
      AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
    GROUP BY n.nspname, c.oid ORDER BY n.nspname, c.relname`,
  );
  return rows.map(({ schema, name, kind, columns }) => ({
    relation: `${kind === "p" ? "" : "ONLY "}${escapeIdentifier(schema)}.${escapeIdentifier(name)}`,
    columns: (JSON.parse(columns) as [string, string][]).map(([column, category]) => {
      const quoted = escapeIdentifier(column);
      return { name: quoted, other: others[category]?.(`r.${quoted}`) ?? `r.${quoted}` };
    }),
  }));
}
