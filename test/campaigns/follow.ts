import { Workplace } from "../end-to-end/program.ts";
import { expectFollowed, followedTables, type WrittenSource, writtenPostgresql } from "../end-to-end/following.ts";
import { writtenRethinkdb } from "../end-to-end/following-rethinkdb.ts";
import { type PostgresqlServer, runSql, startOwnPostgresql } from "../servers/postgresql.ts";
import { startOwnRethinkdb } from "../servers/rethinkdb.ts";

/**
 * Kills a process that follows, or its sessions, again and again while the source is written: `npx tsx
 * test/campaigns/follow.ts [kills of each destination] [seed] [postgresql | rethinkdb]`. Needs `npm run build` before.
 */
const kills = Number(process.argv[2] ?? 60);
const seed = Number(process.argv[3] ?? 1);
const only = process.argv[4] ?? null;
/** After so many kills the copy is compared with the source. */
const each = 20;

await using server = await startOwnPostgresql();
for (const kind of ["duckdb", "postgresql"]) {
  if (only !== "rethinkdb") {
    await using database = await server.createDatabase();
    await runSql(database.connectionString, followedTables);
    const { host, port, user, password } = database;
    const source = { type: "postgresql", host, port, user, password, database: database.database, changes: "stream" };
    await follow(kind, database, source, writtenPostgresql(database));
  }
  if (only !== "postgresql") {
    await using database = await startOwnRethinkdb();
    const { host, port, user, password } = database;
    const source = { type: "rethinkdb", host, port, username: user, password, database: database.database };
    await follow(kind, database, { ...source, changes: "stream" }, await writtenRethinkdb(database));
  }
}

async function follow(
  kind: string,
  at: Parameters<typeof Workplace.make>[0],
  source: { readonly type: string } & Readonly<Record<string, unknown>>,
  written: WrittenSource,
): Promise<void> {
  await using copies: PostgresqlServer = await server.createDatabase();
  await using place = await Workplace.make(at);
  const { host, port, user, password } = copies;
  const target = { type: "postgresql", host, port, user, password, database: copies.database };
  const destination = kind === "duckdb" ? "duckdb:copy.duckdb" : target;
  const c = { source, destination, schema: "c", commitInterval: "100ms", maxDeleteFraction: 1 };
  await place.write("headwaters.yaml", { connections: { c } });
  const rows = (table: string): Promise<unknown> =>
    kind === "duckdb"
      ? place.query(
          "copy.duckdb",
          `SELECT id::text AS id, name FROM copy.c.${table} WHERE NOT _headwaters_deleted ORDER BY id::text`,
        )
      : runSql(
          copies.connectionString,
          `SELECT id::text AS id, name FROM c.${table} WHERE NOT _headwaters_deleted ORDER BY id::text COLLATE "C"`,
        );
  for (let done = 0; done < kills; done += each) {
    const how = { kills: Math.min(each, kills - done), seed: seed + done, span: 2_500 };
    const result = await expectFollowed({ source: written, place, connection: "c" }, how, rows);
    process.stdout.write(`${source.type} → ${kind}: ${JSON.stringify(result)}: equal, CONVERGED\n`);
  }
}
