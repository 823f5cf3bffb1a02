import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { expect, test } from "vitest";
import { startFront } from "../servers/front.ts";
import { runSql, startPostgresql } from "../servers/postgresql.ts";
import { describeWith } from "../servers/require.ts";
import { Workplace } from "./program.ts";

const slow = { timeout: 120_000 };

const readings = (rows: number): string => `
  CREATE TABLE readings (id bigint PRIMARY KEY, note text, updated_at timestamptz);
  INSERT INTO readings SELECT i, 'reading ' || i, now() - interval '1 day' FROM generate_series(1, ${rows}) i`;

await describeWith(startPostgresql, "syncs into PostgreSQL", (server) => {
  test("leave no secret in what they write and say, also where they fail", slow, async () => {
    const secret = "pass/word %41 'of' \"it\"";
    const role = `secretive_${server.database}`;
    await using origin = await server.createDatabase();
    await using target = await server.createDatabase();
    const quoted = `'${secret.replaceAll("'", "''")}'`;
    await runSql(server.connectionString, `CREATE ROLE ${role} LOGIN PASSWORD ${quoted}`);
    try {
      const { host, port } = origin;
      await runSql(origin.connectionString, `${readings(100)}; GRANT SELECT ON readings TO ${role}`);
      await using place = await Workplace.make({ host, port, user: role, password: secret, database: origin.database });
      const said: string[] = [];
      const run = async (address: string, ...more: string[]): Promise<number | null> => {
        const destination = `postgresql://${address}`;
        const ended = await place.run("sync", destination, ["--schema", "mine", "--log-level", "debug", ...more]);
        const status = await place.run("status", destination, ["--schema", "mine"]);
        said.push(ended.stdout, ended.stderr, status.stdout, status.stderr);
        return ended.code;
      };
      const login = `${role}:${encodeURIComponent(secret)}@${host}:${port}/${target.database}`;
      expect(await run(login)).toBe(2);
      await runSql(target.connectionString, `GRANT CREATE ON DATABASE ${target.database} TO ${role}`);
      expect(await run(login)).toBe(0);
      expect(await run(login, "--json", "--full")).toBe(0);
      expect(await run(`${login}?sslmode=require`)).toBe(2);
      expect(await run(login.replace(role, "nobody"))).toBe(2);
      for (const table of ["leases", "copies", "passes", "pass_tables", "progress", "tables", "runs"]) {
        const rows = await runSql(target.connectionString, `SELECT t::text AS kept FROM _headwaters.${table} t`);
        said.push(JSON.stringify(rows));
      }
      const found = await readdir(place.folder, { recursive: true, withFileTypes: true });
      const files = found.filter((entry) => entry.isFile() && entry.name !== "configuration.json");
      for (const { parentPath, name } of files) said.push(await readFile(join(parentPath, name), "utf8"));
      expect(said.join("").length).toBeGreaterThan(1_000);
      for (const spelling of [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)])
        expect(said.filter((text) => text.includes(spelling))).toEqual([]);
    } finally {
      for (const database of [origin, target]) await runSql(database.connectionString, `DROP OWNED BY ${role} CASCADE`);
      await runSql(server.connectionString, `DROP ROLE ${role}`);
    }
  });

  test(
    "of one connection come one at a time; one whose lease was taken is refused within its commit",
    slow,
    async () => {
      await using origin = await server.createDatabase();
      await using target = await server.createDatabase();
      const { host, port, user, password } = origin;
      const login = { host, port, user, password };
      const count = 30_000;
      await runSql(origin.connectionString, readings(count));
      await using place = await Workplace.make(origin);
      const connection = {
        source: { type: "yugabytedb", ...login, database: origin.database },
        destination: { type: "postgresql", ...login, database: target.database },
        schema: "mine",
        commitInterval: "100ms",
        batchSize: "16KB",
      };
      const slowly = { ...connection, maxRowsPerSecond: 5_000 };
      await place.write("headwaters.yaml", { connections: { copy: slowly } });
      const running = place.start(["sync", "copy"]);
      const look = (sql: string): Promise<Record<string, string>[]> => runSql(target.connectionString, sql);
      const done = async (): Promise<number> => {
        const [row] = await look("SELECT count(*) AS n FROM mine.readings").catch(() => []);
        return Number(row?.["n"] ?? 0);
      };
      await expect.poll(done, { timeout: 30_000, interval: 20 }).toBeGreaterThan(0);
      const second = await place.start(["sync", "copy"]);
      expect([second.code, second.stderr]).toEqual([3, expect.stringMatching(/is in use by process \d+ on /)]);
      // As another process would that took it over: the counter of leases goes on. No commit comes in between.
      const [taken] = await look(
        "UPDATE _headwaters.leases SET lease = lease + 1; SELECT count(*) AS n FROM mine.readings",
      );
      const first = await running;
      expect([first.code, first.stderr]).toEqual([3, expect.stringContaining('took connection "copy" over')]);
      expect(await done()).toBe(Number(taken!["n"]));
      expect(await done()).toBeLessThan(count);
      await place.write("headwaters.yaml", { connections: { copy: connection } });
      const last = await place.start(["sync", "copy"]);
      expect(last.code, last.stderr).toBe(0);
      expect(await done()).toBe(count);
    },
  );

  test("outlast a destination that is away for some seconds", slow, async () => {
    await using origin = await server.createDatabase();
    await using target = await server.createDatabase();
    const { host, port, user, password } = origin;
    const count = 20_000;
    await runSql(origin.connectionString, readings(count));
    await using front = await startFront(server);
    await using place = await Workplace.make(origin);
    const copy = {
      source: { type: "yugabytedb", host, port, user, password, database: origin.database },
      destination: { type: "postgresql", host, port: front.port, user, password, database: target.database },
      schema: "mine",
      commitInterval: "100ms",
      batchSize: "16KB",
      maxRowsPerSecond: 5_000,
    };
    await place.write("headwaters.yaml", { connections: { copy } });
    const running = place.start(["sync", "copy"]);
    const done = async (): Promise<number> => {
      const rows = await runSql(target.connectionString, "SELECT count(*) AS n FROM mine.readings").catch(() => []);
      return Number((rows[0] as Record<string, string> | undefined)?.["n"] ?? 0);
    };
    await expect.poll(done, { timeout: 30_000, interval: 20 }).toBeGreaterThan(0);
    await front.stop();
    expect(await done()).toBeLessThan(count);
    await wait(2_000);
    await front.start();
    const ended = await running;
    expect(ended.code, ended.stderr).toBe(0);
    expect(await done()).toBe(count);
  });
});
