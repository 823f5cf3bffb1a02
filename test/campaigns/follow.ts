import { Workplace } from "../end-to-end/program.ts";
import { expectFollowed, followedTables } from "../end-to-end/following.ts";
import { runSql, startOwnPostgresql } from "../servers/postgresql.ts";

/**
 * Kills a process that follows, or its sessions, again and again while the source is written: `npx tsx
 * test/campaigns/follow.ts [kills of each destination] [seed]`. Needs `npm run build` before.
 */
const kills = Number(process.argv[2] ?? 60);
const seed = Number(process.argv[3] ?? 1);
/** After so many kills the copy is compared with the source. */
const each = 20;

await using server = await startOwnPostgresql();
for (const kind of ["duckdb", "postgresql"]) {
  await using database = await server.createDatabase();
  await using copies = await server.createDatabase();
  await using place = await Workplace.make(database);
  await runSql(database.connectionString, followedTables);
  const { host, port, user, password } = database;
  const at = { type: "postgresql", host, port, user, password };
  const destination = kind === "duckdb" ? "duckdb:copy.duckdb" : { ...at, database: copies.database };
  const source = { ...at, database: database.database, changes: "stream" };
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
    const result = await expectFollowed({ server: database, place, connection: "c" }, how, rows);
    process.stdout.write(`${kind}: ${JSON.stringify(result)}: equal, CONVERGED\n`);
  }
}
