import { beforeAll, describe, expect, test } from "vitest";
import { verify } from "../../../src/engine/commands/verify.ts";
import type { Source } from "../../../src/protocol/source.ts";
import { definition } from "../../../src/sources/postgresql/index.ts";
import { seeded } from "../../campaigns/random.ts";
import { Copy } from "../../engine/harness.ts";
import { type PostgresqlServer, startOwnPostgresql, startPostgresql } from "../../servers/postgresql.ts";
import { describeWith } from "../../servers/require.ts";
import { collect, never, openSource, type Said, session, sql } from "./harness.ts";

const { capabilities } = definition;

await describeWith(startPostgresql, "the change stream of PostgreSQL", (shared) => {
  let server: PostgresqlServer;
  const open = (said?: Said, more: Readonly<Record<string, unknown>> = {}): Promise<Source> =>
    openSource(server, { changes: "stream", ...more }, {}, said);

  /** One sync; how many rows were read by each table's passes. */
  async function sync(copy: Copy, more: Readonly<Record<string, unknown>> = {}, said?: Said) {
    await using source = await open(said, more);
    const run = await copy.sync(source, { capabilities, settings: { deletes: "never" } });
    return Object.fromEntries(
      run.tables.map(({ table, passes, rowsRead, error, deleted }) => [table, { passes, rowsRead, error, deleted }]),
    );
  }

  async function verdict(copy: Copy): Promise<string> {
    await using source = await open();
    await using warehouse = await copy.open();
    const report = await verify(copy.connection(source, warehouse, { capabilities }), { signal: never }, () => {});
    return report.verdict;
  }

  /** The rows of both sides, read by clients that are not ours. */
  async function bothSides(copy: Copy, table: string) {
    const name = `"${table.replaceAll('"', '""')}"`;
    const rows = await sql(server, `SELECT id::text AS id, name FROM ${name} ORDER BY ${name}.id::text, name`);
    const copied = await copy.query(
      `SELECT id::text AS id, name FROM s.${name} WHERE NOT _headwaters_deleted ORDER BY s.${name}.id::text, name`,
    );
    return { source: rows, copy: copied };
  }

  async function expectEqual(copy: Copy, ...tables: readonly string[]): Promise<void> {
    for (const table of tables) {
      const { source, copy: copied } = await bothSides(copy, table);
      expect(copied).toEqual(source);
    }
    expect(await verdict(copy)).toBe("CONVERGED");
  }

  describe("a copy that follows", () => {
    beforeAll(async () => {
      server = await shared.createDatabase();
    });

    test("changes by table: only what is to be followed is published, and others go by their cursor", async () => {
      await using database = await shared.createDatabase();
      await sql(
        database,
        `CREATE TABLE followed (id int PRIMARY KEY, name text);
         CREATE TABLE dated (id int PRIMARY KEY, name text, updated_at timestamptz DEFAULT now());
         INSERT INTO followed VALUES (1, 'a'); INSERT INTO dated VALUES (1, 'a')`,
      );
      await using copy = await Copy.make();
      const said: Said = { warnings: [] };
      const syncWith = async (changes: object) => {
        await using source = await openSource(database, { changes, lag: 0 }, {}, said);
        const run = await copy.sync(source, { capabilities, settings: { deletes: "never" } });
        return Object.fromEntries(run.tables.map(({ table, passes, error }) => [table, error ?? passes.join()]));
      };
      const published = async (): Promise<unknown> =>
        (await sql(database, "SELECT tablename FROM pg_publication_tables ORDER BY 1")).map((row) => row["tablename"]);
      await syncWith({ followed: "stream", absent: "stream" });
      expect(await published()).toEqual(["followed"]);
      expect(said.warnings.join()).toContain('changes: schema "public" has no table "absent"');
      await sql(database, `UPDATE followed SET name = 'b'; UPDATE dated SET name = 'b', updated_at = now()`);
      expect(await syncWith({ followed: "stream" })).toEqual({ followed: "stream", dated: "window" });
      // One more is followed: its first stream begins with a full pass. One is followed no longer.
      expect(await syncWith({ "*": "stream", followed: "cursor" })).toMatchObject({
        dated: "full,stream",
        followed: "full",
      });
      await sql(database, `UPDATE followed SET name = 'c'; UPDATE dated SET name = 'c'; DELETE FROM dated`);
      await sql(database, `INSERT INTO dated VALUES (2, 'd', '2020-01-01')`);
      expect(await syncWith({ "*": "stream", followed: "cursor" })).toEqual({ dated: "stream", followed: "full" });
      expect([await copy.rows("followed"), await copy.rows("dated")]).toEqual([{ 1: "c" }, { 2: "d" }]);
    });

    test("every kind of change, and only the keys that changed are read", async () => {
      await sql(
        server,
        `CREATE TABLE t (id int PRIMARY KEY, name text, wide text);
         CREATE TABLE "odd ""name" (a int, id numeric, name text, PRIMARY KEY (a, id));
         CREATE TABLE keyless (id int, name text);
         INSERT INTO t SELECT i, 'n' || i, repeat('x', 5000) FROM generate_series(1, 2000) i;
         INSERT INTO keyless VALUES (1, 'a')`,
      );
      await using copy = await Copy.make();
      const first = await sync(copy);
      expect(first["t"]).toMatchObject({ passes: ["full", "stream"], rowsRead: 2000, error: null });
      expect(first["keyless"]).toMatchObject({ passes: ["full"] });
      await sql(
        server,
        `INSERT INTO t VALUES (3000, 'new', ''); UPDATE t SET name = 'other' WHERE id = 7; UPDATE t SET id = 4000 WHERE id = 8;
         DELETE FROM t WHERE id = 9; DELETE FROM t WHERE id = 10; INSERT INTO t VALUES (10, 'again', NULL);
         INSERT INTO "odd ""name" VALUES (1, 1.0, 'x'), (2, 1.0, 'y'); UPDATE "odd ""name" SET id = 1.00 WHERE a = 1;
         UPDATE keyless SET name = 'b'; DELETE FROM keyless WHERE id = 5`,
      );
      await sql(server, `BEGIN; UPDATE t SET name = 'never'; ROLLBACK`);
      await sql(
        server,
        `BEGIN; SAVEPOINT a; UPDATE t SET name = 'never' WHERE id = 11; ROLLBACK TO a; UPDATE t SET name = 'kept' WHERE id = 12; COMMIT`,
      );
      const second = await sync(copy);
      // The keys 3000, 7, 4000, 10 and 12 exist; 8 and 9 are gone, and are sent as keys.
      expect(second["t"]).toMatchObject({ passes: ["stream"], rowsRead: 7, deleted: 2 });
      await expectEqual(copy, "t", "keyless", 'odd "name');
      expect((await sync(copy))["t"]).toMatchObject({ passes: ["stream"], rowsRead: 0 });
    });

    test("what is kept at the source goes on with the copy", async () => {
      const name = `headwaters_${server.database}_public`;
      const moved = async (since: string): Promise<Record<string, string>> => {
        const [slot] = await sql(
          server,
          `SELECT confirmed_flush_lsn::text AS at, (confirmed_flush_lsn > '${since}')::text AS moved FROM pg_replication_slots WHERE slot_name = '${name}'`,
        );
        return slot!;
      };
      const { at } = await moved("0/0");
      await using copy = await Copy.make();
      await sync(copy);
      expect(await moved(at!)).toMatchObject({ moved: "true" });
      const [published] = await sql(server, `SELECT count(*)::text AS n FROM pg_publication_tables`);
      // The table without a key is not among them.
      expect(published).toEqual({ n: "2" });
    });
  });

  test("check says what a stream needs and keeps, and unfollow removes it", async () => {
    server = await shared.createDatabase();
    await sql(server, "CREATE TABLE t (id int PRIMARY KEY, name text)");
    const name = `headwaters_${server.database}_public`;
    const checked = async (): Promise<unknown> => {
      await using source = await open();
      return (await collect(source.check(never))).find((result) => result.name === "stream");
    };
    expect(await checked()).toMatchObject({ message: expect.stringContaining(`makes slot "${name}" and publication`) });
    await using copy = await Copy.make();
    await sync(copy);
    expect(await checked()).toMatchObject({
      status: "warning",
      message: expect.stringMatching(/keeps \d+ [KMG]B of log\. .*max_slot_wal_keep_size/),
    });
    await using source = await open();
    expect(await source.unfollow!(never)).toEqual([`replication slot "${name}"`, `publication "${name}"`]);
    expect(await source.unfollow!(never)).toEqual([]);
    await sql(server, "INSERT INTO t VALUES (1, 'a')");
    expect((await sync(copy))["t"]).toMatchObject({ passes: ["full", "stream"] });
    await expectEqual(copy, "t");
  });

  test("a publication that somebody else made, by a role that only reads", async () => {
    server = await shared.createDatabase();
    await sql(
      server,
      `CREATE TABLE t (id int PRIMARY KEY, name text); CREATE TABLE u (id int PRIMARY KEY, name text);
       DO $$ BEGIN CREATE ROLE follower LOGIN PASSWORD 'follower'; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
       GRANT SELECT ON t, u TO follower; ALTER ROLE follower NOREPLICATION; CREATE PUBLICATION p FOR TABLE t`,
    );
    const role = { user: "follower", password: "follower", publication: "p" };
    await using copy = await Copy.make();
    expect((await sync(copy, role))["t"]!.error).toMatchObject({
      code: "PRIVILEGE_MISSING",
      hint: 'ALTER ROLE "follower" REPLICATION;',
    });
    await sql(server, "ALTER ROLE follower REPLICATION");
    const { t, u } = await sync(copy, role);
    expect(t).toMatchObject({ passes: ["full", "stream"], error: null });
    expect(u!.error).toMatchObject({
      code: "PRIVILEGE_MISSING",
      hint: expect.stringContaining('ALTER PUBLICATION "p" ADD TABLE ONLY "public"."u";'),
    });
    await sql(server, "INSERT INTO t VALUES (1, 'a'); ALTER PUBLICATION p SET (publish = 'insert')");
    expect((await sync(copy, role))["t"]!.error).toMatchObject({ code: "CONFIGURATION_INVALID" });
    await sql(server, "ALTER PUBLICATION p SET (publish = 'insert, update, delete, truncate')");
    expect((await sync(copy, role))["t"]).toMatchObject({ passes: ["stream"], error: null });
    expect(await copy.rows()).toEqual({ 1: "a" });
    await using source = await open({ warnings: [] }, role);
    // The publication has a name of its own, and may serve others.
    expect(await source.unfollow!(never)).toEqual([expect.stringContaining("replication slot")]);
  });

  test("the log is kept for a table that fails, up to max_retained", async () => {
    server = await shared.createDatabase();
    await sql(
      server,
      `CREATE TABLE t (id int PRIMARY KEY, name text); CREATE TABLE u (id int PRIMARY KEY, name text); INSERT INTO u VALUES (1, 'a');
       DO $$ BEGIN CREATE ROLE retained LOGIN REPLICATION PASSWORD 'retained'; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
       GRANT SELECT ON t, u TO retained; CREATE PUBLICATION p FOR TABLE t, u`,
    );
    const role = { user: "retained", password: "retained", publication: "p" };
    const grow = "INSERT INTO t SELECT i, repeat(md5(i::text), 30) FROM generate_series(1, 3000) i; DELETE FROM t";
    await using copy = await Copy.make();
    await sync(copy, role);
    await sql(server, "REVOKE SELECT ON u FROM retained; UPDATE u SET name = 'b'");
    await sql(server, grow);
    const kept = await sync(copy, role);
    expect([kept["t"]!.error, kept["u"]!.error]).toEqual([
      null,
      expect.objectContaining({ code: "PRIVILEGE_MISSING" }),
    ]);
    await sql(server, "GRANT SELECT ON u TO retained");
    // The log still has what changed while it failed.
    expect((await sync(copy, role))["u"]).toMatchObject({ passes: ["stream"], rowsRead: 1 });
    await sql(server, "REVOKE SELECT ON u FROM retained; UPDATE u SET name = 'c'");
    await sql(server, grow);
    const said: Said = { warnings: [] };
    await sync(copy, { ...role, max_retained: "1MB" }, said);
    expect(said.warnings.join("\n")).toContain("more log than max_retained");
    await sql(server, "GRANT SELECT ON u TO retained");
    expect((await sync(copy, role))["u"]).toMatchObject({ passes: ["full", "stream"], error: null });
    await expectEqual(copy, "t", "u");
  });

  test("keys that changed before their type did", async () => {
    server = await shared.createDatabase();
    await sql(server, "CREATE TABLE t (id text PRIMARY KEY, name text); INSERT INTO t VALUES ('1', 'a'), ('x', 'a')");
    await using copy = await Copy.make();
    await sync(copy);
    await sql(server, "DELETE FROM t WHERE id = 'x'; ALTER TABLE t ALTER id TYPE int USING id::int");
    await sql(server, "INSERT INTO t VALUES (2, 'b')");
    const { t } = await sync(copy);
    expect(t).toMatchObject({ passes: ["full", "stream"], error: null });
    await expectEqual(copy, "t");
  });

  test("rows of partitions that are attached or detached", async () => {
    server = await shared.createDatabase();
    await sql(
      server,
      `CREATE TABLE t (id int PRIMARY KEY, name text) PARTITION BY RANGE (id); CREATE TABLE low PARTITION OF t FOR VALUES FROM (0) TO (9);
       INSERT INTO t VALUES (1, 'a'); CREATE TABLE high (id int PRIMARY KEY, name text); INSERT INTO high VALUES (10, 'b')`,
    );
    await using copy = await Copy.make();
    await sync(copy);
    await sql(
      server,
      "ALTER TABLE t ATTACH PARTITION high FOR VALUES FROM (9) TO (99); UPDATE t SET id = 11 WHERE id = 1",
    );
    await sync(copy);
    expect(await copy.rows()).toEqual({ 10: "b", 11: "a" });
    await sql(server, "ALTER TABLE t DETACH PARTITION high; INSERT INTO t VALUES (2, 'c')");
    await sync(copy);
    expect(await copy.rows()).toEqual({ 2: "c" });
  });

  describe("laws", () => {
    test.each([1, 2, 3])("random writers between and during syncs that are cut, seed %i", async (seed) => {
      server = await shared.createDatabase();
      const random = seeded(seed);
      const pick = (most: number): number => random.below(most);
      const tables = ["plain", "whole", "indexed", "parts", "changed"];
      await sql(
        server,
        `CREATE TABLE plain (id int PRIMARY KEY, name text, updated_at timestamptz);
         CREATE TABLE whole (id text PRIMARY KEY, name text); ALTER TABLE whole REPLICA IDENTITY FULL;
         CREATE TABLE indexed (id int NOT NULL, name text); CREATE UNIQUE INDEX by_id ON indexed (id);
         ALTER TABLE indexed REPLICA IDENTITY USING INDEX by_id;
         CREATE TABLE parts (id int, name text, PRIMARY KEY (id)) PARTITION BY RANGE (id);
         CREATE TABLE low PARTITION OF parts FOR VALUES FROM (MINVALUE) TO (100);
         CREATE TABLE high PARTITION OF parts FOR VALUES FROM (100) TO (MAXVALUE);
         CREATE TABLE changed (id numeric PRIMARY KEY, name text)`,
      );
      for (const table of tables)
        await sql(server, `INSERT INTO ${table} (id, name) SELECT i, 'n' || i FROM generate_series(1, 200) i`);
      const change = (): string => {
        const table = tables[pick(tables.length)]!;
        const [id, other, value] = [pick(250), pick(250), `v${pick(1e6)}`];
        const numeral = table === "changed" && pick(10) < 3 ? `${other}.00` : String(other);
        const kind = pick(100);
        if (kind < 30) return `INSERT INTO ${table} (id, name) VALUES (${id}, '${value}') ON CONFLICT DO NOTHING`;
        if (kind < 55) return `UPDATE ${table} SET name = '${value}' WHERE id::text = '${id}'`;
        if (kind < 70)
          return `UPDATE ${table} SET id = '${numeral}' WHERE id::text = '${id}' AND NOT EXISTS (SELECT FROM ${table} WHERE id = '${numeral}' AND id::text <> '${id}')`;
        if (kind < 85) return `DELETE FROM ${table} WHERE id::text = '${id}'`;
        if (kind < 88) return `UPDATE ${table} SET name = name || '!' WHERE id::text LIKE '%7'`;
        if (kind < 90) return `DELETE FROM ${table} WHERE id::text LIKE '%3%'`;
        return kind < 91 ? `TRUNCATE ${table}` : `DELETE FROM ${table} WHERE id::text = '${other}'`;
      };
      const client = await session(server);
      const transaction = async (): Promise<void> => {
        await client.query("BEGIN");
        for (let count = 1 + pick(4); count > 0; count--) await client.query(change());
        await client.query(pick(10) < 8 ? "COMMIT" : "ROLLBACK");
      };
      await using copy = await Copy.make();
      for (let round = 0; round < 6; round++) {
        const writing = { goesOn: true };
        const writer = (async () => {
          while (writing.goesOn) await transaction();
        })();
        const cut = new AbortController();
        const timer = pick(10) < 4 ? setTimeout(() => cut.abort(), pick(400)) : null;
        await using source = await open();
        await copy.sync(source, { capabilities, settings: { deletes: "never" }, signal: cut.signal }).catch(() => {});
        if (timer !== null) clearTimeout(timer);
        writing.goesOn = false;
        await writer;
        for (let count = pick(20); count > 0; count--) await transaction();
      }
      await client.end();
      const said: Said = { warnings: [] };
      const last = await sync(copy, {}, said);
      for (const table of tables) expect(last[table]).toMatchObject({ error: null });
      await expectEqual(copy, ...tables);
    });
  });

  describe("lost positions", () => {
    beforeAll(async () => {
      server = await shared.createDatabase();
      await sql(
        server,
        `CREATE TABLE t (id int PRIMARY KEY, name text); INSERT INTO t SELECT i, 'n' || i FROM generate_series(1, 300) i`,
      );
    });

    const name = (): string => `headwaters_${server.database}_public`;

    test.each([
      ["dropped", () => `SELECT pg_drop_replication_slot('${name()}')`, "made again"],
      [
        "dropped and made again",
        () =>
          `SELECT pg_drop_replication_slot('${name()}'); UPDATE t SET name = 'unseen' WHERE id = 1; COMMIT; SELECT pg_create_logical_replication_slot('${name()}', 'pgoutput')`,
        "made again",
      ],
      [
        "read by something else",
        () =>
          `SET synchronous_commit = on; UPDATE t SET name = 'unseen' WHERE id = 1; COMMIT; SELECT pg_replication_slot_advance('${name()}', pg_current_wal_flush_lsn())`,
        "read by something else",
      ],
      [
        "of a publication that lacked the table",
        () =>
          `ALTER PUBLICATION ${name()} DROP TABLE t; UPDATE t SET name = 'unseen' WHERE id = 3; COMMIT; ALTER PUBLICATION ${name()} ADD TABLE t`,
        "not in the publication",
      ],
      [
        "of a publication that was made again",
        () =>
          `DROP PUBLICATION ${name()}; UPDATE t SET name = 'unseen' WHERE id = 3; COMMIT; CREATE PUBLICATION ${name()} FOR TABLE t`,
        "not in the publication",
      ],
    ])("a slot that was %s: the table is read whole and settled", async (_, statements, message) => {
      await using copy = await Copy.make();
      await sync(copy);
      await sql(server, `UPDATE t SET name = 'other' WHERE id = 2; DELETE FROM t WHERE id = (SELECT max(id) FROM t)`);
      for (const statement of statements().split("; COMMIT; ")) await sql(server, statement);
      await sql(server, `UPDATE t SET name = 'later' WHERE id = 4`);
      const said: Said = { warnings: [] };
      const healed = await sync(copy, {}, said);
      expect(healed["t"]).toMatchObject({ passes: ["full", "stream"], error: null, deleted: 1 });
      expect(said.warnings.join("\n")).toContain(message);
      await expectEqual(copy, "t");
      await sql(server, `DELETE FROM t WHERE id = 5`);
      expect((await sync(copy))["t"]).toMatchObject({ passes: ["stream"], deleted: 1 });
      await expectEqual(copy, "t");
      await sql(server, `INSERT INTO t VALUES (5, 'n5')`);
    });
  });

  test("each table can be written at the source, whether it is followed or not", async () => {
    server = await shared.createDatabase();
    const made = {
      by_key: "(id int PRIMARY KEY, name text)",
      by_nothing: "(id int, name text)",
      by_index: "(id int NOT NULL UNIQUE, name text)",
      by_all: "(id int NOT NULL UNIQUE, name text)",
      by_other: "(id int PRIMARY KEY, name text, other int NOT NULL UNIQUE DEFAULT 1)",
      by_none: "(id int PRIMARY KEY, name text)",
    };
    for (const [table, columns] of Object.entries(made)) await sql(server, `CREATE TABLE ${table} ${columns}`);
    await sql(
      server,
      `ALTER TABLE by_all REPLICA IDENTITY FULL; ALTER TABLE by_none REPLICA IDENTITY NOTHING;
       ALTER TABLE by_other REPLICA IDENTITY USING INDEX by_other_other_key; CREATE UNLOGGED TABLE unlogged (id int PRIMARY KEY, name text)`,
    );
    const tables = [...Object.keys(made), "unlogged"];
    await using source = await open();
    const notes = new Map((await source.discover(never)).map((table) => [table.id, table]));
    expect(tables.filter((table) => notes.get(table)!.streamed)).toEqual(["by_key", "by_all"]);
    expect(notes.get("by_key")!.notes[0]).toContain("read from the log, by the slot headwaters_");
    expect(notes.get("by_other")!.notes[0]).toContain("since its replica identity does not hold the key");
    expect(notes.get("unlogged")!.notes[0]).toContain("since it is unlogged");
    await using copy = await Copy.make();
    await sync(copy);
    for (const table of tables) {
      await sql(server, `INSERT INTO ${table} (id, name) VALUES (1, 'a')`);
      await sql(server, `UPDATE ${table} SET name = 'b'`);
      await sync(copy);
      await sql(server, `DELETE FROM ${table}; INSERT INTO ${table} (id, name) VALUES (2, 'c')`);
    }
    await sync(copy);
    await expectEqual(copy, ...tables);
  });
});

