import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import { expect, test } from "vitest";
import { runSql, startPostgresql } from "../servers/postgresql.ts";
import { describeWith } from "../servers/require.ts";
import { folderWith, sourceOf, workersOf } from "./folder.ts";
import { Up, until } from "./up.ts";

const slow = { commitInterval: "20ms", batchSize: "64KB", maxRowsPerSecond: 20_000 };
/** More than sockets hold, so that a session of the source that ends is noticed. */
const readings = `
  CREATE TABLE readings (id int PRIMARY KEY, value text NOT NULL, updated_at timestamptz NOT NULL DEFAULT now());
  INSERT INTO readings SELECT n, repeat('x', 500), now() - interval '1 day' FROM generate_series(1, 60000) n;`;

/** The values of a metric, by its labels as they are written. */
async function metric(up: Up, name: string): Promise<ReadonlyMap<string, number>> {
  const text = await (await up.fetch("/metrics")).text();
  const lines = text.matchAll(new RegExp(`^${name}\\{(.*)\\} (\\S+)$`, "gm"));
  return new Map([...lines].map(([, labels, value]) => [labels!, Number(value)]));
}

await describeWith(startPostgresql, "what the service tells those who watch it", (server) => {
  test("metrics: retries within runs and of runs, and the memory of a process", { timeout: 300_000 }, async () => {
    await using database = await server.createDatabase();
    await runSql(database.connectionString, readings);
    const shop = { source: sourceOf(database), destination: "duckdb:copy.duckdb", schedule: "1h", ...slow };
    await using folder = await folderWith({ connections: { shop } });
    await using up = await Up.start(folder.path);
    const isReading = (): Promise<unknown> =>
      until("rows were read", async () =>
        (await up.get("GET /connections/{name}/progress", { name: "shop" })).some(({ written }) => written > 0),
      );
    await isReading();
    const cut =
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    await runSql(database.connectionString, cut);
    const retries = await until("a table is tried again", async () => {
      const found = await metric(up, "headwaters_table_retries_total");
      return found.size > 0 && found;
    });
    for (const [labels, count] of retries) {
      expect(labels).toMatch(/^connection="shop",code="[A-Z_]+"$/);
      expect(count).toBeGreaterThan(0);
    }
    const memory = await metric(up, "headwaters_destination_process_resident_memory_bytes");
    expect([...memory.keys()]).toEqual(['destination="duckdb:copy.duckdb"']);
    expect([...memory.values()][0]).toBeGreaterThan(20 << 20);
    await isReading();
    process.kill((await workersOf(up))[0]!, "SIGKILL");
    const died = await up.ended("shop");
    expect(await up.ended("shop", "sync", died.started)).toMatchObject({ outcome: "succeeded", trigger: "retry" });
    const run = (trigger: string, outcome: string, code: string): string =>
      `connection="shop",kind="sync",trigger="${trigger}",outcome="${outcome}",code="${code}"`;
    expect(await metric(up, "headwaters_runs_total")).toEqual(
      new Map([
        [run("schedule", "died", "PROCESS_DIED"), 1],
        [run("retry", "succeeded", ""), 1],
      ]),
    );
    expect((await metric(up, "headwaters_table_retries_total")).size).toBe(retries.size);
  });

  test("alerts: a copy that gets too old while it is paused, and a change of a schema", async () => {
    const received: { readonly event: string; readonly message: string; readonly hint: string | null }[] = [];
    await using webhook = createServer((request, response) => {
      void json(request).then((body) => {
        received.push(body as (typeof received)[number]);
        response.end();
      });
    });
    await new Promise<void>((resolve) => void webhook.listen(0, "127.0.0.1", resolve));
    const ops = { url: `http://127.0.0.1:${(webhook.address() as AddressInfo).port}/` };
    await using database = await server.createDatabase();
    await runSql(database.connectionString, readings);
    const shop = { source: sourceOf(database), destination: "duckdb:copy.duckdb", freshness: "4s" };
    await using folder = await folderWith({ connections: { shop }, service: { alerts: { ops } } });
    await using up = await Up.start(folder.path);
    await up.act("shop", { action: "sync" });
    const first = await up.ended("shop");
    await up.act("shop", { action: "pause" });
    const stale = await until("it is told", () => received.find(({ event }) => event === "stale"));
    expect(stale).toMatchObject({ message: "shop: its copy is older than its limit." });
    expect((await up.connection("shop")).state).toBe("paused");
    await runSql(database.connectionString, "ALTER TABLE readings ADD COLUMN place text");
    await up.act("shop", { action: "sync" });
    expect(await up.ended("shop", "sync", first.started)).toMatchObject({ outcome: "succeeded" });
    const change = await until("it is told", () => received.find(({ event }) => event === "schema change"));
    expect(change.message).toBe('shop: "readings": column "place" added as STRING.');
    await up.act("shop", { action: "resume" });
    await until("it is resumed", async () => (await up.connection("shop")).state === "late");
    expect(received.filter(({ event }) => event === "schema change")).toHaveLength(1);
  });
});
