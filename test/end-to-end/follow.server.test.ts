import { test } from "vitest";
import { describeWith } from "../servers/require.ts";
import { runSql, startPostgresql } from "../servers/postgresql.ts";
import { expectFollowed, followedTables } from "./following.ts";
import { Workplace } from "./program.ts";

await describeWith(startPostgresql, "a source that is followed by a process that is killed", (server) => {
  test("loses nothing into DuckDB", { timeout: 180_000 }, async () => {
    await using database = await server.createDatabase();
    await using place = await Workplace.make(database);
    await runSql(database.connectionString, followedTables);
    const { host, port, user, password } = database;
    const source = { type: "postgresql", host, port, user, password, database: database.database, changes: "stream" };
    const c = { source, destination: "duckdb:c.duckdb", commitInterval: "200ms", maxDeleteFraction: 1 };
    await place.write("headwaters.yaml", { connections: { c } });
    const rows = (table: string): Promise<unknown> =>
      place.query(
        "c.duckdb",
        `SELECT id::text AS id, name FROM copy.public.${table} WHERE NOT _headwaters_deleted ORDER BY id::text`,
      );
    const how = { kills: 12, seed: 1, span: 2_500 };
    await expectFollowed({ server: database, place, connection: "c" }, how, rows);
  });

  test("loses nothing into PostgreSQL", { timeout: 180_000 }, async () => {
    await using database = await server.createDatabase();
    await using copies = await server.createDatabase();
    await using place = await Workplace.make(database);
    await runSql(database.connectionString, followedTables);
    const { host, port, user, password } = database;
    const at = { type: "postgresql", host, port, user, password };
    const source = { ...at, database: database.database, changes: "stream" };
    const c = {
      source,
      destination: { ...at, database: copies.database },
      schema: "c",
      commitInterval: "100ms",
      maxDeleteFraction: 1,
    };
    await place.write("headwaters.yaml", { connections: { c } });
    const rows = (table: string): Promise<unknown> =>
      runSql(
        copies.connectionString,
        `SELECT id::text AS id, name FROM c.${table} WHERE NOT _headwaters_deleted ORDER BY id::text COLLATE "C"`,
      );
    const how = { kills: 12, seed: 2, span: 2_500 };
    await expectFollowed({ server: database, place, connection: "c" }, how, rows);
  });
});
