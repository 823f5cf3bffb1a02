import { describe, expect, test } from "vitest";
import { verify } from "../../src/engine/commands/verify.ts";
import { type Connection, defaultSettings, type Settings } from "../../src/engine/connection.ts";
import { sync } from "../../src/engine/run/sync.ts";
import type { Log } from "../../src/protocol/log.ts";
import type { RunRecord, TableRun } from "../../src/protocol/state-store.ts";
import { definition as postgresql } from "../../src/sources/postgresql/index.ts";
import type { Cell } from "../../src/toolkit/vectors.ts";
import type { DestinationHarness } from "../conformance/destination/steps.ts";
import { DuckdbHarness } from "../destinations/duckdb/harness.ts";
import { LakeHarness } from "../destinations/ducklake/harness.ts";
import { PostgresqlHarness } from "../destinations/postgresql/harness.ts";
import { duckdbExtensions } from "../servers/duckdb-extensions.ts";
import { type PostgresqlServer, runSql, startPostgresql } from "../servers/postgresql.ts";
import { describeWith } from "../servers/require.ts";

const signal = new AbortController().signal;
const long = { timeout: 120_000 };

/** What a sync is made with, where it is not the default. */
interface Given {
  readonly settings?: Partial<Settings>;
  readonly types?: "exact" | "example";
}

/** A connection from a database to a destination: its copies lie in the schema `name`. */
class Link {
  readonly warnings: string[] = [];
  readonly #server: PostgresqlServer;
  readonly #harness: DestinationHarness;
  readonly #name: string;

  constructor(server: PostgresqlServer, harness: DestinationHarness, name = "kept") {
    this.#server = server;
    this.#harness = harness;
    this.#name = name;
  }

  sync(given: Given = {}): Promise<RunRecord> {
    return this.#connected(given, (connection) => sync(connection, { signal, acceptDeletes: true }, () => {}));
  }

  /** Syncs, and expects success. Resolves to what was done to the first table. */
  async synced(given: Given = {}): Promise<TableRun> {
    const { outcome, tables } = await this.sync(given);
    if (outcome !== "succeeded") throw new Error(JSON.stringify(tables));
    return tables[0]!;
  }

  /** Syncs, and resolves to the kinds of the passes that were made. */
  async passes(given: Given = {}): Promise<readonly string[]> {
    return (await this.synced(given)).passes;
  }

  verdict(given: Given = {}): Promise<string> {
    return this.#connected(given, async (connection) => (await verify(connection, { signal }, () => {})).verdict);
  }

  /** The live rows of a copy without the columns that we add, in the order of their text. */
  async rows(table = "t"): Promise<readonly Readonly<Record<string, Cell>>[]> {
    const rows = (await this.#harness.readBack(this.#name, table)) ?? [];
    return rows
      .filter((row) => row["_headwaters_deleted"] !== true)
      .map((row) => Object.fromEntries(Object.entries(row).filter(([name]) => !name.startsWith("_headwaters"))))
      .sort((a, b) => (shown(a) < shown(b) ? -1 : 1));
  }

  async #connected<Result>(
    { settings, types = "exact" }: Given,
    work: (connection: Connection) => Promise<Result>,
  ): Promise<Result> {
    const log: Log = { debug: () => {}, info: () => {}, warn: (message) => this.warnings.push(message) };
    const { host, port, user, password, database } = this.#server;
    const configuration = postgresql.configuration.parse({ host, port, user, password, database, sslmode: "disable" });
    await using source = await postgresql.open(configuration, { log, tables: {}, types, signal });
    await using warehouse = await this.#harness.open({ log, connection: this.#name, schema: this.#name });
    return await work({
      name: this.#name,
      source,
      capabilities: postgresql.capabilities,
      warehouse,
      scope: postgresql.scope(configuration),
      selection: { include: [], exclude: [] },
      settings: { ...defaultSettings, maxDeleteFraction: 1, ...settings },
      log,
    });
  }
}

function shown(row: Readonly<Record<string, Cell>>): string {
  return JSON.stringify(row, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value));
}

