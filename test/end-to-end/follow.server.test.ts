import { expect, test } from "vitest";
import { describeWith } from "../servers/require.ts";
import { runSql, startPostgresql } from "../servers/postgresql.ts";
import { expectFollowed, followedTables, Follower, writtenPostgresql } from "./following.ts";
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
    await expectFollowed({ source: writtenPostgresql(database), place, connection: "c" }, how, rows);
  });

  test("waits for a reader of the DuckDB file, and names it", { timeout: 120_000 }, async () => {
    await using database = await server.createDatabase();
    await using place = await Workplace.make(database);
    const sql = (text: string): Promise<unknown> => runSql(database.connectionString, text);
    await sql("CREATE TABLE t (id int PRIMARY KEY, name text); INSERT INTO t VALUES (1, 'a')");
    const { host, port, user, password } = database;
    const source = { type: "postgresql", host, port, user, password, database: database.database, changes: "stream" };
    await place.write("headwaters.yaml", { connections: { c: { source, destination: "duckdb:c.duckdb" } } });
    const name = (): Promise<unknown> =>
      place.query("c.duckdb", "SELECT name FROM copy.public.t").then((rows) => rows[0]!["name"], String);
    const follower = new Follower(place, "c");
    try {
      await expect.poll(name, { timeout: 30_000, interval: 200 }).toBe("a");
      const second = await place.start(["sync", "c"]);
      expect([second.code, second.stderr]).toEqual([3, expect.stringContaining("SYNC_RUNNING")]);
      expect(second.stderr).toContain(`process ${follower.child.pid}`);
      await place.holdOpen("c.duckdb", async (pid) => {
        await sql("UPDATE t SET name = 'b'");
        await expect.poll(() => follower.said, { timeout: 30_000 }).toContain(`is open in process ${pid}`);
      });
      await expect.poll(name, { timeout: 30_000, interval: 200 }).toBe("b");
      const { code, milliseconds } = await follower.end("SIGTERM");
      expect([code, milliseconds < 5_000], follower.said).toEqual([0, true]);
    } finally {
      await follower.end("SIGKILL");
    }
    expect((await place.start(["sync", "c"])).code).toBe(0);
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
    await expectFollowed({ source: writtenPostgresql(database), place, connection: "c" }, how, rows);
  });
});
