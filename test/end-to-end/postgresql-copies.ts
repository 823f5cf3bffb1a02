import pg from "pg";
import { type PostgresqlServer, runSql } from "../servers/postgresql.ts";
import type { Copies } from "./copies.ts";

const undefinedTable = "42P01";

/** Each copy in a schema of its own, all in one database. */
export async function postgresqlCopies(server: PostgresqlServer): Promise<Copies> {
  const database = await server.createDatabase();
  const { host, port, user, password } = database;
  const destination = { type: "postgresql", host, port, user, password, database: database.database };
  const live = (table: string, schema: string): string =>
    `SELECT (to_jsonb(r) - '_headwaters_synced' - '_headwaters_deleted')::text AS row FROM "${schema}".${table} r WHERE NOT _headwaters_deleted`;
  return {
    connection: (name) => ({ destination, schema: name }),
    differences: (table, name, fresh) =>
      runSql(
        database.connectionString,
        `(SELECT 'only in the copy' AS what, * FROM (${live(table, name)} EXCEPT ALL ${live(table, fresh)}) a)
          UNION ALL (SELECT 'only in the fresh one', * FROM (${live(table, fresh)} EXCEPT ALL ${live(table, name)}) b) LIMIT 10`,
      ),
    doubled: (table, name, key) =>
      runSql(
        database.connectionString,
        `SELECT ${key} FROM "${name}".${table} GROUP BY ${key} HAVING count(*) > 1 LIMIT 5`,
      ),
    watch: (table, name) => watch(database.connectionString, table, name),
    [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
  };
}

/**
 * While splits of a pass are read, rows come with the progress of their splits, and never otherwise: wherever the same
 * progress is seen, the same rows must be.
 */
function watch(connectionString: string, table: string, name: string): AsyncDisposable {
  const stop = new AbortController();
  // One statement, so that all of it is of one snapshot.
  const sql = `
    SELECT p.id AS pass, json_array_length(p.pass::json -> 'splits')::int AS splits,
      (SELECT count(*) FROM _headwaters.progress WHERE connection = $1 AND pass = p.id AND done)::int AS done,
      (SELECT string_agg(split || ' ' || version, ',' ORDER BY split) FROM _headwaters.progress
        WHERE connection = $1 AND pass = p.id) AS progress,
      (SELECT count(*) || ' rows, sum ' || coalesce(sum(r.id), 0) || ', last ' || coalesce(max(_headwaters_synced)::text, '')
        FROM "${name}".${table} r) AS rows
    FROM _headwaters.passes p WHERE connection = $1 AND p.pass::json -> 'tables' -> 0 ->> 'id' = '${table}'`;
  const looking = (async (): Promise<number> => {
    const client = new pg.Client({ connectionString });
    await client.connect();
    const seen = new Map<string, string>();
    try {
      while (!stop.signal.aborted) {
        const { rows } = await client
          .query<{ pass: string; splits: number; done: number; progress: string | null; rows: string }>(sql, [name])
          .catch((error: unknown) => {
            // Nothing is there before the first sync has begun.
            if (error instanceof Error && "code" in error && error.code === undefinedTable) return { rows: [] };
            throw error;
          });
        for (const look of rows) {
          if (look.done === look.splits) continue;
          const at = `${look.pass} ${look.progress ?? ""}`;
          const before = seen.get(at) ?? look.rows;
          if (before !== look.rows) throw new Error(`half a commit: ${at} shows ${before}, then ${look.rows}`);
          seen.set(at, look.rows);
        }
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      return seen.size;
    } finally {
      await client.end();
    }
  })();
  // Whoever disposes it is told.
  looking.catch(() => {});
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      const states = await looking;
      if (states === 0) throw new Error("no state of the copy was seen");
    },
  };
}
