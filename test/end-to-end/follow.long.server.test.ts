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

  test("status tells position and lag, and a reset of all gives the slot back", { timeout: 120_000 }, async () => {
    await using database = await server.createDatabase();
    await using place = await Workplace.make(database);
    await runSql(database.connectionString, "CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE keyless (id int)");
    const { host, port, user, password } = database;
    const source = { type: "postgresql", host, port, user, password, database: database.database, changes: "stream" };
    await place.write("headwaters.yaml", { connections: { c: { source, destination: "duckdb:c.duckdb" } } });
    const slots = (): Promise<readonly Record<string, unknown>[]> =>
      runSql(
        database.connectionString,
        "SELECT slot_name, confirmed_flush_lsn::text AS at FROM pg_replication_slots WHERE database = current_database()",
      );
    const run = async (...line: readonly string[]): Promise<string> => {
      const { code, stdout, stderr } = await place.start(line);
      expect([code, stderr]).toEqual([0, expect.not.stringContaining("warn")]);
      return stdout;
    };
    await run("sync", "c");
    const [{ at } = {}] = await slots();
    const [keyless, t] = (JSON.parse(await run("status", "c", "--json")) as { tables: Record<string, unknown>[] })
      .tables;
    expect(keyless).toMatchObject({ table: "keyless", position: null, lag: null });
    expect(t).toMatchObject({ table: "t", position: at, lag: expect.any(Number) as number });
    expect(await run("status", "c")).toContain(String(at));
    await run("reset", "c", "--tables", "t", "--yes");
    expect(await slots()).toHaveLength(1);
    await run("sync", "c");
    expect(await run("reset", "c", "--yes")).toMatch(/removed replication slot .* and publication/);
    expect(await slots()).toEqual([]);
    await run("sync", "c");
    // What can't be removed is told, and how.
    await place.write("headwaters.yaml", {
      connections: { c: { source: { ...source, port: 1 }, destination: "duckdb:c.duckdb" } },
    });
    const { code, stderr } = await place.start(["reset", "c", "--yes"]);
    expect([code, stderr]).toEqual([0, expect.stringContaining("Run headwaters unfollow")]);
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
