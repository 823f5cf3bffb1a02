import { DuckDBInstance } from "@duckdb/node-api";
import { beforeEach, describe, expect, test } from "vitest";
import { verify } from "../../../src/engine/commands/verify.ts";
import { HeadwatersError } from "../../../src/protocol/errors.ts";
import type { Warehouse } from "../../../src/protocol/destination.ts";
import type { Source } from "../../../src/protocol/source.ts";
import { definition } from "../../../src/sources/postgresql/index.ts";
import { FollowedCopy, soon, type Wrapped } from "../../engine/followed.ts";
import { Copy } from "../../engine/harness.ts";
import { type PostgresqlServer, startOwnPostgresql, startPostgresql } from "../../servers/postgresql.ts";
import { describeWith } from "../../servers/require.ts";
import { never, openSource, session, sql } from "./harness.ts";

const { capabilities } = definition;
/** What is otherwise than usual. */
interface How extends Wrapped {
  readonly settings?: Readonly<Record<string, unknown>>;
}

class Followed extends FollowedCopy {
  constructor(server: PostgresqlServer, copy: Copy, { settings, ...wrapped }: How = {}) {
    super(copy, capabilities, (said) => openSource(server, { changes: "stream", ...settings }, {}, said), wrapped);
  }
}

async function verdict(server: PostgresqlServer, copy: Copy): Promise<string> {
  await using source = await openSource(server, { changes: "stream" });
  await using warehouse = await copy.open();
  const report = await verify(copy.connection(source, warehouse, { capabilities }), { signal: never }, () => {});
  return report.verdict;
}

