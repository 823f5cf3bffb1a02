import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { definition } from "../../../src/destinations/ducklake/index.ts";
import {
  context,
  fill,
  holder,
  holding,
  left,
  live,
  passOf,
  rejectsWith,
  statesOf,
  sync,
  syncAt,
  tableOf,
  things,
  transact,
  upsert,
} from "../../conformance/destination/steps.ts";
import type { DestinationContext } from "../../../src/protocol/destination.ts";
import { duckdbExtensions } from "../../servers/duckdb-extensions.ts";
import { runSql } from "../../servers/postgresql.ts";
import { describeWith } from "../../servers/require.ts";
import { LakeHarness, lakeServer } from "./harness.ts";

await describeWith(duckdbExtensions, "a lake", ({ folder: extensions }) => {
  const make = (settings: Readonly<Record<string, unknown>> = {}): Promise<LakeHarness> =>
    LakeHarness.make({ extensions, settings });

  test("shows what it held before: any snapshot can be read", async () => {
    await using harness = await make();
    await fill(harness, things, [[1n, "one", 1]]);
    const [before] = await harness.query("SELECT max(snapshot_id)::INTEGER AS id FROM ducklake_snapshots('copy')");
    await sync(harness, { tables: [things], kind: "window", sync: 2 }, [
      upsert(things, [1n, "uno", 2], [2n, "due", 2]),
    ]);
    const at = `SELECT id::INTEGER AS id, name FROM copy.s.things AT (VERSION => ${String(before!["id"])}) ORDER BY id`;
    expect(await harness.query(at)).toEqual([{ id: 1, name: "one" }]);
    expect(await live(harness, things)).toEqual([
      [1n, "uno", 2],
      [2n, "due", 2],
    ]);
  });

  test("merges small files where there are many, and shows the same before and after", async () => {
    await using harness = await make();
    await using other = await make({ merge_small_files: "never" });
    for (const lake of [harness, other]) {
      const pass = passOf("first", "full", [things], syncAt(1));
      await holding(lake, async (warehouse, lease) => {
        await transact(warehouse, lease, syncAt(1), (transaction) => transaction.open(pass));
        for (let id = 0; id < 70; id++) {
          await transact(warehouse, lease, syncAt(1), (transaction) =>
            transaction.write(pass, left(pass), upsert(things, [BigInt(id), "x", id])),
          );
        }
        await transact(warehouse, lease, syncAt(1), (transaction) => transaction.close(pass, statesOf(pass)));
      });
      expect(await live(lake, things)).toHaveLength(70);
    }
    const files = "SELECT count(*)::INTEGER AS n FROM ducklake_list_files('copy', 'things', schema => 's')";
    expect(await harness.query(files)).toEqual([{ n: 1 }]);
    expect(await other.query(files)).toEqual([{ n: 70 }]);
    await sync(harness, { tables: [things], kind: "window", sync: 2 }, [upsert(things, [7n, "seven", 2])]);
    expect((await live(harness, things)).filter(([, name]) => name === "seven")).toEqual([[7n, "seven", 2]]);
  });

  test("goes on after the maintenance that its page advises, inside a pass", async () => {
    await using harness = await make();
    const page = await readFile(new URL("../../../src/destinations/ducklake/README.md", import.meta.url), "utf8");
    const advised = page.match(/^CALL ducklake_[^;]+;/gm)!.map((sql) => sql.replaceAll("'lake'", "'copy'"));
    expect(advised).toHaveLength(5);
    const pass = passOf("long", "full", [things], syncAt(2));
    const progress = { pass: "long", split: "left", attempt: 1, state: { after: 1 }, done: false };
    await fill(harness, things, [
      [1n, "one", 1],
      [2n, "two", 1],
    ]);
    for (let version = 1; version <= 3; version++) {
      await holding(harness, async (warehouse, lease) => {
        await using transaction = await warehouse.begin(lease, syncAt(2));
        if (version === 1) await transaction.open(pass);
        await transaction.write(pass, left(pass), upsert(things, [BigInt(version), `version ${version}`, 2]));
        await transaction.commit([{ ...progress, version }]);
      });
      for (const sql of advised) await harness.tamper(sql.replace("INTERVAL 30 DAY", "INTERVAL 0 SECOND"));
      await holding(harness, async (warehouse) => {
        expect((await warehouse.load()).progress).toEqual([{ ...progress, version }]);
      });
    }
    await holding(harness, (warehouse, lease) =>
      transact(warehouse, lease, syncAt(2), (transaction) => transaction.close(pass, statesOf(pass))),
    );
    expect(await live(harness, things)).toEqual([1, 2, 3].map((id) => [BigInt(id), `version ${id}`, 2]));
  });

  test("takes texts and bytes for what they are, also as keys: with NUL, quotes, braces", async () => {
    await using harness = await make();
    const table = tableOf("keyed", { k: "STRING", b: "BINARY", n: "INT" }, ["k", "b"]);
    const texts = ["a\0b", "it's", "{SNAPSHOT}", "{snapshot_id}", '{"a": "{b}"}', "{0}", "%s $1", "\\", ""];
    const bytes = [new Uint8Array([255, 0]), Buffer.from("{SNAPSHOT_ID}")];
    const cells = texts.flatMap((text) => bytes.map((each) => [text, each, 1] as const));
    await fill(harness, table, cells);
    // One key alone: its bounds are all that could be looked for.
    for (const [index, [text, each]] of cells.entries()) {
      const changes = await sync(harness, { tables: [table], kind: "window", sync: index + 2 }, [
        upsert(table, [text, each, 2]),
      ]);
      expect(changes.get("keyed")).toEqual({ inserted: 0, updated: 1, deleted: 0 });
    }
    expect((await live(harness, table)).map(([, , n]) => n)).toEqual(cells.map(() => 2));
  });

  test("refuses a text or a name that DuckLake takes for a placeholder, and keeps the state of such a source", async () => {
    await using harness = await make();
    await fill(harness, things, [[1n, "one", 1]]);
    for (const text of ["{DATA_PATH}", "x {SNAPSHOT_ID}", `{"a": "{METADATA_CATALOG}"}`]) {
      const batch = [upsert(things, [2n, "fine", 1], [3n, text, 1])];
      const error = await rejectsWith(
        "VALUE_OUT_OF_RANGE",
        sync(harness, { tables: [things], kind: "window", sync: 2 }, batch),
      );
      expect(error.message).toContain('column "name"');
    }
    const named = tableOf("named", { id: "INT", "{AUTHOR}": "INT" }, ["id"]);
    await rejectsWith("VALUE_OUT_OF_RANGE", fill(harness, named, []), "{AUTHOR}");
    const setting = (given: Partial<DestinationContext>, name: string) =>
      rejectsWith("CONFIGURATION_INVALID", harness.open(given), name);
    await setting({ schema: "{DATA_PATH}" }, "schema");
    await setting({ connection: "of {SNAPSHOT_ID}" }, "connections");
    await setting({ systemColumnPrefix: "{AUTHOR}" }, "systemColumnPrefix");
    await setting({ rename: { things: "{DATA_PATH}" } }, "overrides.things.rename");
    const state = { after: ["{DATA_PATH}", "{SNAPSHOT_ID}"] };
    const pass = passOf("odd", "window", [things], syncAt(3));
    await holding(harness, async (warehouse, lease) => {
      await transact(warehouse, lease, syncAt(3), (transaction) => transaction.open(pass));
      await using transaction = await warehouse.begin(lease, syncAt(3));
      await transaction.commit([{ pass: "odd", split: "left", attempt: 1, version: 1, state, done: false }]);
    });
    await holding(harness, async (warehouse) => {
      expect((await warehouse.load()).progress.map((entry) => entry.state)).toEqual([state]);
    });
    expect(await live(harness, things)).toEqual([[1n, "one", 1]]);
  });

  test("leaves no log and no temporary folder behind", async () => {
    await using harness = await make();
    await fill(harness, things, [[1n, "one", 1]]);
    expect((await readdir(harness.folder)).sort()).toEqual(["copy.ducklake", "copy.ducklake.files"]);
  });

  test("is checked step by step", async () => {
    await using harness = await make();
    await using warehouse = await harness.open();
    const steps: string[] = [];
    for await (const { name, status } of warehouse.check(new AbortController().signal)) steps.push(`${name} ${status}`);
    expect(steps.slice(0, 2)).toEqual(["open ok", "write ok"]);
    expect(steps[2]).toMatch(/^room (ok|warning)$/);
    expect((await harness.files()).filter((file) => file.includes("check"))).toEqual([]);
  });

  test("that can't be opened says why", async () => {
    await using harness = await make();
    const open = (settings: object, how = { create: true }): Promise<unknown> =>
      definition.open(definition.configuration.parse({ ...harness.settings, ...settings }), context(), how);
    await rejectsWith("DESTINATION_UNUSABLE", open({ catalog: join(harness.folder, "no", "a.ducklake") }), "catalog");
    await rejectsWith("DESTINATION_EMPTY", open({}, { create: false }), "catalog");
    await rejectsWith("CONFIGURATION_INVALID", open({ extensions: join(harness.folder, "none") }), "extensions");
    const empty = join(harness.folder, "empty");
    await mkdir(empty);
    const missing = await rejectsWith("DESTINATION_UNUSABLE", open({ extensions: empty }), "ducklake.duckdb_extension");
    expect(missing.hint).toContain("duckdb-extension-ducklake==1.5.5");
    await rm(empty, { recursive: true });
    await fill(harness, things, [[1n, "one", 1]]);
    const moved = await rejectsWith("CONFIGURATION_INVALID", open({ data: join(harness.folder, "elsewhere") }), "data");
    expect(moved.message).toContain("copy.ducklake.files");
  });
});

