import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { json } from "node:stream/consumers";
import { DuckDBInstance } from "@duckdb/node-api";
import { expect, test } from "vitest";
import { type PostgresqlServer, runSql, startOwnPostgresql, startPostgresql } from "../servers/postgresql.ts";
import { describeWith } from "../servers/require.ts";
import { duckdbRows, folderWith, isRunning, sourceOf, workersOf } from "./folder.ts";
import { Up, until } from "./up.ts";

const tables = `
  CREATE TABLE orders (id int PRIMARY KEY, amount int NOT NULL);
  INSERT INTO orders SELECT n, n FROM generate_series(1, 500) n;`;

const followed = (database: PostgresqlServer): object => ({
  source: { ...sourceOf(database), changes: "stream" },
  destination: "duckdb:copy.duckdb",
  schedule: "follow",
  commitInterval: "200ms",
  freshness: "1h",
});

/** The amounts in the copy, read by another process while the service follows. */
const amountOf = (folder: string, id: number): Promise<unknown> =>
  until(
    "the file is free",
    () =>
      duckdbRows(join(folder, "copy.duckdb"), `SELECT amount::INT AS amount FROM copy.public.orders WHERE id = ${id}`)
        .then(([row]) => (row as { readonly amount: number } | undefined)?.amount ?? "none")
        .catch(() => null),
    20_000,
  );

const expectAmount = (folder: string, id: number, amount: number): Promise<unknown> =>
  until(`order ${id} is ${amount}`, async () => (await amountOf(folder, id)) === amount, 40_000);

const isFollowing = (up: Up): Promise<unknown> =>
  until("it follows", async () => {
    const shown = await up.connection("shop");
    return shown.state === "following" && shown;
  });