const destinations: readonly (readonly [string, (server: PostgresqlServer) => Promise<DestinationHarness>])[] = [
  ["DuckDB", () => DuckdbHarness.make()],
  ["DuckLake", async () => LakeHarness.make({ extensions: (await duckdbExtensions()).folder })],
  ["PostgreSQL", async (server) => new PostgresqlHarness(await server.createDatabase())],
];

await describeWith(startPostgresql, "values, from PostgreSQL to each destination", (server) => {
  /** A database with these tables, and a place for copies. */
  async function made(make: (typeof destinations)[number][1], sql: string) {
    const database = await server.createDatabase();
    const harness = await make(server);
    await runSql(database.connectionString, sql);
    return {
      link: new Link(database, harness),
      harness,
      change: (text: string) => runSql(database.connectionString, text),
      /** What a first sync of the source as it is now gives. */
      async fresh(given: Given = {}): Promise<readonly Readonly<Record<string, Cell>>[]> {
        const link = new Link(database, harness, "fresh");
        await link.synced(given);
        return link.rows();
      },
      async [Symbol.asyncDispose]() {
        await harness[Symbol.asyncDispose]();
        await database[Symbol.asyncDispose]();
      },
    };
  }

  describe.each(destinations)("keys that are equal and written otherwise, in %s", (_, make) => {
    test("a key takes its other form, and goes back (cases 8 and 10)", long, async () => {
      const forms = [
        ["interval", "1 mon", "30 days"],
        ["numeric", "1.0", "1.000"],
        ["jsonb", "1.50", "1.5"],
        ["float8[]", "{-0,1}", "{0,1}"],
        ["float8", "-0", "0"],
        ["numrange", "[1.0,2)", "[1.00,2)"],
        ['text COLLATE "ci"', "abc", "ABC"],
      ] as const;
      const tables = forms.flatMap(([type, one], index) => [
        `CREATE TABLE whole_${index} (k ${type} PRIMARY KEY, v int); INSERT INTO whole_${index} VALUES ('${one}', 1)`,
        `CREATE TABLE swept_${index} (k ${type} PRIMARY KEY, v int, updated_at timestamptz DEFAULT now());
          INSERT INTO swept_${index} VALUES ('${one}', 1)`,
      ]);
      await using place = await made(
        make,
        ["CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false)", ...tables].join(
          ";",
        ),
      );
      const { link, change } = place;
      const settings = { deletes: "each_sync" } as const;
      await link.synced({ settings });
      for (const way of [2, 1] as const) {
        for (const [index, form] of forms.entries())
          await change(
            `UPDATE whole_${index} SET k = '${form[way]}'; UPDATE swept_${index} SET k = '${form[way]}', updated_at = now()`,
          );
        expect((await link.sync({ settings })).tables.filter(({ error }) => error !== null)).toEqual([]);
        for (const index of forms.keys())
          for (const table of [`whole_${index}`, `swept_${index}`]) expect(await link.rows(table)).toHaveLength(1);
        expect(await link.verdict({ settings })).toBe("CONVERGED");
      }
    });
  });

  describe("what makes a sync read every row", () => {
    const make = destinations[0]![1];
    test("another shape of a type brings a full read, in that sync (case 28)", long, async () => {
      await using place = await made(
        make,
        `CREATE TYPE inner_part AS (n int); CREATE TYPE part AS (a int, b inner_part); CREATE DOMAIN parts AS part[];
          CREATE TYPE mood AS ENUM ('sad', 'happy'); CREATE DOMAIN feeling AS mood;
          CREATE TABLE t (id int PRIMARY KEY, p parts, m mood, f feeling[], updated_at timestamptz DEFAULT now());
          INSERT INTO t SELECT i, ARRAY[ROW(i, ROW(i))]::part[], 'sad', '{happy}' FROM generate_series(1, 3) i`,
      );
      const { link, change, fresh } = place;
      expect(await link.passes()).toEqual(["full"]);
      for (const altered of [
        "ALTER TYPE inner_part ADD ATTRIBUTE more text",
        "ALTER TYPE part RENAME ATTRIBUTE a TO z",
        "ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'",
      ]) {
        await change(altered);
        expect(await link.passes(), altered).toEqual(["full"]);
        expect(await link.passes({ settings: { deletes: "never" } }), altered).toEqual(["window"]);
      }
      expect(await link.rows()).toEqual(await fresh());
      expect((await link.rows())[0]).toMatchObject({ m: "blue", p: '[{"z":1,"b":{"n":1,"more":null}}]' });
      expect(await link.verdict()).toBe("CONVERGED");
    });

    test("a table that was truncated and filled again with the same cursors (case 29)", long, async () => {
      await using place = await made(
        make,
        `CREATE TABLE t (id int, v text, updated_at timestamptz, PRIMARY KEY (id)) PARTITION BY RANGE (id);
          CREATE TABLE low PARTITION OF t FOR VALUES FROM (0) TO (5); CREATE TABLE high PARTITION OF t FOR VALUES FROM (5) TO (9);
          INSERT INTO t SELECT i, 'a', '2024-01-01' FROM generate_series(1, 8) i`,
      );
      const { link, change, fresh } = place;
      const settings = { deletes: "never" } as const;
      expect(await link.passes()).toEqual(["full"]);
      await change("CREATE TABLE more PARTITION OF t FOR VALUES FROM (9) TO (20)");
      expect(await link.passes({ settings })).toEqual(["window"]);
      await change("TRUNCATE high; INSERT INTO t SELECT i, 'b', '2024-01-01' FROM generate_series(5, 8) i");
      expect(await link.passes({ settings })).toEqual(["full"]);
      expect(await link.rows()).toEqual(await fresh());
      expect(await link.rows()).toHaveLength(8);
      await change("VACUUM FULL low");
      expect(await link.synced({ settings })).toMatchObject({ passes: ["full"], inserted: 0, updated: 0, deleted: 0 });
      expect(await link.passes({ settings })).toEqual(["window"]);
      expect(await link.verdict()).toBe("CONVERGED");
    });
  });

  describe.each(destinations)("%s", (_title, make) => {
    test("uuid stays a UUID, as a key too, and text in older copies (case 27)", long, async () => {
      await using place = await made(
        make,
        `CREATE TABLE t (id uuid PRIMARY KEY, ref uuid, updated_at timestamptz DEFAULT now());
          INSERT INTO t SELECT ('00000000-0000-4000-8000-' || lpad(to_hex(i), 12, '0'))::uuid, NULL FROM generate_series(1, 40) i`,
      );
      const { link, change, fresh } = place;
      const settings = { deletes: "each_sync" } as const;
      expect(await link.passes()).toEqual(["full"]);
      await change(
        "UPDATE t SET ref = id, updated_at = now() WHERE id::text LIKE '%5'; DELETE FROM t WHERE id::text LIKE '%7'",
      );
      expect(await link.synced({ settings })).toMatchObject({ updated: 3, deleted: 3, inserted: 0 });
      // Rows that only a sweep shows, and a look-up by key reads.
      await change("INSERT INTO t VALUES ('ABCDEF00-0000-4000-8000-000000000000', NULL, '2001-01-01')");
      expect(await link.synced({ settings })).toMatchObject({ inserted: 1, updated: 0, deleted: 0 });
      expect(await link.rows()).toEqual(await fresh());
      expect(await link.rows()).toContainEqual({
        id: "abcdef00-0000-4000-8000-000000000000",
        ref: null,
        updated_at: BigInt(Date.UTC(2001, 0)) * 1000n,
      });
      expect(await link.verdict()).toBe("CONVERGED");
    });

    test("another kind of datetime keeps the column a datetime (case 27)", long, async () => {
      await using place = await made(
        make,
        `SET TimeZone = 'Asia/Tokyo';
          CREATE TABLE t (id int PRIMARY KEY, a timestamptz, b timestamp, c date, d timestamptz, e bigint, updated_at timestamptz DEFAULT now());
          INSERT INTO t SELECT i, '2024-01-31 23:30+09', '2024-01-31 23:30', '2024-01-31', 'infinity', 1, now() FROM generate_series(1, 4) i`,
      );
      const { link, change, fresh } = place;
      await link.synced();
      await change("DELETE FROM t WHERE id = 4");
      await link.synced({ settings: { deletes: "each_sync" } });
      await change(
        `SET TimeZone = 'Asia/Tokyo'; ALTER TABLE t ALTER a TYPE timestamp, ALTER b TYPE timestamptz, ALTER c TYPE timestamptz,
          ALTER d TYPE timestamp, ALTER e TYPE timestamptz USING to_timestamp(e)`,
      );
      const blocked = await link.sync({ settings: { schemaChanges: "block_all" } });
      expect(blocked.tables[0]!.error).toMatchObject({ code: "SCHEMA_CHANGE_BLOCKED" });
      expect(await link.passes()).toEqual(["full"]);
      const [first] = await link.rows();
      expect(first).toMatchObject({
        a: BigInt(Date.UTC(2024, 0, 31, 23, 30)) * 1000n,
        b: BigInt(Date.UTC(2024, 0, 31, 14, 30)) * 1000n,
        c: BigInt(Date.UTC(2024, 0, 30, 15)) * 1000n,
        d: 9_223_372_036_854_775_807n,
      });
      // A number and a moment have nothing in common.
      const { e, ...rest } = first!;
      expect(e).toMatch(/^1970-01-01 00:00:01/);
      expect((await fresh())[0]).toMatchObject(rest);
      expect(await link.verdict()).toBe("CONVERGED");
      // And back.
      await change("SET TimeZone = 'UTC'; ALTER TABLE t ALTER a TYPE timestamptz, ALTER b TYPE date");
      expect(await link.passes()).toEqual(["full"]);
      expect((await link.rows())[0]).toMatchObject({
        a: BigInt(Date.UTC(2024, 0, 31, 23, 30)) * 1000n,
        b: BigInt(Date.UTC(2024, 0, 31)) * 1000n,
      });
      expect(await link.verdict()).toBe("CONVERGED");
    });

    test("a number that DECIMAL can't hold makes its column text in the same sync (case 11, 27)", long, async () => {
      await using place = await made(
        make,
        `CREATE TABLE t (id int PRIMARY KEY, n numeric(10,2), m numeric(5,-2), s numeric(3,5), updated_at timestamptz DEFAULT now());
          INSERT INTO t SELECT i, i * 1.5, 1200, 0.00123 FROM generate_series(1, 4) i`,
      );
      const { link, change, fresh } = place;
      await link.synced();
      await change("DELETE FROM t WHERE id = 4");
      await link.synced({ settings: { deletes: "each_sync" } });
      await change(
        "UPDATE t SET n = 'NaN', updated_at = now() WHERE id = 1; UPDATE t SET m = 'NaN', s = 'NaN' WHERE id = 2",
      );
      expect(await link.synced()).toMatchObject({ outcome: "whole", updated: 2, inserted: 0, deleted: 0 });
      expect(link.warnings.filter((warning) => warning.includes('column "n"'))).toHaveLength(1);
      const equal = await fresh();
      expect(await link.rows()).toEqual(equal);
      expect(equal.map(({ n, m, s }) => [n, m, s])).toEqual([
        ["NaN", "1200", "0.00123"],
        ["3.00", "NaN", "NaN"],
        ["4.50", "1200", "0.00123"],
      ]);
      // It stays so, and nothing is read again for it.
      await change("UPDATE t SET n = 7, updated_at = now() WHERE id = 1");
      expect(await link.synced({ settings: { deletes: "never" } })).toMatchObject({ passes: ["window"], updated: 1 });
      expect((await link.rows())[0]).toMatchObject({ n: "7.00" });
      expect(await link.verdict()).toBe("CONVERGED");
    });
  });
});