await describeWith(lakeServer, "a lake whose catalog is in PostgreSQL", ({ extensions, server }) => {
  const make = (): Promise<LakeHarness> => LakeHarness.make({ extensions, server });

  test("refuses what conflicts with somebody else's change as something that may pass, and keeps nothing of it", async () => {
    await using harness = await make();
    await fill(harness, things, [
      [1n, "one", 1],
      [2n, "two", 1],
    ]);
    await holding(harness, async (warehouse, lease) => {
      const pass = passOf("window", "window", [things], syncAt(2));
      await transact(warehouse, lease, syncAt(2), (transaction) => transaction.open(pass));
      const write = async (meanwhile: () => Promise<void>): Promise<void> => {
        await using transaction = await warehouse.begin(lease, syncAt(2));
        await transaction.write(pass, left(pass), upsert(things, [1n, "uno", 2]));
        // It has written the row by now, and not only at its end.
        expect(await transaction.count(things)).toBe(2);
        await meanwhile();
        await transaction.commit([{ pass: "window", split: "left", attempt: 1, version: 1, state: null, done: true }]);
      };
      const conflict = write(() => harness.tamper("DELETE FROM s.things WHERE id = 1"));
      await rejectsWith("WRITE_CONFLICT", conflict, "conflict");
      expect((await warehouse.load()).progress).toEqual([]);
      await write(async () => {});
      await transact(warehouse, lease, syncAt(2), (transaction) => transaction.close(pass, statesOf(pass)));
    });
    expect(await live(harness, things)).toEqual([
      [1n, "uno", 2],
      [2n, "two", 1],
    ]);
  });

  test("is left by a writer whose session broke; one that came after it is not disturbed", async () => {
    await using harness = await make();
    await fill(harness, things, [[1n, "one", 1]]);
    await using first = await harness.open();
    const old = await first.acquire(holder);
    await using second = await harness.open();
    await rejectsWith("SYNC_RUNNING", second.acquire({ ...holder, pid: 43 }), "42");
    const pass = passOf("stale", "window", [things], syncAt(2));
    await transact(first, old, syncAt(2), (transaction) => transaction.open(pass));
    await using transaction = await first.begin(old, syncAt(2));
    await transaction.write(pass, left(pass), upsert(things, [1n, "stale", 2]));
    await runSql(
      server.connectionString,
      "SELECT pg_terminate_backend(pid, 60000) FROM pg_locks WHERE locktype = 'advisory' AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    );
    const lease = await second.acquire({ ...holder, pid: 43 });
    expect(lease).toBeGreaterThan(old);
    await rejectsWith("LEASE_LOST", transaction.commit([]));
    await transact(second, lease, syncAt(3), (next) => next.write(pass, left(pass), upsert(things, [1n, "newer", 3])));
    expect(await live(harness, things)).toEqual([[1n, "newer", 3]]);
  });

  test("that can't be reached or entered says why, without the password", async () => {
    await using harness = await make();
    const { host, port, user, database } = server;
    const open = (catalog: string, more: object = {}): Promise<unknown> =>
      definition.open(
        definition.configuration.parse({ ...harness.settings, catalog, password: "Geheim-123", ...more }),
        context(),
        { create: true },
      );
    const errors = [
      await rejectsWith("LOGIN_FAILED", open(`postgresql://${user}@${host}:${port}/${database}`)),
      await rejectsWith("CONNECTION_REFUSED", open(`postgresql://${user}@${host}:1/${database}`)),
      await rejectsWith(
        "DATABASE_UNKNOWN",
        open(`postgresql://${user}@${host}:${port}/nowhere`, { password: server.password }),
      ),
      await rejectsWith(
        "CONFIGURATION_INVALID",
        open(`postgresql://${user}@${host}:${port}/${database}`, { password: server.password, data: undefined }),
        "data",
      ),
    ];
    for (const { message, hint, cause } of errors) {
      expect(`${message} ${hint} ${String(cause)}`).not.toContain("Geheim-123");
      expect(`${message} ${hint} ${String(cause)}`).not.toContain(server.password);
    }
  });

  test("warns of a connection that is not encrypted", async () => {
    await using harness = await make();
    await using warehouse = await harness.open();
    const steps: string[] = [];
    for await (const { name, status } of warehouse.check(new AbortController().signal)) steps.push(`${name} ${status}`);
    expect(steps.slice(0, 3)).toEqual(["open ok", "tls warning", "write ok"]);
  });
});

describe("the configuration of the DuckLake destination", () => {
  test("comes from an address; a password in it becomes a setting of its own", () => {
    expect(definition.fromAddress("")).toEqual({});
    expect(definition.fromAddress("a b.ducklake")).toEqual({ catalog: "a b.ducklake" });
    expect(definition.fromAddress("postgresql://me:p%40ss@db:5433/lake?sslmode=require")).toEqual({
      catalog: "postgresql://me@db:5433/lake?sslmode=require",
      password: "p@ss",
    });
    expect(definition.configuration.parse({}).catalog).toBe("lake.ducklake");
  });

  test.each([
    [{ catalog: "" }, "catalog"],
    [{ catalog: "postgresql://db/lake" }, "postgresql://user@host"],
    [{ catalog: "postgresql://me:secret@db/lake" }, "set password instead"],
    [{ catalog: "postgresql://me@db/lake?sslmode=maybe" }, "sslmode"],
    [{ catalog: "postgresql://me@db/lake?user=x" }, "not user"],
    [{ s3_url_style: "host" }, "s3_url_style"],
    [{ memory_limit: "much" }, "memory_limit"],
    [{ path: "x" }, "path"],
  ])("%j is refused", (given, words) => {
    const { success, error } = definition.configuration.safeParse(given);
    expect(success).toBe(false);
    expect(JSON.stringify(error?.issues)).toContain(words);
    expect(JSON.stringify(error?.issues)).not.toContain("secret@");
  });

  test("describes each setting, and marks the secrets", () => {
    const secrets: string[] = [];
    for (const [name, setting] of Object.entries(definition.configuration.shape)) {
      expect(setting.meta()?.description, name).toBeTruthy();
      if (setting.meta()?.["secret"] === true) secrets.push(name);
    }
    expect(secrets).toEqual(["password", "s3_secret_access_key", "s3_session_token"]);
  });
});