await describeWith(startPostgresql, "headwaters up that follows", (server) => {
  test("copies what changes at once, beside another connection into the same file, and tells lag and log", async () => {
    await using database = await server.createDatabase();
    await runSql(database.connectionString, tables);
    const shop = { ...followed(database), verify: "1h" };
    const other = { source: sourceOf(database), destination: "duckdb:copy.duckdb", schema: "other", schedule: "2s" };
    await using folder = await folderWith({ connections: { shop, other } });
    await using up = await Up.start(folder.path);
    expect(await isFollowing(up)).toMatchObject({
      schedule: "follow",
      nextRun: null,
      running: { kind: "follow", trigger: "schedule" },
      rows: 500,
    });
    await runSql(database.connectionString, "UPDATE orders SET amount = -7 WHERE id = 7");
    await expectAmount(folder.path, 7, -7);
    const { stream } = await until("the lag is told", async () => {
      const shown = await up.connection("shop");
      return (shown.stream?.lag ?? 0) > 0 && shown;
    });
    expect(stream).toMatchObject({
      position: expect.stringMatching(/^[0-9A-F]+\/[0-9A-F]+$/) as string,
      retainedBytes: expect.any(Number) as number,
      retainedLimit: 10 * 2 ** 30,
    });
    // A verify needs no end of following, and the other connection has its turns.
    expect(await up.ended("shop", "verify")).toMatchObject({ outcome: "succeeded", trigger: "schedule" });
    expect((await up.ended("other")).outcome).toBe("succeeded");
    expect(await up.connection("shop")).toMatchObject({ state: "following", failures: 0 });
    expect(await workersOf(up)).toHaveLength(1);
    const metrics = await (await up.fetch("/metrics")).text();
    expect(metrics).toMatch(/headwaters_stream_lag_seconds\{connection="shop"\} [\d.]+/);
    expect(metrics).toMatch(/headwaters_stream_retained_bytes\{connection="shop"\} \d+/);
    expect(metrics).toMatch(/headwaters_rows_total\{connection="shop",operation="updated"\} 1\n/);
    expect(metrics).toMatch(/headwaters_connection_state\{connection="shop",state="following"\} 1/);
    const runs = await up.get("GET /connections/{name}/runs", { name: "shop" }, "?kind=follow");
    expect(runs).toMatchObject([{ outcome: "running", inserted: 500, updated: 1 }]);
    const [table] = await up.get("GET /connections/{name}/tables", { name: "shop" });
    expect(table).toMatchObject({ table: "orders", last: { outcome: "whole" } });
  });

  test("a plain sync is refused, a full one is made in between, a stop pauses, and resume goes on", async () => {
    await using database = await server.createDatabase();
    await runSql(database.connectionString, tables);
    await using folder = await folderWith({ connections: { shop: followed(database) } });
    await using up = await Up.start(folder.path);
    await isFollowing(up);
    expect(await up.act("shop", { action: "sync" })).toMatchObject({ status: 409 });
    expect(await up.act("shop", { action: "sync", full: true })).toMatchObject({ status: 200 });
    expect(await up.ended("shop")).toMatchObject({ outcome: "succeeded", rowsRead: 500, trigger: "person" });
    await isFollowing(up);
    const stopped = await up.act("shop", { action: "stop" });
    expect(stopped.body).toMatchObject({ says: expect.stringContaining("paused until you resume") as string });
    await until("it has ended", async () => (await up.connection("shop")).running === null);
    expect(await up.connection("shop")).toMatchObject({ state: "paused", stream: null });
    await runSql(database.connectionString, "UPDATE orders SET amount = -8 WHERE id = 8");
    expect((await up.act("shop", { action: "resume" })).status).toBe(200);
    // Who reads the file at the moment of the start would hold it up.
    await isFollowing(up);
    await expectAmount(folder.path, 8, -8);
    const runs = await up.get("GET /connections/{name}/runs", { name: "shop" }, "?kind=follow");
    expect(runs.map(({ outcome }) => outcome)).toEqual(["running", "succeeded", "succeeded"]);
  });

  test("a change of the file counts at once, and a connection that is taken out ends", async () => {
    await using database = await server.createDatabase();
    await runSql(database.connectionString, `${tables} CREATE TABLE late (id int PRIMARY KEY)`);
    const shop = followed(database);
    await using folder = await folderWith({ connections: { shop: { ...shop, tables: ["orders"] } } });
    await using up = await Up.start(folder.path);
    await isFollowing(up);
    expect((await up.connection("shop")).tables).toBe(1);
    await folder.write({ connections: { shop } });
    await until("both are followed", async () => {
      const shown = await up.connection("shop");
      return shown.tables === 2 && shown.state === "following";
    });
    await folder.write({ connections: { shop: { ...shop, schedule: "1h" } } });
    await until("it is no longer followed", async () => (await up.connection("shop")).stream === null);
    await folder.write({ connections: { shop } });
    await isFollowing(up);
    await folder.write({ connections: { other: { source: sourceOf(database), destination: "duckdb:copy.duckdb" } } });
    await until("it is gone", async () => (await up.get("GET /connections")).every(({ name }) => name !== "shop"));
  });

  test.each(["SIGTERM", "SIGKILL"] as const)("ends with %s within 10 s, and the next start goes on", async (signal) => {
    await using database = await server.createDatabase();
    await runSql(database.connectionString, tables);
    await using folder = await folderWith({ connections: { shop: followed(database) } });
    let workers: readonly number[];
    {
      await using up = await Up.start(folder.path);
      await isFollowing(up);
      workers = await workersOf(up);
      await runSql(database.connectionString, "UPDATE orders SET amount = -9 WHERE id = 9");
      const began = performance.now();
      expect(await up.stop(signal)).toBe(signal === "SIGTERM" ? 0 : null);
      expect(performance.now() - began).toBeLessThan(10_000);
    }
    await until("its processes are gone", () => workers.every((pid) => !isRunning(pid)), 6_000);
    await runSql(database.connectionString, "UPDATE orders SET amount = -10 WHERE id = 10");
    await using up = await Up.start(folder.path);
    await isFollowing(up);
    await expectAmount(folder.path, 10, -10);
    await expectAmount(folder.path, 9, -9);
    const runs = await up.get("GET /connections/{name}/runs", { name: "shop" });
    expect(runs.filter(({ outcome }) => outcome === "running")).toHaveLength(1);
    expect(runs.reduce((sum, { inserted }) => sum + inserted, 0)).toBe(500);
  });

  test("a process that is killed is told as died, and following goes on by itself", async () => {
    await using database = await server.createDatabase();
    await runSql(database.connectionString, tables);
    await using folder = await folderWith({ connections: { shop: followed(database) } });
    await using up = await Up.start(folder.path);
    await isFollowing(up);
    process.kill((await workersOf(up))[0]!, "SIGKILL");
    expect(await up.ended("shop", "follow")).toMatchObject({ outcome: "died", error: { code: "PROCESS_DIED" } });
    expect(await up.connection("shop")).toMatchObject({ state: "waiting", failures: 1, says: /^following died/ });
    await runSql(database.connectionString, "UPDATE orders SET amount = -11 WHERE id = 11");
    expect(await isFollowing(up)).toMatchObject({ running: { trigger: "retry" } });
    await expectAmount(folder.path, 11, -11);
  });

  test("a connection without a stream says what is to be set", async () => {
    await using database = await server.createDatabase();
    await runSql(database.connectionString, tables);
    const shop = { ...followed(database), source: sourceOf(database) };
    await using folder = await folderWith({ connections: { shop } });
    await using up = await Up.start(folder.path);
    const run = await up.ended("shop", "follow");
    expect(run).toMatchObject({ outcome: "failed", error: { code: "CONFIGURATION_INVALID", remedy: "reconfigure" } });
    const { state, error, nextRun } = await up.connection("shop");
    expect([state, error?.hint]).toEqual(["problem", expect.stringContaining("Set changes to stream")]);
    expect(Date.parse(nextRun!) - Date.parse(run.ended!)).toBe(900_000);
  });
});

