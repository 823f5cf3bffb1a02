import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import process from "node:process";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { exportState, importState } from "../../src/engine/commands/state.ts";
import { parseStateDocument, stateJson } from "../../src/engine/state-document.ts";
import { definition } from "../../src/sources/yugabytedb/index.ts";
import { built } from "../built.ts";
import { Copy } from "../engine/harness.ts";
import { type PostgresqlServer, runSql, startPostgresql } from "../servers/postgresql.ts";
import { describeWith } from "../servers/require.ts";
import { openSource } from "../sources/postgresql/harness.ts";
import { PythonClient, type UpdateCall, type Updated } from "./client.ts";
import { ServeProcess } from "./serve-process.ts";
import { serve, type Serving } from "./serving.ts";

const client = await PythonClient.start().catch((error: Error) => error);

await describeWith(
  async () => {
    if (client instanceof Error) throw client;
    return startPostgresql();
  },
  "Fivetran, where something is wrong",
  (server) => suite(server, client as PythonClient),
);

function suite(server: PostgresqlServer, python: PythonClient): void {
  const password = "a secret of our own";
  let serving: Serving;
  let copy: string;

  beforeAll(async () => {
    serving = await serve(definition);
  });

  afterAll(async () => {
    await serving[Symbol.asyncDispose]();
  });

  beforeEach(async () => {
    copy = python.newCopy();
    await sql(`DROP SCHEMA public CASCADE; CREATE SCHEMA public;
      CREATE TABLE devices (id int PRIMARY KEY, name text, secret text, updated_at timestamptz DEFAULT now());
      INSERT INTO devices SELECT n, 'device ' || n, 'secret ' || n FROM generate_series(1, 300) n;
      CREATE TABLE notes (id int PRIMARY KEY, text text);
      INSERT INTO notes VALUES (1, 'one'), (2, 'two')`);
  });

  async function sql(text: string): Promise<Record<string, string>[]> {
    return runSql<Record<string, string>>(server.connectionString, text);
  }

  function configuration(more: Readonly<Record<string, string>> = {}): Record<string, string> {
    const { host, port, database, user } = server;
    return { host, port: String(port), database, user, password: server.password, lag: "0", ...more };
  }

  function sync(state: string | null, more: Partial<UpdateCall> = {}): Promise<Updated> {
    return python.update(copy, { address: serving.address, configuration: configuration(), state, ...more });
  }

  async function ids(table: string): Promise<unknown[]> {
    return (await python.rows(copy, `public.${table}`)).map(({ id }) => id![1]);
  }

  test("what the user must mend is a task, without the secret", async () => {
    const cases: readonly [Record<string, string>, string][] = [
      [{ host: "" }, "host is missing"],
      [{ port: "many" }, 'port must be a whole number from 1 to 65535, not "many"'],
      [{ pasword: "x" }, "pasword is not a setting. (CONFIGURATION_INVALID). Did you mean password?"],
      [{ deletes: "sometimes" }, "deletes must be one of auto, each_sync, daily, weekly, never"],
      [{ max_delete_fraction: "60%" }, 'max_delete_fraction must be a number from 0 to 1, not "60%"'],
      [{ checkpoint_interval: "0" }, "checkpoint_interval must be a whole number from 1 on"],
      [{ user: "nobody", password }, "LOGIN_FAILED"],
      [{ database: "nothing" }, "DATABASE_UNKNOWN"],
      [{ schema: "nowhere" }, "SCHEMA_UNKNOWN"],
    ];
    for (const [wrong, said] of cases) {
      const { task, code, messages } = await sync(null, { configuration: configuration(wrong) });
      expect(task, JSON.stringify(wrong)).toContain(said);
      expect({ code, messages }).toEqual({ code: "OK", messages: 1 });
      const schema = await python.call({
        call: "schema",
        address: serving.address,
        configuration: configuration(wrong),
      });
      expect(schema).toMatchObject({ code: "FAILED_PRECONDITION", details: expect.stringContaining(said) });
      const tested = {
        call: "test",
        name: "privileges",
        address: serving.address,
        configuration: configuration(wrong),
      };
      expect(await python.call(tested)).toMatchObject({ failure: expect.any(String) });
    }
    expect(JSON.stringify(serving.lines)).not.toContain(password);
    for (const line of serving.lines) {
      expect(JSON.parse(line)).toEqual({
        level: expect.stringMatching(/^(INFO|WARNING|SEVERE)$/),
        message: expect.any(String),
        "message-origin": "sdk_connector",
      });
    }
  });

  test("a server that does not answer is told by the status, so that it is tried again later", async () => {
    const silent = createServer().listen(0, "127.0.0.1");
    await once(silent, "listening");
    const { port } = silent.address() as AddressInfo;
    try {
      const { code, details, task } = await sync(null, {
        configuration: configuration({ port: String(port), connect_timeout: "1" }),
      });
      expect({ code, task }).toEqual({ code: "UNAVAILABLE", task: null });
      expect(details).toContain("CONNECTION_TIMEOUT");
    } finally {
      silent.close();
    }
  });

  test("only what is selected is sent; what is selected again is read fully", async () => {
    const columns = { id: false, name: true, secret: false, updated_at: false };
    const selection = { public: { devices: columns } };
    const first = await sync(null, { selection });
    expect(first.counts).toMatchObject({ upsert: 300 });
    expect((await python.columns(copy, "public.devices"))?.map(([name]) => name)).toEqual(["id", "name"]);
    expect(await python.columns(copy, "public.notes")).toBeNull();

    await sql("UPDATE devices SET name = 'renamed', updated_at = now() WHERE id = 7");
    const windows = { selection, configuration: configuration({ deletes: "never" }) };
    const second = await sync(first.state, windows);
    expect(second).toMatchObject({ task: null, counts: { upsert: 1, truncate: 0 } });
    expect(JSON.stringify(await python.rows(copy, "public.devices"))).not.toContain("secret");

    const third = await sync(second.state);
    expect(third.counts).toMatchObject({ upsert: 302, truncate: 1 });
    expect((await python.rows(copy, "public.devices"))[0]).toHaveProperty("secret");

    const none = await sync(third.state, { selection: { public: {} } });
    expect(none.task).toContain("Select at least one table in Fivetran");
  });

  test("a column that is new is described before its rows, and fills all of them", async () => {
    const first = await sync(null);
    await sql("ALTER TABLE devices ADD COLUMN place text DEFAULT 'here', ADD COLUMN at time DEFAULT '12:30'");
    const second = await sync(first.state);
    expect(second.counts).toMatchObject({ upsert: 300, truncate: 0 });
    expect(await python.columns(copy, "public.devices")).toContainEqual(["at", "STRING", false, 0, 0]);
    expect((await python.rows(copy, "public.devices"))[0]).toMatchObject({
      place: ["string", "here"],
      at: ["string", "12:30:00.000000"],
    });
  });

  test("a value that can't be sent stops its table, not the others, and is a task", async () => {
    await sql("INSERT INTO devices VALUES (0, 'eternal', '', 'infinity')");
    const { task, warnings, state } = await sync(null);
    expect(task).toContain('table "devices": column "updated_at"');
    expect(warnings).toEqual([]);
    expect(await ids("notes")).toEqual([1, 2]);
    await sql("UPDATE devices SET updated_at = now() WHERE id = 0");
    expect(await sync(state)).toMatchObject({ task: null });
    expect((await ids("devices")).length).toBe(301);
  });

  test("a source that shows no row any more does not empty the copy, until it is re-synced (case 45)", async () => {
    const large = configuration({ deletes: "each_sync" });
    const first = await sync(null, { configuration: large });
    await sql("DELETE FROM devices; DELETE FROM notes");
    const second = await sync(first.state, { configuration: large });
    expect(second.task).toContain("re-sync the connection in Fivetran");
    expect(second.counts).toMatchObject({ delete: 0, truncate: 0 });
    expect((await ids("devices")).length).toBe(300);
    await sync("", { configuration: large });
    expect(await ids("devices")).toEqual([]);
  });

  test("another source, or a state that is damaged, is not taken for the old one", async () => {
    const first = await sync(null);
    const other = await server.createDatabase();
    try {
      await runSql(
        other.connectionString,
        "CREATE TABLE devices (id int PRIMARY KEY); CREATE TABLE notes (id int PRIMARY KEY)",
      );
      const moved = await sync(first.state, { configuration: configuration({ database: other.database }) });
      expect(moved.task).toContain("re-sync the connection in Fivetran");
      expect(moved.counts).toMatchObject({ delete: 0, truncate: 0 });
    } finally {
      await other[Symbol.asyncDispose]();
    }
    expect((await sync("{")).task).toContain("the state is not JSON");
    expect((await sync('{"version": 9}')).task).toContain("version 9");
    expect((await ids("devices")).length).toBe(300);
  });

  test("a table without a key is replaced with each sync", async () => {
    await sql("CREATE TABLE plain (value int); INSERT INTO plain VALUES (1), (2), (3)");
    const selection = { public: { plain: true } } as const;
    const { state } = await sync(null, { selection });
    await sql("DELETE FROM plain WHERE value = 2; INSERT INTO plain VALUES (4)");
    const { counts } = await sync(state, { selection });
    expect(counts).toMatchObject({ truncate: 1, upsert: 3 });
    expect((await python.rows(copy, "public.plain")).map(({ value }) => value![1])).toEqual([1, 3, 4]);
  });

  test("a row of many megabytes arrives where the client takes it, and else is told by the status", async () => {
    await sql("INSERT INTO notes VALUES (3, repeat('x', 9000000))");
    expect(await sync(null)).toMatchObject({ code: "RESOURCE_EXHAUSTED" });
    const { code, state } = await sync(null, { mostMessageBytes: 64 << 20 });
    expect(code).toBe("OK");
    expect((await python.rows(copy, "public.notes")).map(({ text }) => String(text![1]).length)).toEqual([
      3, 3, 9_000_000,
    ]);
    expect(state!.length).toBeLessThan(20_000);
  });

  test("a client that goes away leaves no connection behind", async () => {
    await sql("INSERT INTO devices SELECT n, repeat('wide ', 200) FROM generate_series(1000, 30000) n");
    for (const messages of [1, 3, 20]) await sync(null, { messages });
    const open =
      "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'headwaters'";
    await expect.poll(async () => (await sql(open))[0]!["count"], { timeout: 10_000 }).toBe("0");
  });

  test("a state is carried here, and back again: only what changed is read", async () => {
    await using folder = await Copy.make();
    await using source = await openSource(server, { lag: "0" });
    const scope = definition.scope(definition.configuration.parse(configuration()));
    const windows = { scope, settings: { deletes: "never" } } as const;
    const selection = { public: { devices: true } } as const;
    await folder.sync(source, windows);
    const exported = await (async () => {
      await using warehouse = await folder.open();
      return await exportState(warehouse, definition.name);
    })();
    await sql("UPDATE devices SET name = 'changed', updated_at = now() WHERE id < 4");
    const { task, counts, state } = await sync(JSON.stringify(stateJson(exported)), { selection });
    expect({ task, counts }).toMatchObject({ task: null, counts: { upsert: 3, truncate: 0, delete: 0 } });

    await sql("UPDATE devices SET name = 'changed again', updated_at = now() WHERE id = 9");
    {
      await using warehouse = await folder.open();
      const connection = folder.connection(source, warehouse, windows);
      expect(await importState(connection, parseStateDocument(state, definition), [])).toEqual(["devices"]);
    }
    const { tables } = await folder.sync(source, windows);
    const devices = tables.find(({ table }) => table === "devices");
    expect(devices).toMatchObject({ passes: ["window"], outcome: "whole", inserted: 0, updated: 1 });
  });

  test("a slow reader slows the source down: memory does not grow with what waits", async () => {
    await sql("INSERT INTO devices SELECT n, repeat(md5(n::text), 200) FROM generate_series(1000, 40000) n");
    await using spawned = await ServeProcess.start(process.execPath, [built("cli/main.js"), "serve", "yugabytedb"]);
    const slow = { address: spawned.address, selection: { public: { devices: true } }, pause: 0.05 } as const;
    const early = await sync(null, { ...slow, messages: 30 });
    expect(early.messages).toBe(30);
    const before = await peakBytes(spawned.pid);
    await sync(null, { ...slow, messages: 120 });
    // The table has 250 MB: had it been read ahead, four times as long a wait would show it.
    if (before !== null) expect((await peakBytes(spawned.pid))! - before).toBeLessThan(100 << 20);
  });

  test("a server that is stopped sends a last checkpoint, and the sync goes on from there", async () => {
    await sql("INSERT INTO devices SELECT n, repeat('wide ', 100) FROM generate_series(1000, 40000) n");
    const spawned = await ServeProcess.start(process.execPath, [built("cli/main.js"), "serve", "yugabytedb"]);
    const call = sync(null, { address: spawned.address, pause: 0.01 });
    await expect.poll(() => spawned.lines.join("\n"), { timeout: 20_000 }).toContain("begins a full pass");
    expect(await spawned.stop()).toBe(0);
    const stopped = await call;
    expect(stopped).toMatchObject({ code: "UNAVAILABLE", details: expect.stringContaining("stopping") });
    expect(await sync(stopped.state)).toMatchObject({ code: "OK", task: null });
    expect((await ids("devices")).length).toBe(39_301);
  });
}

/** The most resident memory that a process held; on Linux. */
async function peakBytes(pid: number): Promise<number | null> {
  if (process.platform !== "linux") return null;
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)![1]) * 1_024;
}