await describeWith(
  () => startOwnPostgresql(),
  "a commit that nobody sees yet",
  (server) => {
    test("is not passed over: the stream goes on before it", async () => {
      await sql(server, `CREATE TABLE t (id int PRIMARY KEY, name text); INSERT INTO t VALUES (1, 'a'), (2, 'a')`);
      await using copy = await Copy.make();
      const sync = async (): Promise<void> => {
        await using source = await openSource(server, { changes: "stream" });
        const run = await copy.sync(source, { capabilities });
        expect(run.tables[0]).toMatchObject({ outcome: "whole" });
      };
      await sync();
      await sql(server, `ALTER SYSTEM SET synchronous_standby_names = 'absent'`);
      await sql(server, `SELECT pg_reload_conf()`);
      const writer = await session(server);
      await writer.query("SET synchronous_commit = on");
      const hanging = writer.query("UPDATE t SET name = 'late' WHERE id = 1");
      const waits = `SELECT count(*)::text AS n FROM pg_stat_activity WHERE wait_event = 'SyncRep'`;
      await expect.poll(async () => (await sql(server, waits))[0]!["n"], { timeout: 10_000 }).toBe("1");
      await sql(server, `SET synchronous_commit = local; UPDATE t SET name = 'seen' WHERE id = 2`);
      // Twice: the log still has the commit that nobody saw.
      for (let time = 0; time < 2; time++) {
        await sync();
        expect(await copy.rows()).toEqual({ 1: "a", 2: "seen" });
      }
      await sql(server, `ALTER SYSTEM RESET synchronous_standby_names`);
      await sql(server, `SELECT pg_reload_conf()`);
      await hanging;
      await sync();
      expect(await copy.rows()).toEqual({ 1: "late", 2: "seen" });
      await writer.end();
    });
  },
);

await describeWith(
  () => startOwnPostgresql({ settings: { wal_level: "replica" } }),
  "what a stream needs",
  (server) => {
    test("is said where it is missing", async () => {
      await sql(server, `CREATE TABLE t (id int PRIMARY KEY, name text)`);
      await using copy = await Copy.make();
      await using source = await openSource(server, { changes: "stream" });
      const run = await copy.sync(source, { capabilities });
      expect(run.tables[0]!.error).toMatchObject({
        code: "CONFIGURATION_INVALID",
        hint: expect.stringContaining("wal_level"),
      });
    });
  },
);
