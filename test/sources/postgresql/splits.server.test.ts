import { beforeAll, describe, expect, test } from "vitest";
import { HeadwatersError } from "../../../src/protocol/errors.ts";
import type { Operation } from "../../../src/protocol/operation.ts";
import type { Pass } from "../../../src/protocol/pass.ts";
import { workOf } from "../../../src/sources/postgresql/work.ts";
import type { Cell } from "../../../src/toolkit/vectors.ts";
import { describeWith } from "../../servers/require.ts";
import { startPostgresql } from "../../servers/postgresql.ts";
import {
  cellsOf,
  cellsOfRows,
  collect,
  fast,
  independent,
  openSource,
  operationsOf,
  passOf,
  rowsOfPass,
  session,
  sql,
  tableOf,
} from "./harness.ts";

/** Large enough for several splits: four rows a page, 8 MB a split. */
const rows = 9_000;
const wide = "rpad(md5(i::text), 1900, md5((i + 1)::text))";

/** How a table is made, and how it must be cut. */
const tables: readonly { readonly name: string; readonly order: string; readonly make: string }[] = [
  {
    name: "by_number",
    order: "key",
    make: `CREATE TABLE by_number (id bigint PRIMARY KEY, v text); INSERT INTO by_number SELECT i * 7, ${wide} FROM generate_series(1, ${rows}) i`,
  },
  {
    name: "backwards",
    order: "key",
    make: `CREATE TABLE backwards (id int PRIMARY KEY, v text); INSERT INTO backwards SELECT -i, ${wide} FROM generate_series(1, ${rows}) i`,
  },
  {
    name: "composite",
    order: "key",
    make: `CREATE TABLE composite (a text COLLATE "und-x-icu", b timestamptz, c numeric(9,3), v text, PRIMARY KEY (a, b, c));
      INSERT INTO composite SELECT (ARRAY['a''b', 'A\\b', 'é', 'Z'])[1 + i * 4 / ${rows + 1}], '2024-01-01'::timestamptz + (i / 100) * interval '1 hour', i % 100 / 8.0, ${wide} FROM generate_series(0, ${rows}) i`,
  },
  {
    name: "scattered",
    order: "ctid",
    make: `CREATE TABLE scattered (id uuid PRIMARY KEY, v text); INSERT INTO scattered SELECT md5(i::text)::uuid, ${wide} FROM generate_series(1, ${rows}) i`,
  },
  {
    name: "keyless",
    order: "ctid",
    make: `CREATE TABLE keyless (n int, v text); INSERT INTO keyless SELECT i % 100, ${wide} FROM generate_series(1, ${rows}) i`,
  },
  {
    name: "holes",
    order: "key",
    make: `CREATE TABLE holes (id int PRIMARY KEY, v text); INSERT INTO holes SELECT i, ${wide} FROM generate_series(1, ${rows}) i; DELETE FROM holes WHERE id % 10 <> 0 AND id < 6000`,
  },
  {
    name: "parts",
    order: "key",
    make: `CREATE TABLE parts (id int, region text, v text, PRIMARY KEY (region, id)) PARTITION BY LIST (region);
      CREATE TABLE parts_one PARTITION OF parts FOR VALUES IN ('one') PARTITION BY RANGE (id);
      CREATE TABLE parts_one_low (v text, region text NOT NULL, id int NOT NULL);
      ALTER TABLE parts_one ATTACH PARTITION parts_one_low FOR VALUES FROM (MINVALUE) TO (5000);
      CREATE TABLE parts_one_high PARTITION OF parts_one DEFAULT;
      CREATE TABLE "parts Two" PARTITION OF parts DEFAULT;
      INSERT INTO parts SELECT i, CASE WHEN i % 2 = 0 THEN 'one' ELSE 'other' END, ${wide} FROM generate_series(1, ${rows}) i`,
  },
  {
    name: "tiny",
    order: "key",
    make: "CREATE TABLE tiny (id int PRIMARY KEY, v text); INSERT INTO tiny SELECT i, i FROM generate_series(1, 100) i",
  },
];

/** A type whose array takes `seconds` for each element to be read: JSON is made of it by a cast that sleeps. */
function slowType(seconds: number): string {
  return `CREATE TYPE slow AS ENUM ('a');
    CREATE FUNCTION slow_json(s slow) RETURNS json LANGUAGE plpgsql AS
      $$ BEGIN PERFORM pg_sleep(${seconds}); RETURN '1'; END $$;
    CREATE CAST (slow AS json) WITH FUNCTION slow_json(slow)`;
}

