import { beforeEach, expect, test } from "vitest";
import { verify } from "../../../src/engine/commands/verify.ts";
import type { Source } from "../../../src/protocol/source.ts";
import { configuration } from "../../../src/sources/yugabytedb/config.ts";
import { definition } from "../../../src/sources/yugabytedb/index.ts";
import { FollowedCopy, soon } from "../../engine/followed.ts";
import { Copy } from "../../engine/harness.ts";
import { type PostgresqlServer, startOwnPostgresql } from "../../servers/postgresql.ts";
import { describeWith } from "../../servers/require.ts";
import { likeYugabyte } from "../../servers/yugabyte-like.ts";
import { collect, never, sql } from "./harness.ts";

const { capabilities } = definition;

/** A source of YugabyteDB as a user would configure it. */
function openYugabyte(
  server: PostgresqlServer,
  follows: boolean,
  said = { warnings: [] as string[] },
): Promise<Source> {
  const { host, port, database, user, password } = server;
  const silent = (): void => {};
  return definition.open(configuration.parse({ host, port, database, user, password, changes: "stream" }), {
    log: { debug: silent, info: silent, warn: (message) => void said.warnings.push(message) },
    ...{ tables: {}, types: "exact", signal: never, ...(follows ? { follows: true } : {}) },
  });
}