await describeWith(startOwnPostgresql, "what a stream of headwaters up alerts of", (server) => {
  test("a slot that was dropped, and log that is about to be given up", async () => {
    await runSql(server.connectionString, tables);
    const received: Record<string, string>[] = [];
    const webhook = createServer((request, response) => {
      void json(request).then((body) => {
        received.push(body as Record<string, string>);
        response.end();
      });
    });
    await new Promise<void>((resolve) => webhook.listen(0, "127.0.0.1", resolve));
    const shop = { ...followed(server), source: { ...sourceOf(server), changes: "stream", max_retained: "1KB" } };
    const alerts = { ops: { url: `http://127.0.0.1:${(webhook.address() as AddressInfo).port}/` } };
    await using folder = await folderWith({ connections: { shop }, service: { alerts } });
    await using up = await Up.start(folder.path);
    await isFollowing(up);
    const [slot] = await runSql(server.connectionString, "SELECT slot_name AS name FROM pg_replication_slots");
    const drop = `SELECT pg_terminate_backend(active_pid, 60000) FROM pg_replication_slots; SELECT pg_drop_replication_slot('${String(slot!["name"])}')`;
    await until("the slot is dropped", () =>
      runSql(server.connectionString, drop).then(
        () => true,
        () => false,
      ),
    );
    await runSql(server.connectionString, "UPDATE orders SET amount = -12 WHERE id = 12");
    await expectAmount(folder.path, 12, -12);
    const lost = await until("it is told", () => received.find(({ event }) => event === "stream lost"));
    expect(lost["message"]).toMatch(
      /^shop: "orders" is read whole, since its stream was lost: the slot .* was made again/,
    );
    // Who reads the file holds up the commit, while the log grows.
    const reader = await until("the file is free", () =>
      DuckDBInstance.create(join(folder.path, "copy.duckdb"), { access_mode: "READ_ONLY" }).catch(() => null),
    );
    await runSql(
      server.connectionString,
      `UPDATE orders SET amount = -13 WHERE id = 13; SELECT pg_logical_emit_message(false, 'x', repeat('x', 100000))`,
    );
    const retained = await until("it is told", () => received.find(({ event }) => event === "log retained"));
    expect(retained["message"]).toMatch(
      /^shop: the source keeps .* of its log for this copy; at 1.0 KiB the log is dropped\.$/,
    );
    reader.closeSync();
    await expectAmount(folder.path, 13, -13);
    await up.stop();
    webhook.close();
  });
});