await describeWith(startPostgresql, "a copy that is followed", (shared) => {
  let server: PostgresqlServer;
  beforeEach(async () => {
    server = await shared.createDatabase();
    await sql(server, `CREATE TABLE t (id int PRIMARY KEY, name text); INSERT INTO t VALUES (1, 'a'), (2, 'a')`);
  });
  const slot = (): string => `headwaters_${server.database}_public`;

  test("shows changes soon, of a table that is made meanwhile too, and a stop is whole", async () => {
    await using copy = await Copy.make();
    await using following = new Followed(server, copy);
    await following.expectRows({ 1: "a", 2: "a" });
    await sql(
      server,
      `UPDATE t SET name = 'b' WHERE id = 1; DELETE FROM t WHERE id = 2; INSERT INTO t VALUES (3, 'c')`,
    );
    await following.expectRows({ 1: "b", 3: "c" });
    await sql(server, `ALTER TABLE t ADD COLUMN more int DEFAULT 5; UPDATE t SET name = 'd' WHERE id = 1`);
    await expect
      .poll(() => copy.query("SELECT id, name, more FROM s.t WHERE id = 1").catch(String), soon)
      .toEqual([{ id: 1, name: "d", more: 5 }]);
    await sql(server, `TRUNCATE t; INSERT INTO t VALUES (7, 'x')`);
    await following.expectRows({ 7: "x" });
    const record = await following.stop();
    expect(record.tables).toMatchObject([{ table: "t", outcome: "whole" }]);
    expect(await verdict(server, copy)).toBe("CONVERGED");
  });

  test("reads the slot all the time, from the end of the first pass on", async () => {
    await using copy = await Copy.make();
    await using following = new Followed(server, copy);
    await following.expectRows({ 1: "a", 2: "a" });
    const active = async (): Promise<boolean> => {
      const [found] = await sql(server, `SELECT active::text FROM pg_replication_slots WHERE slot_name = '${slot()}'`);
      return found!["active"] === "true";
    };
    await expect.poll(active, soon).toBe(true);
    await sql(server, `UPDATE t SET name = 'b' WHERE id = 1`);
    await following.expectRows({ 1: "b", 2: "a" });
    expect(await active()).toBe(true);
    await following.stop();
  });

  test("a table that is renamed: the old name fails, and its copy stays; the new one is followed", async () => {
    await using copy = await Copy.make();
    await using following = new Followed(server, copy);
    await following.expectRows({ 1: "a", 2: "a" });
    await sql(server, `ALTER TABLE t RENAME TO renamed; UPDATE renamed SET name = 'b' WHERE id = 1`);
    await following.expectRows({ 1: "b", 2: "a" }, "renamed");
    await sql(server, `DELETE FROM renamed WHERE id = 2; INSERT INTO renamed VALUES (3, 'c')`);
    await following.expectRows({ 1: "b", 3: "c" }, "renamed");
    expect(await copy.rows("t")).toEqual({ 1: "a", 2: "a" });
    const { tables } = await following.stop();
    expect(tables.find(({ table }) => table === "t")).toMatchObject({ error: { code: "TABLE_UNKNOWN" } });
    expect(tables.find(({ table }) => table === "renamed")).toMatchObject({ outcome: "whole" });
    // Another table takes the old name, and goes on in the old copy.
    await using again = new Followed(server, copy);
    await sql(server, `CREATE TABLE t (id int PRIMARY KEY, name text); INSERT INTO t VALUES (9, 'z')`);
    await again.expectRows({ 9: "z" });
    await again.stop();
    expect(await verdict(server, copy)).toBe("CONVERGED");
  });

  test("a commit interval apart, the file can be read by others, and no other sync can begin", async () => {
    await using copy = await Copy.make();
    await using following = new Followed(server, copy);
    await following.expectRows({ 1: "a", 2: "a" });
    await using source = await openSource(server, { changes: "stream" });
    await expect
      .poll(
        () => copy.sync(source, { capabilities }).catch((thrown: unknown) => (thrown as HeadwatersError).code),
        soon,
      )
      .toBe("SYNC_RUNNING");
    const reader = await DuckDBInstance.create(copy.path, { access_mode: "READ_ONLY" });
    await sql(server, `UPDATE t SET name = 'b'`);
    reader.closeSync();
    await following.expectRows({ 1: "b", 2: "b" });
    await following.stop();
    await copy.sync(source, { capabilities });
  });

  test.each([
    [
      "dropped",
      () => [`SELECT pg_drop_replication_slot('${slot()}')`, `UPDATE t SET name = 'unseen' WHERE id = 1`],
      "made again",
    ],
    [
      "of a publication that lacked the table",
      () => [
        `ALTER PUBLICATION ${slot()} DROP TABLE t`,
        `UPDATE t SET name = 'unseen' WHERE id = 1`,
        `ALTER PUBLICATION ${slot()} ADD TABLE t`,
        `INSERT INTO t VALUES (9, 'i')`,
      ],
      "not in the publication",
    ],
    [
      "of a publication that was dropped",
      () => [`DROP PUBLICATION ${slot()}`, `UPDATE t SET name = 'unseen' WHERE id = 1`],
      "not in the publication",
    ],
  ])("a slot that was %s: the table is read whole, and then on", async (what, statements, message) => {
    await using copy = await Copy.make();
    await using following = new Followed(server, copy);
    await following.expectRows({ 1: "a", 2: "a" });
    for (const statement of statements()) {
      if (what === "dropped") {
        await sql(
          server,
          `SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '${slot()}'`,
        );
      }
      await expect.poll(() => sql(server, statement).then(() => null, String), soon).toBeNull();
    }
    await expect.poll(() => copy.rows().catch(String), soon).toMatchObject({ 1: "unseen" });
    expect(following.warnings).toContain(message);
    await sql(server, `UPDATE t SET name = 'on' WHERE id = 2`);
    await expect.poll(() => copy.rows().catch(String), soon).toMatchObject({ 1: "unseen", 2: "on" });
    await following.stop();
    expect(await verdict(server, copy)).toBe("CONVERGED");
  });

  test("a table that fails is set aside while the others go on", async () => {
    await sql(
      server,
      `CREATE TABLE u (id int PRIMARY KEY, name text); INSERT INTO u VALUES (1, 'a');
       DO $$ BEGIN CREATE ROLE live LOGIN REPLICATION PASSWORD 'live'; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
       GRANT SELECT ON t, u TO live; CREATE PUBLICATION p FOR TABLE t, u`,
    );
    await using copy = await Copy.make();
    const settings = { user: "live", password: "live", publication: "p" };
    await using following = new Followed(server, copy, { settings });
    await following.expectRows({ 1: "a" }, "u");
    await sql(server, "REVOKE SELECT ON u FROM live; UPDATE u SET name = 'b'; UPDATE t SET name = 'b' WHERE id = 1");
    await following.expectRows({ 1: "b", 2: "a" });
    await expect
      .poll(() => following.events.some((event) => event.kind === "finished" && event.error !== null))
      .toBe(true);
    await sql(server, "UPDATE t SET name = 'c' WHERE id = 1");
    await following.expectRows({ 1: "c", 2: "a" });
    await sql(server, "GRANT SELECT ON u TO live");
    await following.expectRows({ 1: "b" }, "u");
    expect(following.passes("u").filter((pass) => pass === "full")).toHaveLength(1);
  });

  describe("failures at a commit", () => {
    /** Fails every third commit, before or after it is durable. */
    function failing(when: "before" | "after"): (warehouse: Warehouse) => Warehouse {
      let commits = 0;
      return (warehouse) => ({
        ...warehouse,
        async begin(lease, stamp) {
          const transaction = await warehouse.begin(lease, stamp);
          const commit = transaction.commit.bind(transaction);
          transaction.commit = async (progress) => {
            commits += 1;
            const lost = new HeadwatersError("CONNECTION_LOST", "the connection was lost");
            if (commits % 3 === 0 && when === "before") throw lost;
            const changes = await commit(progress);
            if (commits % 3 === 0) throw lost;
            return changes;
          };
          return transaction;
        },
      });
    }
    const unheard = (source: Source): Source => ({
      ...forwarding(source),
      keepFrom: async () => Promise.reject(new HeadwatersError("CONNECTION_LOST", "the connection was lost")),
    });
    const late = (source: Source): Source => ({
      ...forwarding(source),
      async keepFrom(next, signal) {
        await source.keepFrom!(next, signal);
        throw new HeadwatersError("CONNECTION_LOST", "the connection was lost");
      },
    });

    test.each([
      ["before it is durable", { wrap: failing("before") }],
      ["after it is durable", { wrap: failing("after") }],
      ["before it is acknowledged", { wrapSource: unheard }],
      ["after it is acknowledged", { wrapSource: late }],
    ] as readonly (readonly [string, How])[])("%s: nothing is lost", async (_, how) => {
      await using copy = await Copy.make();
      {
        await using following = new Followed(server, copy, how);
        for (let round = 0; round < 8; round++) {
          await sql(server, `UPDATE t SET name = 'r${round}' WHERE id = 1; INSERT INTO t VALUES (${100 + round}, 'n')`);
          await sql(server, `DELETE FROM t WHERE id = ${98 + round}`);
          await new Promise((resolve) => setTimeout(resolve, 200));
        }
        await following.expectRows({ 1: "r7", 2: "a", 106: "n", 107: "n" });
      }
      await sql(server, `DELETE FROM t WHERE id = 106`);
      await using following = new Followed(server, copy);
      await following.expectRows({ 1: "r7", 2: "a", 107: "n" });
      await following.stop();
      expect(await verdict(server, copy)).toBe("CONVERGED");
    });
  });
});

