import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, readdir, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { describe, expect, test } from "vitest";
import { definition } from "../../../src/destinations/duckdb/index.ts";
import {
  context,
  fill,
  holder,
  holding,
  left,
  live,
  passOf,
  rows,
  statesOf,
  syncAt,
  things,
  transact,
  upsert,
} from "../../conformance/destination/steps.ts";
import { DuckdbHarness } from "./harness.ts";

/** Another process that does something with a file of DuckDB and then waits to be killed. */
async function another(path: string, sql: string): Promise<ChildProcess> {
  const script = `
    const duckdb = require("@duckdb/node-bindings");
    (async () => {
      // Held for good: a connection that is collected gives the file back.
      const connection = (globalThis.held = await duckdb.connect(await duckdb.open(${JSON.stringify(path)})));
      for (const statement of ${JSON.stringify(sql.split(";"))}) await duckdb.query(connection, statement);
      process.stdout.write("ready");
      setInterval(() => {}, 1000);
    })();`;
  const child = spawn(process.execPath, ["-e", script], { cwd: import.meta.dirname });
  await once(child.stdout, "data");
  return child;
}

async function killed(child: ChildProcess): Promise<void> {
  child.kill("SIGKILL");
  await once(child, "exit");
}

describe("a DuckDB file", () => {
  test("that another process has open is refused, with its number", async () => {
    await using harness = await DuckdbHarness.make();
    await fill(harness, things, [[1n, "one", 1]]);
    const child = await another(harness.path, "SELECT 1");
    try {
      await expect(harness.open()).rejects.toMatchObject({
        code: "DESTINATION_BUSY",
        message: expect.stringContaining(`process ${child.pid}`),
      });
    } finally {
      await killed(child);
    }
    expect(await live(harness, things)).toHaveLength(1);
  });

  test("whose writer was killed is taken over, and what it had not committed is gone", async () => {
    await using harness = await DuckdbHarness.make();
    await fill(harness, things, [[1n, "one", 1]]);
    const taken = "UPDATE _headwaters.leases SET lease = 77, held = TRUE, pid = 1";
    await killed(await another(harness.path, `${taken}; BEGIN; DELETE FROM s.things; CREATE TABLE s.half (a INTEGER)`));
    await holding(harness, async (warehouse, lease) => {
      expect(lease).toBe(78);
      expect(await warehouse.count("things")).toBe(1);
    });
    expect(await harness.readBack("s", "half")).toBeNull();
  });

  test("is one, by whatever path it is opened", async () => {
    await using harness = await DuckdbHarness.make();
    const link = join(harness.folder, "link.duckdb");
    await fill(harness, things, []);
    await symlink(harness.path, link);
    await using first = await harness.open();
    const open = (path: string) =>
      definition.open(definition.configuration.parse({ path }), context(), { create: true });
    await using second = await open(link);
    await using third = await open(join(harness.folder, ".", "copy.duckdb"));
    await first.acquire(holder);
    await expect(second.acquire(holder)).rejects.toMatchObject({ code: "SYNC_RUNNING" });
    await expect(third.acquire(holder)).rejects.toMatchObject({ code: "SYNC_RUNNING" });
  });

  test("keeps every row of two warehouses that write into it in turns", async () => {
    await using harness = await DuckdbHarness.make();
    const inTurns = ["one", "two"].map(async (connection) => {
      for (let round = 0; round < 5; round++) {
        await fill(harness, { ...things, id: `${connection} ${round}` }, [[1n, "x", 1]], {
          connection,
          schema: connection,
        });
      }
    });
    await Promise.all(inTurns);
    const [row] = await harness.query("SELECT count(*)::INTEGER AS n FROM _headwaters.tables");
    expect(row).toEqual({ n: 10 });
  });

  test("is whole when it is closed: no log is left beside it, no temporary folder, no stage", async () => {
    await using harness = await DuckdbHarness.make({ memory_limit: "32MB" });
    const cells = Array.from({ length: 100_000 }, (_, id) => [BigInt(id), `thing ${id} ${"x".repeat(60)}`, id]);
    const batch = { kind: "upsert", table: "things", rows: rows(things, cells) } as const;
    for (const n of [1, 2]) {
      const pass = passOf(`pass ${n}`, "full", [things], syncAt(n));
      await holding(harness, async (warehouse, lease) => {
        await transact(warehouse, lease, syncAt(n), (transaction) => transaction.open(pass));
        await transact(warehouse, lease, syncAt(n), (transaction) => transaction.write(pass, left(pass), batch));
        await transact(warehouse, lease, syncAt(n), (transaction) => transaction.close(pass, statesOf(pass)));
      });
      expect(await readdir(harness.folder)).toEqual(["copy.duckdb"]);
    }
    const tables = await harness.query("SELECT table_name FROM duckdb_tables() WHERE starts_with(table_name, 'stage')");
    expect(tables).toEqual([]);
  });

  test("of a newer Headwaters is refused", async () => {
    await using harness = await DuckdbHarness.make();
    await fill(harness, things, []);
    await harness.tamper("UPDATE _headwaters.format SET version = 99");
    await expect(harness.open()).rejects.toMatchObject({
      code: "DESTINATION_UNUSABLE",
      message: expect.stringContaining("newer Headwaters"),
    });
  });

  test("that is none, or can't be one, is refused and left as it is", async () => {
    await using harness = await DuckdbHarness.make();
    const open = (path: string) =>
      definition.open(definition.configuration.parse({ path }), context(), { create: true });
    const text = join(harness.folder, "text.duckdb");
    await writeFile(text, "not a database ".repeat(1_000));
    await expect(open(text)).rejects.toMatchObject({ code: "DESTINATION_UNUSABLE" });
    expect((await stat(text)).size).toBe(15_000);
    const folder = join(harness.folder, "folder.duckdb");
    await mkdir(folder);
    await expect(open(folder)).rejects.toMatchObject({ code: "DESTINATION_UNUSABLE" });
    const nowhere = join(harness.folder, "nowhere", "copy.duckdb");
    await expect(open(nowhere)).rejects.toMatchObject({
      code: "DESTINATION_UNUSABLE",
      message: expect.stringContaining("folder"),
      hint: expect.stringContaining("Make the folder"),
    });
    expect(existsSync(nowhere)).toBe(false);
  });

  test("is checked step by step", async () => {
    await using harness = await DuckdbHarness.make();
    await using warehouse = await harness.open();
    const steps: string[] = [];
    for await (const { name, status } of warehouse.check(new AbortController().signal)) steps.push(`${name} ${status}`);
    expect(steps.slice(0, 2)).toEqual(["open ok", "write ok"]);
    expect(steps[2]).toMatch(/^room (ok|warning)$/);
  });

  test("may have any name, also one of a schema in it", async () => {
    await using harness = await DuckdbHarness.make();
    for (const name of ["s.duckdb", "_headwaters.duckdb", "temp.duckdb", "main.duckdb", 'it\'s "a" file']) {
      const path = join(harness.folder, name);
      // A new file that is called as the schema is refused (case 33).
      (await DuckDBInstance.create(path)).closeSync();
      await using warehouse = await definition.open(definition.configuration.parse({ path }), context(), {
        create: true,
      });
      const lease = await warehouse.acquire(holder);
      for (const kind of ["full", "full", "window", "keys"] as const) {
        const pass = passOf("pass", kind, [things], syncAt(1));
        await transact(warehouse, lease, syncAt(1), async (transaction) => {
          await transaction.open(pass);
          await transaction.write(pass, left(pass), upsert(things, [1n, "one", 1]));
          await transaction.close(pass, statesOf(pass));
        });
      }
      expect(await warehouse.count("things"), name).toBe(1);
    }
  });
});

describe("the configuration of the DuckDB destination", () => {
  test("comes from an address", () => {
    expect(definition.configuration.parse(definition.fromAddress("a b.duckdb"))).toEqual({
      path: "a b.duckdb",
      memory_limit: "192MB",
    });
    expect(definition.configuration.parse(definition.fromAddress("")).path).toBe("warehouse.duckdb");
  });

  test.each([
    [{ path: "" }, "path"],
    [{ path: ":memory:" }, "path"],
    [{ memory_limit: "much" }, "memory_limit"],
    [{ threads: "none" }, "threads"],
    [{ threads: 0 }, "threads"],
    [{ thread: 1 }, "thread"],
  ])("%j is refused", (given, name) => {
    const { success, error } = definition.configuration.safeParse(given);
    expect(success).toBe(false);
    expect(JSON.stringify(error?.issues)).toContain(name);
  });

  test("takes numbers as text, and describes each setting", () => {
    expect(definition.configuration.parse({ threads: "2" }).threads).toBe(2);
    for (const setting of Object.values(definition.configuration.shape))
      expect(setting.meta()?.description).toBeTruthy();
  });
});
