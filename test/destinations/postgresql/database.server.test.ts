import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { definition } from "../../../src/destinations/postgresql/index.ts";
import { asHeadwatersError } from "../../../src/protocol/errors.ts";
import type { CheckResult } from "../../../src/protocol/source.ts";
import {
  context,
  fill,
  holder,
  holding,
  left,
  live,
  passOf,
  some,
  sync,
  syncAt,
  tableOf,
  things,
  transact,
  upsert,
} from "../../conformance/destination/steps.ts";
import { startFront } from "../../servers/front.ts";
import { runSql, startPostgresql } from "../../servers/postgresql.ts";
import { describeWith } from "../../servers/require.ts";
import { PostgresqlHarness } from "./harness.ts";

const signal = new AbortController().signal;

await describeWith(startPostgresql, "a database of PostgreSQL", (server) => {
  const make = (settings: object = {}): PostgresqlHarness => new PostgresqlHarness(server, settings);

  describe("names", () => {
    test("longer than 63 bytes are cut, told apart by a hash, and known again", async () => {
      const long = "é".repeat(40);
      const columns = { id: "LONG", [`${long}1`]: "STRING", [`${long}2`]: "STRING" };
      const table = tableOf(`${long} of things`, columns, ["id"]);
      const twin = { ...table, id: `${long} of others` };
      await using harness = make();
      const warnings: string[] = [];
      const given = {
        schema: `${long} schema`,
        log: { ...context().log, warn: (text: string) => void warnings.push(text) },
      };
      for (const [n, kind] of [
        [1, "full"],
        [2, "full"],
        [3, "window"],
      ] as const) {
        const tables = [table, twin];
        await sync(
          harness,
          { tables, kind, sync: n, given },
          tables.map((each) => upsert(each, [1n, `one ${n}`, each.id])),
        );
      }
      const names = await harness.query("SELECT schema_name, table_name FROM _headwaters.copies ORDER BY id");
      for (const { schema_name, table_name } of names) {
        expect(Buffer.byteLength(schema_name!)).toBeLessThanOrEqual(63);
        expect(table_name).toMatch(/^é{27}_[0-9a-f]{8}$/);
        const rows = (await harness.readBack(schema_name!, table_name!))!;
        expect(rows.map((row) => Object.values(row).slice(0, 2))).toEqual([[1n, "one 3"]]);
      }
      expect(warnings).toHaveLength(6);
      expect(warnings[0]).toContain("longer than PostgreSQL's names");
    });

    test("of columns that PostgreSQL gives every table are refused", async () => {
      await using harness = make();
      const table = tableOf("things", { id: "INT", ctid: "STRING" }, ["id"]);
      await expect(fill(harness, table, [])).rejects.toMatchObject({
        code: "NAMES_COLLIDE",
        message: expect.stringContaining('"ctid"'),
      });
    });
  });

  describe("a text with U+0000", () => {
    const cells = [
      [1n, "a\0b", 1],
      [2n, "c", 1],
    ] as const;

    test("stops its table, and says what to do", async () => {
      await using harness = make();
      await expect(fill(harness, things, cells)).rejects.toMatchObject({
        code: "VALUE_OUT_OF_RANGE",
        message: expect.stringContaining('table "things", column "name"'),
        hint: expect.stringContaining("nul"),
      });
    });

    test("comes without it, where that was chosen; verify agrees", async () => {
      await using harness = make({ nul: "remove" });
      await fill(harness, things, cells);
      await sync(harness, { tables: [things], kind: "full", sync: 2 }, [upsert(things, ...cells)]);
      expect(await live(harness, things)).toEqual([
        [1n, "ab", 1],
        [2n, "c", 1],
      ]);
      await holding(harness, async (warehouse) => {
        await using comparison = await warehouse.compare(things);
        const operation = upsert(things, ...cells);
        if ("rows" in operation) await comparison.digest(operation.rows);
        expect((await comparison.digested()).differing).toBe(0);
      });
    });
  });

  test("a copy has a primary key, where its key can be one (case 27)", async () => {
    await using harness = make();
    const primary = async (table: string): Promise<readonly (string | null)[]> =>
      (
        await harness.query(
          `SELECT a.attname || CASE WHEN a.attnotnull THEN '' ELSE ' may be NULL' END AS name FROM pg_constraint c
            JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey)
            WHERE c.contype = 'p' AND c.conrelid = $1::regclass ORDER BY a.attnum`,
          [`s.${table}`],
        )
      ).map(({ name }) => name!);
    const keyed = tableOf("keyed", { a: "LONG", b: "STRING", v: "INT" }, ["a", "b"]);
    await fill(harness, keyed, [
      [1n, "x", 1],
      [1n, "x", 2],
      [2n, "y", 1],
    ]);
    expect(await primary("keyed")).toEqual(["a", "b"]);
    const one = { tables: [keyed], kind: "window" } as const;
    await sync(harness, { ...one, sync: 2 }, [
      some("delete", keyed, ["a", "b"], [1n, "x"]),
      upsert(keyed, [3n, "z", 1]),
    ]);
    await sync(harness, { ...one, sync: 3 }, [upsert(keyed, [1n, "x", 5])]);
    expect(await live(harness, keyed)).toEqual([
      [1n, "x", 5],
      [2n, "y", 1],
      [3n, "z", 1],
    ]);
    // A key column that the source dropped is emptied, though it was NOT NULL.
    const narrower = tableOf("keyed", { a: "LONG", v: "INT" }, ["a"]);
    await sync(harness, { tables: [narrower], kind: "full", sync: 4 }, [upsert(narrower, [1n, 5], [2n, 1], [3n, 1])]);
    expect(await primary("keyed")).toEqual(["a"]);
    expect(await live(harness, keyed)).toEqual([
      [1n, null, 5],
      [2n, null, 1],
      [3n, null, 1],
    ]);
    // A pass that replaces the copy, by another key.
    const replaced = tableOf("keyed", { a: "STRING", v: "INT" }, ["a"]);
    await sync(harness, { tables: [replaced], kind: "full", sync: 5, replace: true }, [upsert(replaced, ["k", 1])]);
    expect(await primary("keyed")).toEqual(["a"]);
    // Without a key, and where it may be NULL, there is none; a user's own stays.
    await fill(harness, tableOf("keyless", { v: "INT" }, []), [[1]]);
    expect(await primary("keyless")).toEqual([]);
    const loose = tableOf("loose", { a: "LONG", v: "INT" }, ["a"]);
    const nullable = { ...loose, columns: loose.columns.map((column) => ({ ...column, nullable: true })) };
    await fill(harness, nullable, [
      [null, 1],
      [1n, 1],
    ]);
    expect(await primary("loose")).toEqual([]);
  });

  describe("keys too long for a tree", () => {
    const pages = tableOf("pages", { site: "STRING", path: "BINARY", n: "INT" }, ["site", "path"]);
    // Nothing that could be compressed.
    const bytes = (length: number, seed: number): Uint8Array =>
      Buffer.concat(
        Array.from({ length: length / 32 + 1 }, (_, block) => createHash("sha256").update(`${seed} ${block}`).digest()),
      ).subarray(0, length);
    const indexes = (harness: PostgresqlHarness): Promise<Record<string, string | null>[]> =>
      harness.query("SELECT indexname AS name FROM pg_indexes WHERE schemaname = 's'");

    test("come in the first pass", async () => {
      await using harness = make();
      await fill(harness, pages, [
        ["a", bytes(9_000, 1), 1],
        ["a", bytes(9_000, 1), 2],
        ["b", bytes(10, 1), 1],
      ]);
      expect(await live(harness, pages, ["site", "n"])).toEqual([
        ["a", 2],
        ["b", 1],
      ]);
      expect(await indexes(harness)).toEqual([{ name: expect.stringMatching(/^_headwaters_probe_/) }]);
    });

    test("come later, by whatever kind of pass", async () => {
      await using harness = make();
      await fill(harness, pages, [["a", bytes(10, 1), 1]]);
      expect(await indexes(harness)).toEqual([{ name: expect.stringMatching(/^_headwaters_key_/) }]);
      await sync(harness, { tables: [pages], kind: "window", sync: 2 }, [upsert(pages, ["b", bytes(9_000, 2), 1])]);
      await sync(harness, { tables: [pages], kind: "full", sync: 3 }, [
        upsert(pages, ["a", bytes(10, 1), 1], ["b", bytes(9_000, 2), 2], ["c", bytes(9_000, 3), 1]),
      ]);
      await sync(harness, { tables: [pages], kind: "stream", sync: 4 }, [
        some("delete", pages, ["site", "path"], ["c", bytes(9_000, 3)]),
        some("update", pages, ["site", "path", "n"], ["b", bytes(9_000, 2), 7]),
      ]);
      expect(await live(harness, pages, ["site", "n"])).toEqual([
        ["a", 1],
        ["b", 7],
      ]);
      expect(await indexes(harness)).toEqual([{ name: expect.stringMatching(/^_headwaters_probe_/) }]);
    });
  });

  test("what a first pass left when it was abandoned has each key once, and the last row of it", async () => {
    await using harness = make();
    const pass = passOf("given up", "full", [things], syncAt(1));
    await holding(harness, async (warehouse, lease) => {
      for (const name of ["a", "b"]) {
        await transact(warehouse, lease, syncAt(1), async (transaction) => {
          await transaction.open(pass);
          await transaction.write(pass, left(pass), upsert(things, [1n, `${name} 1`, 1], [1n, `${name} 2`, 1]));
        });
      }
      await transact(warehouse, lease, syncAt(1), (transaction) => transaction.abandon(pass));
    });
    expect(await live(harness, things)).toEqual([[1n, "b 2", 1]]);
  });

  test("a column that a view uses can't be widened: it is said, and nothing is changed", async () => {
    await using harness = make();
    await fill(harness, things, [[1n, "one", 1]]);
    await harness.tamper("CREATE VIEW s.seen AS SELECT at FROM s.things");
    const wide = tableOf("things", { id: "LONG", name: "STRING", at: "LONG" }, ["id"]);
    const again = sync(harness, { tables: [wide], kind: "full", sync: 2 }, [upsert(wide, [1n, "one", 1n])]);
    await expect(again).rejects.toMatchObject({
      code: "DESTINATION_UNUSABLE",
      message: expect.stringContaining("view"),
    });
    expect(await live(harness, things)).toEqual([[1n, "one", 1]]);
  });

  test("of a newer Headwaters is refused", async () => {
    await using harness = make();
    await fill(harness, things, []);
    await harness.tamper("UPDATE _headwaters.format SET version = 99");
    await expect(harness.open()).rejects.toMatchObject({
      code: "DESTINATION_UNUSABLE",
      message: expect.stringContaining("newer Headwaters"),
    });
  });

  test("that takes no writes, or not every text, is refused", async () => {
    await using other = await server.createDatabase();
    const open = () => new PostgresqlHarness(other).open();
    await runSql(other.connectionString, `ALTER DATABASE ${other.database} SET default_transaction_read_only = on`);
    await expect(open()).rejects.toMatchObject({
      code: "DESTINATION_UNUSABLE",
      message: expect.stringContaining("no writes"),
    });
    const latin = `latin_${other.database}`;
    await runSql(server.connectionString, `CREATE DATABASE ${latin} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0`);
    try {
      const configuration = new PostgresqlHarness(server).settings({ database: latin });
      await expect(definition.open(configuration, context(), { create: true })).rejects.toMatchObject({
        code: "DESTINATION_UNUSABLE",
        message: expect.stringContaining("LATIN1"),
      });
    } finally {
      await runSql(server.connectionString, `DROP DATABASE ${latin}`);
    }
  });

  test("that is away once it was there is tried again; one that never was is down or a wrong setting (case 32)", async () => {
    await using harness = make();
    await using front = await startFront(server);
    const configuration = harness.settings({ port: front.port });
    await using warehouse = await definition.open(configuration, context(), { create: true });
    const lease = await warehouse.acquire(holder);
    await front.stop();
    const away = { code: "SERVER_UNAVAILABLE", remedy: "retry" };
    await expect.poll(() => warehouse.begin(lease, syncAt(1)).then(() => null, asHeadwatersError)).toMatchObject(away);
    const fresh = harness.settings({ port: front.port });
    await expect(definition.open(fresh, context(), { create: true })).rejects.toMatchObject({
      code: "CONNECTION_REFUSED",
      remedy: "retry",
    });
  });

  describe("the lease", () => {
    test("of a writer whose session broke is taken over, and what it had not committed does not come", async () => {
      await using harness = make();
      await fill(harness, things, [[1n, "one", 1]]);
      const pass = passOf("cut off", "window", [things], syncAt(2));
      await using first = await harness.open();
      const old = await first.acquire(holder);
      const transaction = await first.begin(old, syncAt(2));
      await transaction.open(pass);
      await transaction.write(pass, left(pass), upsert(things, [1n, "stale", 1]));
      expect(await first.count("things")).toBe(1);
      // The session that holds the lock; the one that writes goes on.
      const killed = await harness.query(
        "SELECT pg_terminate_backend(pid, 60000) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
      );
      expect(killed).toHaveLength(1);
      await using second = await harness.open();
      await expect.poll(() => second.acquire(holder).catch(() => null)).not.toBeNull();
      await expect(transaction.commit([])).rejects.toMatchObject({ remedy: "retry" });
      expect(await second.count("things")).toBe(1);
      expect(await live(harness, things)).toEqual([[1n, "one", 1]]);
    });

    test("outlives a session that broke in a transaction: the next one begins anew", async () => {
      await using harness = make();
      await fill(harness, things, [[1n, "one", 1]]);
      const pass = passOf("broken", "window", [things], syncAt(2));
      await holding(harness, async (warehouse, lease) => {
        const broken = await warehouse.begin(lease, syncAt(2));
        await broken.open(pass);
        await harness.query(
          "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND xact_start < now() AND pid <> pg_backend_pid()",
        );
        await expect(broken.write(pass, left(pass), upsert(things, [1n, "two", 1]))).rejects.toMatchObject({
          remedy: "retry",
        });
        await broken[Symbol.asyncDispose]();
        // The engine looks at what is durable before it goes on.
        expect((await warehouse.load()).tables.size).toBe(1);
        await transact(warehouse, lease, syncAt(2), async (transaction) => {
          await transaction.open(pass);
          await transaction.write(pass, left(pass), upsert(things, [1n, "three", 1]));
        });
      });
      expect(await live(harness, things)).toEqual([[1n, "three", 1]]);
    });

    test("that another has taken is refused within the commit, whatever was written before", async () => {
      await using harness = make();
      await fill(harness, things, [[1n, "one", 1]]);
      const pass = passOf("stale", "window", [things], syncAt(2));
      await holding(harness, async (warehouse, lease) => {
        await using transaction = await warehouse.begin(lease, syncAt(2));
        await transaction.open(pass);
        await transaction.write(pass, left(pass), upsert(things, [1n, "stale", 1]));
        await harness.tamper("UPDATE _headwaters.leases SET lease = lease + 1");
        await expect(transaction.commit([])).rejects.toMatchObject({ code: "LEASE_LOST" });
      });
      expect(await live(harness, things)).toEqual([[1n, "one", 1]]);
    });
  });

  describe("check", () => {
    const role = `writer_${server.database}`;
    const steps = async (more: object): Promise<CheckResult[]> => {
      const found: CheckResult[] = [];
      const configuration = new PostgresqlHarness(server).settings(more);
      for await (const step of definition.check!(configuration, context(), signal)) found.push(step);
      return found;
    };
    const ends = async (more: object): Promise<string> => {
      const last = (await steps(more)).at(-1)!;
      return `${last.name} ${last.status}: ${last.message}`;
    };
    const sql = (text: string): Promise<unknown> => runSql(server.connectionString, text);

    test("names the step that fails, and what to do", async () => {
      expect(await ends({ port: 1 })).toMatch(/^connect failed: port: nothing listens/);
      expect(await ends({ sslmode: "require" })).toMatch(/^tls failed: sslmode/);
      expect(await ends({ password: "wrong" })).toMatch(/^login failed: password/);
      expect(await ends({ database: "nowhere" })).toMatch(/^database failed: database/);
    });

    test("says of each privilege whether it is there, before the first row", async () => {
      await using harness = make();
      await sql(`CREATE ROLE ${role} LOGIN PASSWORD 'secret of it'`);
      const login = { user: role, password: "secret of it" };
      try {
        expect(await ends(login)).toMatch(/^bookkeeping failed: .*CREATE SCHEMA "_headwaters" AUTHORIZATION/);
        const opened = definition.open(harness.settings(login), context(), { create: true });
        await expect(opened).rejects.toMatchObject({
          code: "PRIVILEGE_MISSING",
          hint: expect.stringContaining("GRANT"),
        });
        await sql(`REVOKE TEMPORARY ON DATABASE ${server.database} FROM PUBLIC`);
        expect(await ends(login)).toMatch(/^temporary failed: .*GRANT TEMPORARY ON DATABASE/);
        await sql(`GRANT TEMPORARY ON DATABASE ${server.database} TO ${role}`);
        await sql(`CREATE SCHEMA _headwaters AUTHORIZATION ${role}`);
        expect(await ends(login)).toMatch(/^schema failed: .*CREATE SCHEMA "s" AUTHORIZATION/);
        await sql(`CREATE SCHEMA s AUTHORIZATION ${role}`);
        expect((await steps(login)).map(({ name, status }) => `${name} ${status}`)).toEqual([
          "connect ok",
          "tls warning",
          "login ok",
          "database ok",
          "version ok",
          "temporary ok",
          "bookkeeping ok",
          "schema ok",
          "copies ok",
        ]);
        expect(await harness.query("SELECT FROM pg_tables WHERE schemaname IN ('s', '_headwaters')")).toEqual([]);
        const own = new PostgresqlHarness(server, login);
        await fill(own, things, [[1n, "one", 1]]);
        await sql(`ALTER TABLE s.things OWNER TO ${server.user}`);
        expect(await ends(login)).toMatch(/^copies failed: .*ALTER TABLE s.things OWNER TO/);
      } finally {
        await sql(
          `DROP OWNED BY ${role} CASCADE; DROP ROLE ${role}; GRANT TEMPORARY ON DATABASE ${server.database} TO PUBLIC`,
        );
      }
    });
  });
});

