import { readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { DuckDBInstance } from "@duckdb/node-api";
import { expect, test } from "vitest";
import { runCli } from "../cli/run-cli.ts";
import { runSql, startOwnPostgresql, startPostgresql } from "../servers/postgresql.ts";
import { startOwnValkey } from "../servers/redis.ts";
import { describeWith } from "../servers/require.ts";
import { duckdbRows, folderWith, isRunning, sourceOf, workersOf } from "./folder.ts";
import { Up, until } from "./up.ts";

const tables = `
  CREATE TABLE readings (id int PRIMARY KEY, value text NOT NULL, updated_at timestamptz NOT NULL DEFAULT now());
  INSERT INTO readings SELECT n, 'value ' || n, now() - interval '1 day' FROM generate_series(1, 5000) n;
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

  test("events come as they happen, and go on after the last one that a reader has", async () => {
    await using database = await server.createDatabase();
    await runSql(database.connectionString, tables);
    const connection = { source: sourceOf(database), destination: "duckdb:copy.duckdb" };
    await using folder = await folderWith({ connections: { shop: connection } });
    await using up = await Up.start(folder.path);
    const reading = up.events((events) =>
      events.some((event) => event.kind === "run" && event.run.outcome === "succeeded"),
    );
    await until("somebody reads", async () => (await up.connection("shop")).state === "never");
    expect(await up.act("shop", { action: "sync" })).toMatchObject({ status: 200 });
    const { events, id } = await reading;
    expect(events[0]).toMatchObject({ kind: "hello" });
    const kinds = new Set(events.map(({ kind }) => kind));
    expect([...kinds].sort()).toEqual(["connection", "hello", "log", "progress", "run"]);
    const last = events.findLast((event) => event.kind === "progress");
    expect(last?.tables.length).toBeGreaterThan(0);
    const missed = await up.events((events) => events.some((event) => event.kind === "connection"), id);
    expect(missed.events.some(({ kind }) => kind === "hello")).toBe(false);
    const anew = await up.events((events) => events.length > 0, "0000-12");
    expect(anew.events[0]).toMatchObject({ kind: "hello" });
  });

  test("a process of a destination that is killed in the middle is told as died, and its run goes on", async () => {
    await using database = await server.createDatabase();
    await runSql(database.connectionString, tables);
    await runSql(
      database.connectionString,
      "INSERT INTO readings SELECT n, 'value ' || n, now() - interval '1 day' FROM generate_series(5001, 100000) n",
    );
    const often = { commitInterval: "20ms", batchSize: "64KB", maxRowsPerSecond: 40_000 };
    const connection = { source: sourceOf(database), destination: "duckdb:copy.duckdb", schedule: "1h", ...often };
    await using folder = await folderWith({ connections: { shop: connection } });
    await using up = await Up.start(folder.path);
    await until("rows were read", async () =>
      (await up.get("GET /connections/{name}/progress", { name: "shop" })).some(({ written }) => written > 0),
    );
    process.kill((await workersOf(up))[0]!, "SIGKILL");
    const died = await up.ended("shop");
    expect(died).toMatchObject({ outcome: "died", error: { code: "PROCESS_DIED", remedy: "retry" } });
    expect(await up.connection("shop")).toMatchObject({ state: "waiting", failures: 1 });
    const again = await up.ended("shop", "sync", died.started);
    expect(again).toMatchObject({ outcome: "succeeded", trigger: "retry" });
    await up.act("shop", { action: "verify" });
    expect(await up.ended("shop", "verify")).toMatchObject({ verdict: "CONVERGED" });
  });

  test("the service that is killed leaves no process behind, and goes on where it was", async () => {
    await using database = await server.createDatabase();
    await runSql(database.connectionString, tables);
    await runSql(
      database.connectionString,
      "INSERT INTO readings SELECT n, 'value ' || n, now() - interval '1 day' FROM generate_series(5001, 100000) n",
    );
    const often = { commitInterval: "20ms", batchSize: "64KB", maxRowsPerSecond: 40_000 };
    const connection = { source: sourceOf(database), destination: "duckdb:copy.duckdb", schedule: "1h", ...often };
    await using folder = await folderWith({ connections: { shop: connection } });
    let workers: readonly number[];
    {
      await using up = await Up.start(folder.path);
      await until("rows were read", async () =>
        (await up.get("GET /connections/{name}/progress", { name: "shop" })).some(({ written }) => written > 0),
      );
      workers = await workersOf(up);
      expect(workers).toHaveLength(1);
      await up.stop("SIGKILL");
    }
    await until("its processes are gone", () => workers.every((pid) => !isRunning(pid)), 6_000);
    await using up = await Up.start(folder.path);
    const first = await up.ended("shop");
    expect(["died", "stopped"]).toContain(first.outcome);
    const again = await up.ended("shop", "sync", first.started);
    expect(again.outcome).toBe("succeeded");
    await up.act("shop", { action: "verify" });
    expect(await up.ended("shop", "verify")).toMatchObject({ verdict: "CONVERGED" });
    const runs = await up.get("GET /connections/{name}/runs", { name: "shop" });
    expect(runs.filter(({ outcome }) => outcome === "running")).toEqual([]);
  });

  test("what ends after the service that began it, and what the command line does, is seen by the next one (case 7)", async () => {
    await using database = await server.createDatabase();
    await runSql(database.connectionString, tables);
    await runSql(
      database.connectionString,
      "INSERT INTO readings SELECT n, 'value ' || n, now() - interval '1 day' FROM generate_series(5001, 100000) n",
    );
    const often = { commitInterval: "20ms", batchSize: "64KB", maxRowsPerSecond: 40_000 };
    const connection = { source: sourceOf(database), destination: "duckdb:copy.duckdb", schedule: "1h", ...often };
    await using folder = await folderWith({ connections: { shop: connection } });
    {
      await using up = await Up.start(folder.path);
      await until("rows were read", async () =>
        (await up.get("GET /connections/{name}/progress", { name: "shop" })).some(({ written }) => written > 0),
      );
      const [worker] = await workersOf(up);
      // It can't end, as one that waits for its server, while the next service begins.
      process.kill(worker!, "SIGSTOP");
      await up.stop("SIGKILL");
      await using next = await Up.start(folder.path);
      expect(await next.connection("shop")).toMatchObject({ state: "running", says: "another process works on it" });
      process.kill(worker!, "SIGKILL");
      const died = await until("its end is seen", async () =>
        (await next.get("GET /connections/{name}/runs", { name: "shop" })).find(({ outcome }) => outcome === "died"),
      );
      // Nobody knows when it died: not until now.
      expect(died.milliseconds).toBeLessThan(Date.now() - Date.parse(died.started));
      expect(await next.ended("shop", "sync", died.started)).toMatchObject({ outcome: "succeeded", trigger: "retry" });
      await runSql(database.connectionString, "DELETE FROM events WHERE id > 90");
      await until(
        "its file is free",
        async () => (await runCli(["sync", "--sweep"], { folder: folder.path })).code === 0,
      );
      const seen = await until("the command line's sync is seen", async () => {
        const { lastRun, rows } = await next.connection("shop");
        return lastRun?.trigger === "command line" && rows === 100_090 && lastRun;
      });
      expect(seen).toMatchObject({ outcome: "succeeded", deleted: 10 });
      const runs = await next.get("GET /connections/{name}/runs", { name: "shop" });
      expect(runs.map(({ outcome }) => outcome).filter((outcome) => outcome !== "failed")).toEqual([
        "succeeded",
        "succeeded",
        "died",
      ]);
    }
  });

  test("copies that are busy when a run is seen are looked at again", async () => {
    await using database = await server.createDatabase();
    await runSql(database.connectionString, tables);
    const connection = { source: sourceOf(database), destination: "duckdb:copy.duckdb" };
    await using folder = await folderWith({ connections: { shop: connection } });
    expect((await runCli(["sync"], { folder: folder.path })).code).toBe(0);
    await using up = await Up.start(folder.path, ["--log-level", "debug"]);
    await until("its rows are counted", async () => (await up.connection("shop")).rows === 5_100);
    await runSql(database.connectionString, "DELETE FROM events WHERE id > 90");
    const { lastRun } = await up.connection("shop");
    expect((await runCli(["sync", "--sweep"], { folder: folder.path })).code).toBe(0);
    const reader = await DuckDBInstance.create(join(folder.path, "copy.duckdb"));
    await until("the run is seen", async () => (await up.connection("shop")).lastRun?.id !== lastRun?.id);
    await until("a look fails", () => up.stderr.includes("copy.duckdb is open in process"));
    reader.closeSync();
    const seen = await until("the copies are seen", async () => {
      const shown = await up.connection("shop");
      return shown.rows === 5_090 && shown;
    });
    expect(seen).toMatchObject({ state: "ok", lastRun: { deleted: 10 } });
  });

  test("SIGTERM ends a run within 10 s, and the next start goes on at once", async () => {
    await using database = await server.createDatabase();
    await runSql(database.connectionString, tables);
    await runSql(
      database.connectionString,
      "INSERT INTO readings SELECT n, 'value ' || n, now() - interval '1 day' FROM generate_series(5001, 100000) n",
    );
    const slow = { commitInterval: "20ms", batchSize: "64KB", maxRowsPerSecond: 40_000 };
    const connection = { source: sourceOf(database), destination: "duckdb:copy.duckdb", schedule: "1d", ...slow };
    await using folder = await folderWith({ connections: { shop: connection } });
    {
      await using up = await Up.start(folder.path);
      await until("rows were read", async () =>
        (await up.get("GET /connections/{name}/progress", { name: "shop" })).some(({ written }) => written > 0),
      );
      const began = performance.now();
      expect(await up.stop()).toBe(0);
      expect(performance.now() - began).toBeLessThan(10_000);
      expect(up.stderr).toContain("shop: sync stopped");
    }
    await using up = await Up.start(folder.path);
    const runs = await until("it went on", async () => {
      const runs = await up.get("GET /connections/{name}/runs", { name: "shop" });
      return runs[0]?.outcome === "succeeded" && runs;
    });
    expect(runs.map(({ outcome }) => outcome)).toEqual(["succeeded", "stopped"]);
  });

  test("a change of the file counts, a mistake is told and the settings before it stay", async () => {
    await using database = await server.createDatabase();
    await runSql(database.connectionString, tables);
    const connection = { source: sourceOf(database), destination: "duckdb:copy.duckdb" };
    await using folder = await folderWith({ connections: { shop: connection } });
    await using up = await Up.start(folder.path);
    await folder.write({ connections: { shop: { ...connection, schedule: "2s" }, other: connection } });
    await until("the other one is there", async () => (await up.get("GET /connections")).length === 2);
    const before = await up.ended("shop");
    await folder.write({ connections: { shop: { ...connection, deletes: "sometimes" } } });
    const wrong = await until("it is told", async () => (await up.get("GET /service")).configuration);
    expect(wrong).toMatchObject({
      code: "CONFIGURATION_INVALID",
      message: expect.stringContaining("deletes") as string,
    });
    expect(await up.ended("shop", "sync", before.started)).toMatchObject({ outcome: "succeeded" });
    await folder.write("connections: [");
    await until("it is told", async () => (await up.get("GET /service")).configuration?.message !== wrong.message);
    await folder.write({ connections: { shop: connection } });
    await until("the other one is gone", async () => (await up.get("GET /connections")).length === 1);
    expect((await up.get("GET /service")).configuration).toBe(null);
    expect((await up.connection("shop")).schedule).toBe(null);
  });

  test("deletes past the limit are accepted by their numbers, and by no others", async () => {
    await using database = await server.createDatabase();
    await runSql(database.connectionString, tables);
    const connection = { source: sourceOf(database), destination: "duckdb:copy.duckdb", deletes: "each_sync" };
    await using folder = await folderWith({ connections: { shop: connection } });
    await using up = await Up.start(folder.path);
    await up.act("shop", { action: "sync" });
    const first = await up.ended("shop");
    await runSql(database.connectionString, "DELETE FROM readings WHERE id > 100");
    await up.act("shop", { action: "sync" });
    const held = await up.ended("shop", "sync", first.started);
    expect(held).toMatchObject({ outcome: "failed", error: { code: "DELETES_STOPPED", remedy: "resync" } });
    const shown = await until("it is shown", async () => {
      const shown = await up.connection("shop");
      return shown.held.length > 0 && shown;
    });
    expect(shown).toMatchObject({ state: "problem", held: [{ table: "readings", gone: 4900, of: 5000 }] });
    const agree = { action: "accept-deletes", table: "readings", of: 5000 } as const;
    expect(await up.act("shop", { ...agree, gone: 4899 })).toMatchObject({ status: 409 });
    await runSql(database.connectionString, "DELETE FROM readings WHERE id > 50");
    // More is gone by now than the person saw.
    expect(await up.act("shop", { ...agree, gone: 4900 })).toMatchObject({ status: 200 });
    const more = await up.ended("shop", "sync", held.started);
    expect(more).toMatchObject({ outcome: "failed", deleted: 0 });
    await until("it is shown", async () => (await up.connection("shop")).held[0]?.gone === 4950);
    await up.act("shop", { ...agree, gone: 4950 });
    expect(await up.ended("shop", "sync", more.started)).toMatchObject({ outcome: "succeeded", deleted: 4950 });
    await until("it is up to date", async () => (await up.connection("shop")).state === "ok");
  });

  test("history is in the destination, by columns, with what changed of the schema", async () => {
    await using database = await server.createDatabase();
    await runSql(database.connectionString, tables);
    const connection = { source: sourceOf(database), destination: "duckdb:copy.duckdb" };
    await using folder = await folderWith({ connections: { shop: connection } });
    await using up = await Up.start(folder.path);
    await up.act("shop", { action: "sync" });
    const first = await up.ended("shop");
    await runSql(database.connectionString, "ALTER TABLE events ADD COLUMN place text");
    await up.act("shop", { action: "sync" });
    const second = await up.ended("shop", "sync", first.started);
    await up.act("shop", { action: "verify" });
    const proof = await up.ended("shop", "verify");
    const changes = await up.get("GET /connections/{name}/schema-changes", { name: "shop" });
    expect(changes.map(({ table, change }) => [table, change])).toEqual([["events", 'column "place" added as STRING']]);
    await up.stop();
    // Another machine has the destination alone.
    rmSync(join(folder.path, ".headwaters"), { recursive: true });
    await using other = await Up.start(folder.path);
    const runs = await other.get("GET /connections/{name}/runs", { name: "shop" });
    expect(runs.map(({ id }) => id)).toEqual([proof.id, second.id, first.id]);
    expect(await other.get("GET /runs/{id}", { id: proof.id })).toMatchObject({
      run: { kind: "verify", verdict: "CONVERGED", trigger: "person" },
      tables: [
        { table: "events", verdict: "CONVERGED" },
        { table: "readings", verdict: "CONVERGED" },
      ],
    });
    await other.stop();
    const views = await duckdbRows(
      join(folder.path, "copy.duckdb"),
      `SELECT kind, asked_by, outcome, verdict, tables::INT AS tables, rows_read::INT AS rows_read, typeof(started) AS type
        FROM copy._headwaters.run_history ORDER BY started`,
    );
    expect(views).toMatchObject([
      {
        kind: "sync",
        asked_by: "person",
        outcome: "succeeded",
        tables: 2,
        rows_read: 5100,
        type: "TIMESTAMP WITH TIME ZONE",
      },
      { kind: "sync", outcome: "succeeded" },
      { kind: "verify", outcome: "succeeded", verdict: "CONVERGED" },
    ]);
  });

  test("what a person must mend pauses a connection until its settings change or a person resumes it", async () => {
    await using database = await server.createDatabase();
    await runSql(database.connectionString, tables);
    const right = { source: sourceOf(database), destination: "duckdb:copy.duckdb", schedule: "1s" };
    const wrong = { ...right, source: { ...right.source, password: "wrong" } };
    const file = (shop: object): object => ({ service: { pauseAfter: 2 }, connections: { shop } });
    await using folder = await folderWith(file(wrong));
    await using up = await Up.start(folder.path);
    const paused = await until("it is paused", async () => {
      const shown = await up.connection("shop");
      return shown.paused && shown;
    });
    expect(paused).toMatchObject({ state: "paused", failures: 2, nextRun: null, error: { code: "LOGIN_FAILED" } });
    expect(paused.says).toContain("paused after 2 failures");
    await up.act("shop", { action: "resume" });
    await until("it is paused again", async () => (await up.connection("shop")).failures === 4);
    await folder.write(file(right));
    await until("it is mended", async () => (await up.connection("shop")).state === "ok");
  });

  test("runs that were missed are made up once, and those older than keepRuns are forgotten", async () => {
    await using database = await server.createDatabase();
    await runSql(database.connectionString, tables);
    const connection = { source: sourceOf(database), destination: "duckdb:copy.duckdb", schedule: "1h" };
    await using folder = await folderWith({ connections: { shop: connection } });
    expect((await runCli(["sync"], { folder: folder.path })).code).toBe(0);
    // As if the machine had been off for ten days.
    const past = new Date(Date.now() - 10 * 86_400_000).toISOString();
    const killed = new Date(Date.now() - 86_400_000).toISOString();
    const place = join(folder.path, ".headwaters", "shop");
    const name = readdirSync(place).find((name) => name.endsWith(".json"));
    const record = JSON.parse(readFileSync(join(place, name!), "utf8")) as object;
    writeFileSync(join(place, name!), JSON.stringify({ ...record, started: past, ended: past }));
    await duckdbRows(
      join(folder.path, "copy.duckdb"),
      `UPDATE copy._headwaters.runs SET started = '${past}', ended = '${past}';
       INSERT INTO copy._headwaters.runs (connection, id, kind, started, outcome)
         VALUES ('shop', 'a follow that was killed', 'follow', '${killed}', 'running')`,
      "",
    );
    await folder.write({ connections: { shop: connection }, service: { keepRuns: "9d" } });
    await using up = await Up.start(folder.path);
    const run = await up.ended("shop", "sync", past);
    expect(run).toMatchObject({ outcome: "succeeded", trigger: "schedule" });
    await wait(2_000);
    const runs = await up.get("GET /connections/{name}/runs", { name: "shop" });
    expect(runs.map(({ started, outcome }) => [started, outcome])).toEqual([
      [run.started, "succeeded"],
      [killed, "died"],
      [past, "succeeded"],
    ]);
    expect(Date.parse((await up.connection("shop")).nextRun!)).toBeGreaterThan(Date.now());
    await up.stop();
    const history = "SELECT run, outcome FROM copy._headwaters.run_history ORDER BY started";
    expect(await duckdbRows(join(folder.path, "copy.duckdb"), history)).toEqual([
      { run: "a follow that was killed", outcome: "died" },
      { run: run.id, outcome: "succeeded" },
    ]);
  });

  test("pause, resume, stop, and what can't be done now", async () => {
    await using database = await server.createDatabase();
    await runSql(database.connectionString, tables);
    const connection = { source: sourceOf(database), destination: "duckdb:copy.duckdb", maxRowsPerSecond: 1_000 };
    await using folder = await folderWith({ connections: { shop: connection } });
    await using up = await Up.start(folder.path);
    expect(await up.act("shop", { action: "stop" })).toMatchObject({ status: 409 });
    expect(await up.act("nowhere", { action: "stop" })).toMatchObject({ status: 404 });
    expect(await up.act("shop", { action: "accept-deletes", table: "readings", gone: 1, of: 2 })).toMatchObject({
      status: 409,
    });
    await up.act("shop", { action: "pause" });
    expect(await up.connection("shop")).toMatchObject({ state: "paused", paused: true });
    const begun = await up.act("shop", { action: "sync" });
    expect(begun).toMatchObject({ status: 200 });
    await until("it runs", async () => (await up.connection("shop")).state === "running");
    expect(await up.act("shop", { action: "verify" })).toMatchObject({ status: 409 });
    expect(await up.act("shop", { action: "stop" })).toMatchObject({
      status: 200,
      body: { run: (begun.body as { run: string }).run },
    });
    expect(await up.ended("shop")).toMatchObject({ outcome: "stopped", trigger: "person" });
    await up.stop();
    await using later = await Up.start(folder.path);
    expect(await later.connection("shop")).toMatchObject({ state: "paused" });
    await later.act("shop", { action: "resume" });
    expect(await later.connection("shop")).toMatchObject({ paused: false });
  });

  test("no secret is in what it writes, serves or logs", async () => {
    await using database = await server.createDatabase();
    await runSql(database.connectionString, tables);
    await runSql(
      database.connectionString,
      "CREATE TABLE broken (id int PRIMARY KEY, v text); ALTER TABLE broken OWNER TO CURRENT_USER",
    );
    const shop = { source: { ...sourceOf(database), password: "${SHOP_PASSWORD}" }, destination: "duckdb:copy.duckdb" };
    const refused = { ...shop, source: { ...shop.source, password: "wrong-and-secret-1234" } };
    const hooks = {
      ops: { url: "https://127.0.0.1:1/services/T0SECRET/B0SECRET", secret: "signs-and-is-secret-5678" },
    };
    await using folder = await folderWith({ connections: { shop, refused }, service: { alerts: hooks } });
    await using up = await Up.start(folder.path, ["--log-level", "debug"], { SHOP_PASSWORD: database.password });
    await up.act("shop", { action: "sync" });
    await up.act("refused", { action: "sync" });
    await up.ended("shop");
    const run = await up.ended("refused");
    const answers = await Promise.all(
      [
        "/api/v1/service",
        "/api/v1/connections",
        "/metrics",
        `/api/v1/runs/${run.id}`,
        `/api/v1/runs/${run.id}/log`,
      ].map(async (path) => (await up.fetch(path)).text()),
    );
    const files = readdirSync(join(folder.path, ".headwaters"), { recursive: true, withFileTypes: true }).filter(
      (entry) => entry.isFile(),
    );
    const texts = files.map(({ parentPath, name }) => readFileSync(join(parentPath, name), "utf8"));
    for (const { parentPath, name } of files) {
      if (name !== ".gitignore") expect(statSync(join(parentPath, name)).mode & 0o077).toBe(0);
    }
    const all = [...answers, ...texts, up.stdout, up.stderr].join("\n");
    for (const secret of ["wrong-and-secret-1234", "T0SECRET", "signs-and-is-secret-5678"])
      expect(all).not.toContain(secret);
    expect(all.replaceAll(up.token, "")).not.toContain(`:${database.password}@`);
    await up.stop();
  });
});

await describeWith(startOwnPostgresql, "a source of headwaters up that goes away", (server) => {
  test("is tried again until it is back; beside it, a Valkey fills the same file", async () => {
    await runSql(server.connectionString, tables);
    await using valkey = await startOwnValkey().catch(() => null);
    const destination = "duckdb:copy.duckdb";
    const { host, port } = valkey ?? { host: "", port: 0 };
    const cache =
      valkey === null
        ? {}
        : { cache: { source: { type: "valkey", host, port, database: valkey.database }, destination, schedule: "2s" } };
    const shop = { source: sourceOf(server), destination, schedule: "2s" };
    await using folder = await folderWith({ connections: { shop, ...cache } });
    await using up = await Up.start(folder.path);
    const first = await up.ended("shop");
    expect(first.outcome).toBe("succeeded");
    await server.stop("immediate");
    const away = await until("it fails", async () => {
      const shown = await up.connection("shop");
      return shown.failures > 0 && shown;
    });
    expect(away).toMatchObject({ lastRun: { outcome: "failed", error: { remedy: "retry" } } });
    if (valkey !== null) expect(await up.ended("cache")).toMatchObject({ outcome: "succeeded" });
    await server.start();
    await until("it is back", async () => (await up.connection("shop")).state === "ok");
    expect(await workersOf(up)).toHaveLength(1);
  });
});