/** A server of its own: what is altered in its catalogs must not reach others. */
await describeWith(startOwnPostgresql, "YugabyteDB, as PostgreSQL can stand in for it", (shared) => {
  let server: PostgresqlServer;
  beforeEach(async () => {
    server = await shared.createDatabase();
    await sql(
      server,
      `CREATE TABLE t (id int PRIMARY KEY, name text); INSERT INTO t VALUES (1, 'a'), (2, 'a');
       CREATE TABLE u (id int PRIMARY KEY, name text, updated_at timestamptz DEFAULT now()); INSERT INTO u VALUES (1, 'a')`,
    );
    await likeYugabyte(server);
  });
  const slot = (): string => `headwaters_${server.database}_public`;
  const follow = (copy: Copy): FollowedCopy =>
    new FollowedCopy(copy, capabilities, (said) => openYugabyte(server, true, said));

  test("is followed, and goes on from the position of the copy", { timeout: 120_000 }, async () => {
    await using copy = await Copy.make();
    {
      await using following = follow(copy);
      await following.expectRows({ 1: "a", 2: "a" });
      await following.expectRows({ 1: "a" }, "u");
      await sql(
        server,
        `UPDATE t SET name = 'b' WHERE id = 1; DELETE FROM t WHERE id = 2; INSERT INTO t VALUES (3, 'c')`,
      );
      await sql(server, `UPDATE t SET id = 4 WHERE id = 3; INSERT INTO u VALUES (2, 'n')`);
      await following.expectRows({ 1: "b", 4: "c" });
      await following.expectRows({ 1: "a", 2: "n" }, "u");
      // Once a look-up surely saw what changed, the server need not keep it.
      await expect
        .poll(async () => {
          const { kept } = following.events.findLast((event) => event.kind === "followed")!;
          const [row] = await sql(server, `SELECT confirmed_flush_lsn AS lsn FROM pg_replication_slots`);
          return kept?.bytes === null && kept.position === row!["lsn"];
        }, soon)
        .toBe(true);
      expect(following.warnings).not.toMatch(/lost|whole|read\b/);
    }
    // A sync sees changes as without a stream, and leaves its position as it is.
    await sql(server, `INSERT INTO u VALUES (3, 'o'); UPDATE t SET name = 'd' WHERE id = 1`);
    {
      await using source = await openYugabyte(server, false);
      const [table] = await source.discover(never);
      expect(table).toMatchObject({
        id: "t",
        notes: [expect.stringContaining("headwaters follow reads"), expect.anything()],
      });
      expect(table!.streamed).toBeUndefined();
      await copy.sync(source, { capabilities });
      expect([await copy.rows(), await copy.rows("u")]).toEqual([
        { 1: "d", 4: "c" },
        { 1: "a", 2: "n", 3: "o" },
      ]);
    }
    await sql(server, `UPDATE u SET name = 'p' WHERE id = 1; DELETE FROM u WHERE id = 2`);
    await using following = follow(copy);
    await following.expectRows({ 1: "p", 3: "o" }, "u");
    await sql(server, `DELETE FROM t WHERE id = 1`);
    await following.expectRows({ 4: "c" });
    expect(following.passes("u")).not.toContain("full");
    const { tables } = await following.stop();
    expect(tables.map(({ outcome }) => outcome)).toEqual(["whole", "whole"]);
    await using source = await openYugabyte(server, false);
    await using warehouse = await copy.open();
    const report = await verify(copy.connection(source, warehouse, { capabilities }), { signal: never }, () => {});
    expect(report.verdict).toBe("CONVERGED");
  });

  test("a copy is as old as the last commit that the log told of", { timeout: 60_000 }, async () => {
    await using copy = await Copy.make();
    const asOf = (): Promise<string | null> =>
      copy
        .query(`SELECT json_extract_string(state, '$.asOf') AS as_of FROM _headwaters.tables WHERE id = 't'`)
        .then(([row]) => row!["as_of"] as string)
        .catch(() => null);
    await using following = follow(copy);
    await following.expectRows({ 1: "a", 2: "a" });
    // A reader may find the file open at a commit.
    let copied: string | null = null;
    await expect.poll(async () => (copied = await asOf()), soon).not.toBeNull();
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    await sql(server, `UPDATE u SET name = 'b'`);
    await following.expectRows({ 1: "b" }, "u");
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    await sql(server, `UPDATE t SET name = 'c' WHERE id = 1`);
    await following.expectRows({ 1: "c", 2: "a" });
    await expect.poll(async () => ((await asOf()) ?? "") > copied!, soon).toBe(true);
  });

  test("a slot that is made again is another stream: the tables are read whole", { timeout: 60_000 }, async () => {
    await using copy = await Copy.make();
    {
      await using following = follow(copy);
      await following.expectRows({ 1: "a", 2: "a" });
      await sql(server, `UPDATE t SET name = 'b' WHERE id = 1`);
      await following.expectRows({ 1: "b", 2: "a" });
    }
    await sql(server, `SELECT pg_drop_replication_slot('${slot()}')`);
    await sql(server, `UPDATE t SET name = 'unseen' WHERE id = 2; UPDATE standin.remade SET times = times + 1`);
    await sql(server, `SELECT pg_create_logical_replication_slot('${slot()}', 'yboutput')`);
    await using following = follow(copy);
    await following.expectRows({ 1: "b", 2: "unseen" });
    expect(following.warnings).toContain("its stream was lost");
    expect(following.warnings).toContain(`the slot "${slot()}" was made again`);
    await sql(server, `INSERT INTO t VALUES (5, 'n')`);
    await following.expectRows({ 1: "b", 2: "unseen", 5: "n" });
  });

  test("what it needs is checked, and what it keeps is removed", { timeout: 60_000 }, async () => {
    const messages = async (): Promise<string> => {
      await using source = await openYugabyte(server, false);
      const checks = await collect(source.check(never));
      return checks.filter(({ name }) => name === "stream").map(({ status, message }) => `${status}: ${message}`)[0]!;
    };
    expect(await messages()).toBe(
      `ok: The first headwaters follow makes slot "${slot()}" and publication "${slot()}".`,
    );
    await using copy = await Copy.make();
    {
      await using following = follow(copy);
      await following.expectRows({ 1: "a", 2: "a" });
    }
    expect(await messages()).toBe(`ok: Slot "${slot()}" keeps the log for some hours (cdc_intent_retention_ms).`);
    await using source = await openYugabyte(server, false);
    expect(await source.unfollow!(never)).toEqual([`replication slot "${slot()}"`, `publication "${slot()}"`]);
  });
});