describe("the configuration of the PostgreSQL destination", () => {
  const parsed = (address: string) => definition.configuration.parse(definition.fromAddress(address));

  test("comes from an address", () => {
    expect(parsed("//ann:p%40ss@db.example:6543/ware%20house?sslmode=verify-full&sslrootcert=system")).toEqual({
      host: "db.example",
      port: 6543,
      database: "ware house",
      user: "ann",
      password: "p@ss",
      sslmode: "verify-full",
      sslrootcert: "system",
      connect_timeout: 15,
      read_timeout: 60,
      nul: "error",
    });
    expect(parsed("//ann@[::1]/db")).toMatchObject({ host: "::1", port: 5432, sslmode: "prefer" });
    // As it comes out of a variable: `@`, `/` and `%` need not be written as in a URL.
    expect(parsed("//ann:p@/s%s@db/d")).toMatchObject({ user: "ann", password: "p@/s%s", host: "db", database: "d" });
  });

  test("has its password from PGPASSWORD, where the address has none", () => {
    const before = process.env["PGPASSWORD"];
    process.env["PGPASSWORD"] = "50%25";
    try {
      expect(parsed("//ann@db/d").password).toBe("50%25");
      expect(parsed("//ann:own@db/d").password).toBe("own");
    } finally {
      if (before === undefined) delete process.env["PGPASSWORD"];
      else process.env["PGPASSWORD"] = before;
    }
  });

  test.each([
    [{ user: "ann" }, "database"],
    [{ user: "ann", database: "d", port: 0 }, "port"],
    [{ user: "ann", database: "d", sslmode: "on" }, "sslmode"],
    [{ user: "ann", database: "d", nul: "keep" }, "nul"],
    [{ user: "ann", database: "d", schema: "s" }, "schema"],
  ])("%j is refused", (given, name) => {
    const { success, error } = definition.configuration.safeParse(given);
    expect(success).toBe(false);
    expect(JSON.stringify(error?.issues)).toContain(name);
  });

  test("describes each setting, and says which are secret", () => {
    const settings = Object.entries(definition.configuration.shape);
    for (const [, setting] of settings) expect(setting.meta()?.description).toBeTruthy();
    const secrets = settings.filter(([, setting]) => setting.meta()?.["secret"] === true).map(([name]) => name);
    expect(secrets).toEqual(["password", "sslkey"]);
    expect(() => definition.fromAddress("not an address")).toThrow("address");
  });
});