await describeWith(startPostgresql, "splits of YugabyteDB", (server) => {
  beforeAll(async () => {
    for (const { make } of tables) await sql(server, make);
    await sql(server, "ANALYZE");
  });

  async function inDatabase(name: string): Promise<string[]> {
    const result = await sql(server, `SELECT t::text AS t FROM ${name} t`);
    return result.map((row) => row["t"]!).sort();
  }

  function asText(cells: readonly Cell[][]): string[] {
    return cells.map((row) => JSON.stringify(row.map(String))).sort();
  }

  describe("every row comes once, whatever the table", () => {
    test.each(tables)("$name by $order", async ({ name, order }) => {
      await using source = await openSource(server);
      const table = await tableOf(source, name);
      const pass = await passOf(source, table);
      expect(pass.splits.map((split) => workOf(split).order)).toEqual(pass.splits.map(() => order));
      if (name !== "tiny") expect(pass.splits.length).toBeGreaterThan(1);
      const all = await rowsOfPass(source, pass);
      expect(all).toHaveLength((await inDatabase(name)).length);
      expect(new Set(asText(all)).size).toBe(new Set(await inDatabase(name)).size);
      expect(Math.abs(table.estimatedRows! - all.length)).toBeLessThan(all.length / 10);
      const keys = await passOf(source, table, "keys");
      if (table.key.length > 0) expect(await rowsOfPass(source, keys)).toHaveLength(all.length);
    });
  });

  describe("goes on from every checkpoint", () => {
    test.each(tables.filter(({ name }) => name !== "parts" && name !== "holes"))("$name", async ({ name, order }) => {
      await using source = await openSource(server);
      const table = await tableOf(source, name);
      const pass = await passOf(source, table);
      // One split is left unread, so that the snapshot is kept: places of rows mean nothing in another.
      const read = pass.splits.length > 1 ? pass.splits.slice(0, -1) : pass.splits;
      for (const split of read) {
        const how = { ...fast, batchBytes: 3 << 20 };
        const operations = await collect(source.read(pass, split, null, how));
        const whole = asText(cellsOf(operations));
        const cuts = operations.flatMap(({ kind }, at) => (kind === "checkpoint" ? [at] : []));
        expect(cuts.length).toBeGreaterThan(0);
        for (const cut of cuts) {
          const checkpoint = operations[cut] as Operation & { kind: "checkpoint" };
          for (const path of [how, { ...independent, batchBytes: how.batchBytes }]) {
            const rest = await collect(source.read(pass, split, JSON.parse(JSON.stringify(checkpoint.state)), path));
            expect(asText([...cellsOf(operations.slice(0, cut)), ...cellsOf(rest)])).toEqual(whole);
          }
        }
      }
      await using other = await openSource(server);
      const resumed = await other.resume(JSON.parse(JSON.stringify(pass)) as Pass, fast.signal);
      expect(resumed === null).toBe(order === "ctid");
      if (resumed !== null) expect(await rowsOfPass(other, resumed)).toHaveLength((await inDatabase(name)).length);
    });
  });

  test("a partition on another server is read with the others", async () => {
    await sql(
      server,
      `CREATE EXTENSION postgres_fdw;
       CREATE SERVER beside FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '${server.host}', port '${server.port}', dbname '${server.database}');
       CREATE USER MAPPING FOR CURRENT_USER SERVER beside OPTIONS (user '${server.user}', password '${server.password}');
       CREATE TABLE far_part (id int, v text); INSERT INTO far_part SELECT i, i FROM generate_series(1, 10) i;
       CREATE TABLE far (id int, v text) PARTITION BY RANGE (id);
       CREATE TABLE far_near PARTITION OF far FOR VALUES FROM (100) TO (200); INSERT INTO far_near SELECT i, i FROM generate_series(100, 109) i;
       CREATE FOREIGN TABLE far_there PARTITION OF far FOR VALUES FROM (0) TO (100) SERVER beside OPTIONS (table_name 'far_part')`,
    );
    await using source = await openSource(server);
    expect(await rowsOfPass(source, await passOf(source, await tableOf(source, "far")))).toHaveLength(20);
  });

  test("all splits see one snapshot", async () => {
    await sql(
      server,
      `CREATE TABLE moving (id uuid PRIMARY KEY, n int, v text); INSERT INTO moving SELECT md5(i::text)::uuid, 0, ${wide} FROM generate_series(1, ${rows}) i`,
    );
    await using source = await openSource(server);
    const pass = await passOf(source, await tableOf(source, "moving"));
    expect(pass.snapshot).toMatchObject({ mode: "exported" });
    await sql(server, "UPDATE moving SET n = 1; INSERT INTO moving SELECT gen_random_uuid(), 2, ''");
    await sql(server, "VACUUM moving");
    const read = await rowsOfPass(source, pass);
    expect(read).toHaveLength(rows);
    expect(new Set(read.map((row) => row[1]))).toEqual(new Set([0]));
    // Every split was read: nothing is left open there.
    const open = await sql(
      server,
      "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'headwaters' AND xact_start IS NOT NULL",
    );
    expect(Number(open[0]!["n"])).toBe(0);
  });

  test("a snapshot is let go by the next plan of its table, and by closing", async () => {
    const count = async (): Promise<number> => {
      const [row] = await sql(
        server,
        "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'headwaters' AND xact_start IS NOT NULL",
      );
      return Number(row!["n"]);
    };
    {
      await using source = await openSource(server);
      const table = await tableOf(source, "keyless");
      for (let round = 0; round < 3; round++) await passOf(source, table);
      expect(await count()).toBe(1);
      await passOf(source, await tableOf(source, "scattered"));
      expect(await count()).toBe(2);
    }
    await expect.poll(count).toBe(0);
  });

  test("a lost snapshot: an order by key goes on, places of rows don't", async () => {
    for (const name of ["by_number", "scattered"]) {
      await using source = await openSource(server);
      const pass = await passOf(source, await tableOf(source, name));
      await sql(
        server,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'headwaters' AND datname = current_database()",
      );
      const reading = rowsOfPass(source, pass);
      if (name === "by_number") expect(await reading).toHaveLength(rows);
      else await expect(reading).rejects.toMatchObject({ code: "TABLE_CHANGED" });
    }
  });

  test("a table that was truncated, rewritten, altered or dropped in between is an error", async () => {
    for (const [name, change, code] of [
      ["truncated", "TRUNCATE truncated", "TABLE_CHANGED"],
      ["rewritten", "ALTER TABLE rewritten ALTER v TYPE bigint USING 1", "TABLE_CHANGED"],
      ["shortened", "ALTER TABLE shortened DROP v", "TABLE_CHANGED"],
      ["dropped", "DROP TABLE dropped", "TABLE_UNKNOWN"],
      ["replaced", "DROP TABLE replaced; CREATE TABLE replaced (id int PRIMARY KEY, v text)", "TABLE_CHANGED"],
    ] as const) {
      await sql(server, `CREATE TABLE ${name} (id int PRIMARY KEY, v text); INSERT INTO ${name} VALUES (1, 'x')`);
      await using source = await openSource(server);
      const pass = await passOf(source, await tableOf(source, name));
      await sql(server, change);
      await expect(rowsOfPass(source, pass), name).rejects.toMatchObject({ code });
    }
  });

  test("a column that is added in between is not read", async () => {
    await sql(server, "CREATE TABLE grown (id int PRIMARY KEY); INSERT INTO grown VALUES (1)");
    await using source = await openSource(server);
    const pass = await passOf(source, await tableOf(source, "grown"));
    await sql(server, "ALTER TABLE grown ADD v int");
    expect(await rowsOfPass(source, pass)).toEqual([[1]]);
  });

  describe("YugabyteDB's hash codes, by functions of their names", () => {
    const make = `
      SET allow_system_table_mods = on;
      CREATE FUNCTION pg_catalog.yb_hash_code(a bigint) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT hashint8(a) & 65535';
      CREATE FUNCTION pg_catalog.yb_hash_code(a text, b int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT hashtext(a || b) & 65535';
      CREATE TABLE hashed (id bigint PRIMARY KEY, v text);
      INSERT INTO hashed SELECT i, md5(i::text) FROM generate_series(1, 160000) i;
      CREATE TABLE hashed_two (a text, b int, c int, v text, PRIMARY KEY (a, b, c));
      INSERT INTO hashed_two SELECT 'a' || i % 10, i % 1000, i, 'v' FROM generate_series(1, 20000) i;
      CREATE FUNCTION pg_catalog.yb_table_properties(t oid, OUT num_hash_key_columns int) LANGUAGE sql AS
        $$SELECT CASE WHEN t = 'public.hashed'::regclass THEN 1 WHEN t = 'public.hashed_two'::regclass THEN 2 ELSE 0 END$$;
      ANALYZE`;

    test("splits are ranges of the code, and resume", async () => {
      await using other = await server.createDatabase();
      await sql(other, make);
      for (const [name, count] of [
        ["hashed", 160_000],
        ["hashed_two", 20_000],
      ] as const) {
        await using source = await openSource(other);
        const pass = await passOf(source, await tableOf(source, name));
        expect(new Set(pass.splits.map((split) => workOf(split).order))).toEqual(new Set(["hash"]));
        if (name === "hashed") expect(pass.splits).toHaveLength(2);
        const operations = await operationsOf(source, pass, { ...fast, batchBytes: 2 << 20 });
        expect(new Set(asText([...operations.values()].flatMap(cellsOf))).size).toBe(count);
        const again = await source.resume(pass, fast.signal);
        for (const [split, all] of operations) {
          const whole = asText(cellsOf(all));
          for (const [cut, operation] of all.entries()) {
            if (operation.kind !== "checkpoint") continue;
            const rest = await collect(source.read(again!, split, operation.state, fast));
            expect(asText([...cellsOf(all.slice(0, cut)), ...cellsOf(rest)])).toEqual(whole);
          }
        }
      }
    });
  });

  describe("a read that takes too long is cut in halves", () => {
    const slow = slowType(0.002);

    test.each([
      ["key", "CREATE TABLE late_key (id int PRIMARY KEY, s slow[])", "late_key"],
      ["ctid", "CREATE TABLE late_ctid (id int, s slow[])", "late_ctid"],
    ])("in the order of %s", async (order, make, name) => {
      await using other = await server.createDatabase();
      await sql(
        other,
        `${slow}; ${make}; INSERT INTO ${name} SELECT i, ARRAY['a']::slow[] FROM generate_series(1, 1500) i`,
      );
      // 1,500 rows take 3 s, a statement may take 1 s.
      await using source = await openSource(other, { statement_timeout: "1" });
      const pass = await passOf(source, await tableOf(source, name));
      expect(workOf(pass.splits[0]!).order).toBe(order);
      const operations = [...(await operationsOf(source, pass, { ...fast, batchBytes: 4 << 10 })).values()].flat();
      expect(asText(cellsOf(operations))).toEqual(
        asText(Array.from({ length: 1500 }, (_, index) => [index + 1, "[1]"])),
      );
    });

    test("one row that takes too long is an error", async () => {
      await using other = await server.createDatabase();
      await sql(
        other,
        `${slowType(3)}; CREATE TABLE stuck (id int PRIMARY KEY, s slow[]); INSERT INTO stuck VALUES (1, ARRAY['a']::slow[])`,
      );
      await using source = await openSource(other, { statement_timeout: "1" });
      const pass = await passOf(source, await tableOf(source, "stuck"));
      const small = {
        ...pass,
        splits: pass.splits.map((split) => ({ ...split, work: { ...workOf(split), span: 1 } })),
      };
      const error = await rowsOfPass(source, small as unknown as Pass).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(HeadwatersError);
      expect(error).toMatchObject({ code: "READ_TIMEOUT" });
    });
  });

  test("rows wider than many chunks, and batches that hold one each", async () => {
    await sql(
      server,
      "CREATE TABLE large (id int PRIMARY KEY, v text, b bytea); INSERT INTO large SELECT i, repeat(chr(65 + i % 26), i * 300000), decode(repeat('0f', i * 1000), 'hex') FROM generate_series(1, 12) i",
    );
    await using source = await openSource(server);
    const pass = await passOf(source, await tableOf(source, "large"));
    for (const how of [fast, independent]) {
      const read = await rowsOfPass(source, pass, how);
      expect(read.map(([id, text, bytes]) => [id, String(text).length, (bytes as Uint8Array).length])).toEqual(
        Array.from({ length: 12 }, (_, index) => [index + 1, (index + 1) * 300_000, (index + 1) * 1000]),
      );
    }
  });

  test("names with quotes, upper case, spaces and other letters", async () => {
    await sql(
      server,
      `CREATE SCHEMA "Sch""ema ü"; CREATE TABLE "Sch""ema ü"."Ta'b""le \\ 表" ("I d" int, "select" text, "a""b'c\\d" text, "updated_at" timestamptz, PRIMARY KEY ("I d", "a""b'c\\d"));
       INSERT INTO "Sch""ema ü"."Ta'b""le \\ 表" VALUES (1, 'x', 'it''s \\ "y"', now());
       COMMENT ON TABLE "Sch""ema ü"."Ta'b""le \\ 表" IS 'it''s 表'; COMMENT ON COLUMN "Sch""ema ü"."Ta'b""le \\ 表"."I d" IS 'which'`,
    );
    await using source = await openSource(server, { schema: 'Sch"ema ü' });
    const [table] = await source.discover(fast.signal);
    expect([table!.comment, table!.columns.map(({ comment }) => comment)]).toEqual([
      "it's 表",
      ["which", undefined, undefined, undefined],
    ]);
    expect(table!.id).toBe("Ta'b\"le \\ 表");
    expect(table!.key).toEqual(["I d", "a\"b'c\\d"]);
    const pass = await passOf(source, table!);
    const [operations] = (await operationsOf(source, pass)).values();
    expect(cellsOf(operations!)[0]!.slice(0, 3)).toEqual([1, "x", 'it\'s \\ "y"']);
    const state = operations!.flatMap((operation) => (operation.kind === "checkpoint" ? [operation.state] : []))[0]!;
    expect(await collect(source.read(pass, pass.splits[0]!, state, fast))).toEqual([]);
    const rows = operations!.flatMap((operation) => ("rows" in operation ? [operation.rows] : []))[0]!;
    const found = await collect(source.lookup(table!, rows, fast));
    expect(found.flatMap(cellsOfRows)).toHaveLength(1);
    expect(await rowsOfPass(source, await passOf(source, table!, "window"))).toHaveLength(1);
  });

  test("a slow reader slows the server, and holds little", async () => {
    // 200 MB in one split: far more than sockets hold, whatever a system grows their buffers to.
    await sql(
      server,
      `CREATE TABLE much (id int PRIMARY KEY, v text); ALTER TABLE much ALTER v SET STORAGE EXTERNAL;
        INSERT INTO much SELECT i, repeat('x', 1000000) FROM generate_series(1, 200) i`,
    );
    await using source = await openSource(server);
    const pass = await passOf(source, await tableOf(source, "much"));
    const reading = source.read(pass, pass.splits[0]!, null, fast)[Symbol.asyncIterator]();
    await reading.next();
    const client = await session(server);
    const waits = async (): Promise<string | undefined> => {
      const result = await client.query<{ wait_event: string }>(
        "SELECT wait_event FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%COPY (%'",
      );
      return result.rows[0]?.wait_event;
    };
    // The server has filled the socket and waits for us.
    await expect.poll(waits).toBe("ClientWrite");
    let count = 0;
    for (let next = await reading.next(); next.done !== true; next = await reading.next()) {
      if ("rows" in next.value) count += next.value.rows.length;
    }
    expect(count).toBe(199);
    await client.end();
  });

  test("an abort ends the statement at the server too", async () => {
    await using other = await server.createDatabase();
    await sql(
      other,
      `${slowType(60)}; CREATE TABLE sleepy (id int PRIMARY KEY, s slow[]); INSERT INTO sleepy VALUES (1, ARRAY['a']::slow[])`,
    );
    await using source = await openSource(other);
    const pass = await passOf(source, await tableOf(source, "sleepy"));
    for (const path of ["fast", "independent"] as const) {
      const stop = new AbortController();
      const reading = collect(source.read(pass, pass.splits[0]!, null, { ...fast, path, signal: stop.signal }));
      const running = async (): Promise<number> => {
        const [row] = await sql(
          other,
          "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'",
        );
        return Number(row!["n"]);
      };
      await expect.poll(running).toBe(1);
      const began = performance.now();
      stop.abort(new Error("stop"));
      await expect(reading).rejects.toThrow("stop");
      expect(performance.now() - began).toBeLessThan(1_000);
      await expect.poll(running).toBe(0);
    }
  });
});