/** All methods of a source, as an object of its own. */
function forwarding(source: Source): Source {
  return {
    check: (signal) => source.check(signal),
    discover: (signal, known) => source.discover(signal, known),
    plan: (tables, kind, previous, signal) => source.plan(tables, kind, previous, signal),
    resume: (pass, signal) => source.resume(pass, signal),
    read: (pass, split, state, how) => source.read(pass, split, state, how),
    lookup: (table, keys, how) => source.lookup(table, keys, how),
    release: async (tables) => source.release?.(tables),
    changed: (within, among, signal) => source.changed!(within, among, signal),
    [Symbol.asyncDispose]: () => source[Symbol.asyncDispose](),
  };
}

await describeWith(
  () => startOwnPostgresql({ settings: { wal_sender_timeout: "1500" } }),
  "a server of its own that is followed",
  (server) => {
    beforeEach(async () => {
      await sql(
        server,
        `DROP TABLE IF EXISTS t; CREATE TABLE t (id int PRIMARY KEY, name text); INSERT INTO t VALUES (1, 'a'), (2, 'a')`,
      );
    });

    test("a commit that nobody sees yet is waited for", { timeout: 60_000 }, async () => {
      await using copy = await Copy.make();
      await using following = new Followed(server, copy);
      await following.expectRows({ 1: "a", 2: "a" });
      await sql(server, `ALTER SYSTEM SET synchronous_standby_names = 'absent'`);
      await sql(server, `SELECT pg_reload_conf()`);
      const writer = await session(server);
      await writer.query("SET synchronous_commit = on");
      const hanging = writer.query("UPDATE t SET name = 'late' WHERE id = 1");
      const waits = `SELECT count(*)::text AS n FROM pg_stat_activity WHERE wait_event = 'SyncRep'`;
      await expect.poll(async () => (await sql(server, waits))[0]!["n"], soon).toBe("1");
      await sql(server, `SET synchronous_commit = local; UPDATE t SET name = 'seen' WHERE id = 2`);
      await following.expectRows({ 1: "a", 2: "seen" });
      const rounds = following.events.length;
      await new Promise((resolve) => setTimeout(resolve, 3_000));
      // It is looked at now and then, not all the time.
      expect(following.events.length - rounds).toBeLessThan(60);
      await following.expectRows({ 1: "a", 2: "seen" });
      await sql(server, `ALTER SYSTEM RESET synchronous_standby_names`);
      await sql(server, `SELECT pg_reload_conf()`);
      await hanging;
      await following.expectRows({ 1: "late", 2: "seen" });
      await writer.end();
    });

    test("an idle database lets its log go, and short timeouts are outlived", { timeout: 60_000 }, async () => {
      await using copy = await Copy.make();
      await using following = new Followed(server, copy);
      await following.expectRows({ 1: "a", 2: "a" });
      await sql(server, `CREATE TABLE other (id int); DROP TABLE IF EXISTS unlike`);
      const grow = `SELECT count(pg_logical_emit_message(false, 'x', repeat('x', 100000))) FROM generate_series(1, 50)`;
      for (let round = 0; round < 5; round++) {
        await sql(server, grow);
        await new Promise((resolve) => setTimeout(resolve, 700));
      }
      const kept = `SELECT (pg_current_wal_lsn() - confirmed_flush_lsn)::text AS n FROM pg_replication_slots`;
      await expect.poll(async () => Number((await sql(server, kept))[0]!["n"]), soon).toBeLessThan(1 << 20);
      expect(following.warnings).toBe("");
      await sql(server, "DROP TABLE other");
    });

    test("a restart is outlived", { timeout: 60_000 }, async () => {
      await using copy = await Copy.make();
      await using following = new Followed(server, copy);
      await following.expectRows({ 1: "a", 2: "a" });
      await server.stop("immediate");
      await server.start();
      await sql(server, `UPDATE t SET name = 'b' WHERE id = 1`);
      await following.expectRows({ 1: "b", 2: "a" });
      // The server does not wait for what the destination lacks.
      await sql(server, `CREATE TABLE unknown (id int); INSERT INTO unknown VALUES (1); DROP TABLE unknown`);
      await server.stop("fast");
      await server.start();
      await sql(server, `DELETE FROM t WHERE id = 1`);
      await following.expectRows({ 2: "a" });
      await following.stop();
      expect(await verdict(server, copy)).toBe("CONVERGED");
    });

    test("while the destination is away, the log is given up beyond max_retained", { timeout: 60_000 }, async () => {
      await using copy = await Copy.make();
      let away = false;
      const wrap = (warehouse: Warehouse): Warehouse => ({
        ...warehouse,
        load: () => (away ? Promise.reject(new HeadwatersError("CONNECTION_LOST", "it is away")) : warehouse.load()),
      });
      await using following = new Followed(server, copy, { wrap, settings: { max_retained: "1MB" } });
      await following.expectRows({ 1: "a", 2: "a" });
      away = true;
      await sql(server, `UPDATE t SET name = 'b'; INSERT INTO t VALUES (3, 'c')`);
      await sql(
        server,
        `SELECT count(pg_logical_emit_message(false, 'x', repeat('x', 100000))) FROM generate_series(1, 50)`,
      );
      await expect.poll(() => following.warnings, soon).toContain("more log than max_retained");
      const kept = `SELECT (pg_current_wal_lsn() - confirmed_flush_lsn)::text AS n FROM pg_replication_slots`;
      await expect.poll(async () => Number((await sql(server, kept))[0]!["n"]), soon).toBeLessThan(3 << 20);
      away = false;
      await following.expectRows({ 1: "b", 2: "b", 3: "c" });
      expect(following.passes().filter((pass) => pass === "full")).toHaveLength(2);
    });
  },
);
