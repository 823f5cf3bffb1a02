import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type PostgresqlServer, runSql, startPostgresql } from "../servers/postgresql.ts";
import { describeWith } from "../servers/require.ts";
import { Up, until } from "./up.ts";

/** A folder with a file of connections. */
async function folderWith(
  file: object,
): Promise<AsyncDisposable & { readonly path: string; write(file: object | string): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), "headwaters-up-"));
  const write = async (file: object | string): Promise<void> =>
    writeFile(join(path, "headwaters.yaml"), typeof file === "string" ? file : JSON.stringify(file), { mode: 0o600 });
  await write(file);
  return { path, write, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}

function sourceOf({ host, port, user, password, database }: PostgresqlServer): object {
  return { type: "postgresql", host, port, user, password, database, schema: "public" };
}

const tables = `
  CREATE TABLE readings (id int PRIMARY KEY, value text NOT NULL, updated_at timestamptz NOT NULL DEFAULT now());
  INSERT INTO readings SELECT n, 'value ' || n FROM generate_series(1, 5000) n;
  CREATE TABLE events (id int PRIMARY KEY, value text);
  INSERT INTO events SELECT n, 'event ' || n FROM generate_series(1, 100) n;`;

await describeWith(startPostgresql, "headwaters up", (server) => {
  test("syncs and verifies by schedule, and tells of it by its API", async () => {
    await using database = await server.createDatabase();
    await runSql(database.connectionString, tables);
    const connection = {
      source: sourceOf(database),
      destination: "duckdb:copy.duckdb",
      schedule: "2s",
      verify: "1h",
      freshness: "1h",
    };
    await using folder = await folderWith({ connections: { shop: connection } });
    await using up = await Up.start(folder.path);
    const run = await up.ended("shop");
    expect(run).toMatchObject({ outcome: "succeeded", trigger: "schedule", rowsRead: 5100, inserted: 5100 });
    const proof = await up.ended("shop", "verify");
    expect(proof).toMatchObject({ outcome: "succeeded", verdict: "CONVERGED" });
    const shown = await until("it is up to date", async () => {
      const shown = await up.connection("shop");
      return shown.state === "ok" && shown.lastProof !== null && shown;
    });
    expect(shown).toMatchObject({ rows: 5100, tables: 2, failures: 0, schedule: "every 2s" });
    const reports = await up.get("GET /connections/{name}/tables", { name: "shop" });
    expect(reports.map(({ table, rows, last }) => [table, rows, last?.outcome])).toEqual([
      ["events", 100, "whole"],
      ["readings", 5000, "whole"],
    ]);
    const log = await up.get("GET /runs/{id}/log", { id: run.id }, "?search=READINGS");
    expect(log.some(({ message }) => message.includes("full pass"))).toBe(true);
    expect((await up.get("GET /runs/{id}", { id: run.id })).tables).toHaveLength(2);
    const again = await up.ended("shop", "sync", run.started);
    expect(again.outcome).toBe("succeeded");
    expect(await up.stop()).toBe(0);
  });
});
