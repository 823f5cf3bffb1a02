import { expect, test } from "vitest";
import { HeadwatersError } from "../../../src/protocol/errors.ts";
import { definition } from "../../../src/sources/postgresql/index.ts";
import { Workspace } from "../../cli/workspace.ts";
import { Copy } from "../../engine/harness.ts";
import { startPostgresql } from "../../servers/postgresql.ts";
import { describeWith } from "../../servers/require.ts";
import { openSource, session, sql } from "./harness.ts";

const long = { timeout: 120_000 };
const { capabilities } = definition;

await describeWith(startPostgresql, "one table of PostgreSQL does not harm the others", (server) => {
  /** The most sessions that the server had for this database while `work` ran, without this one. */
  async function mostSessions(work: () => Promise<void>): Promise<number> {
    const client = await session(server);
    const stop = new AbortController();
    let most = 0;
    const looking = (async () => {
      while (!stop.signal.aborted) {
        const { rows } = await client.query<{ count: number }>(
          "SELECT count(*)::int AS count FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'",
        );
        most = Math.max(most, rows[0]!.count);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    })();
    try {
      await work();
    } finally {
      stop.abort();
      await looking;
      await client.end();
    }
    return most;
  }

  test(
    "sessions stay few while tables fail at the destination, in reading and in planning (case 12)",
    long,
    async () => {
      const ids = Array.from({ length: 60 }, (_, index) => `many_${index}`);
      // Without a key a table is read by places in its file, under an exported snapshot.
      await sql(
        server,
        ids.map((id) => `CREATE TABLE ${id} (n bigint, t text); INSERT INTO ${id} VALUES (3000000000, 'x')`).join("; "),
      );
      await sql(server, "CREATE TABLE many_parted (n int, t text) PARTITION BY RANGE (n)");
      await sql(server, "CREATE TABLE many_others (n int, t text) PARTITION BY LIST (n)");
      const unreadable = ids.filter((_, index) => index % 3 === 0);
      const unwritable = new Set(ids.filter((_, index) => index % 3 === 1));
      const tables = Object.fromEntries(unreadable.map((id) => [id, { types: { n: { kind: "INT" } as const } }]));
      await using source = await openSource(server, {}, { tables });
      await using copy = await Copy.make();
      const most = await mostSessions(async () => {
        const run = await copy.sync(source, {
          capabilities,
          selection: { include: ["many_*"], exclude: [] },
          settings: { parallel: 3 },
          wrap: (warehouse) => ({
            ...warehouse,
            async begin(...parameters) {
              const transaction = await warehouse.begin(...parameters);
              const { write } = transaction;
              transaction.write = async (pass, split, operation) => {
                if (unwritable.has(pass.tables[0]!.id))
                  throw new HeadwatersError("DESTINATION_FAILED", "no room for this one");
                return write.call(transaction, pass, split, operation);
              };
              return transaction;
            },
          }),
        });
        const outcomes = new Map(run.tables.map(({ table, outcome }) => [table, outcome]));
        for (const id of ids)
          expect([id, outcomes.get(id)]).toEqual([id, ids.indexOf(id) % 3 === 2 ? "whole" : "failed"]);
        expect(outcomes.get("many_parted")).toBe("whole");
      });
      // One that reads and one that keeps a snapshot, for each of `parallel`, and one that plans.
      expect(most).toBeLessThanOrEqual(2 * 3 + 1);
      expect(most).toBeGreaterThan(1);
    },
  );

  test(
    "a cursor column that was renamed, types that no longer fit: each table fails alone, and one without columns is copied (cases 13, 16)",
    long,
    async () => {
      await sql(
        server,
        `CREATE TABLE moved (id int PRIMARY KEY, changed_at timestamptz); INSERT INTO moved VALUES (1, now());
       CREATE TABLE typed (id int PRIMARY KEY, v int); INSERT INTO typed VALUES (1, 1);
       CREATE TABLE filtered (id int PRIMARY KEY); INSERT INTO filtered VALUES (1);
       CREATE TABLE bare (); INSERT INTO bare DEFAULT VALUES;
       CREATE TABLE fine (id int PRIMARY KEY); INSERT INTO fine VALUES (1)`,
      );
      const tables = {
        moved: { cursor: "seen_at" },
        typed: { types: { gone: { kind: "STRING" } as const } },
        filtered: { filter: "id > 0)" },
      };
      await using source = await openSource(server, {}, { tables });
      await using copy = await Copy.make();
      const selection = { include: ["moved", "typed", "filtered", "bare", "fine"], exclude: [] };
      const run = await copy.sync(source, { capabilities, selection });
      expect(Object.fromEntries(run.tables.map(({ table, error }) => [table, error?.code ?? null]))).toEqual({
        moved: "CURSOR_INVALID",
        typed: "CONFIGURATION_INVALID",
        filtered: "CONFIGURATION_INVALID",
        bare: null,
        fine: null,
      });
      expect((await copy.sync(source, { capabilities, selection, only: ["fine"] })).outcome).toBe("succeeded");

      const { host, port, user, password, database } = server;
      await using workspace = await Workspace.make({ type: "postgresql", host, port, user, password, database });
      await workspace.configure({
        tables: { include: ["moved", "fine"] },
        overrides: { moved: { cursor: "seen_at" } },
      });
      const shown = await workspace.run("discover");
      expect(shown.code).toBe(2);
      expect(shown.out).toMatch(/^fine +id/m);
      expect(shown.error).toContain('table "moved": there is no column "seen_at" to be the cursor (CURSOR_INVALID)');
      expect(shown.error).toContain("Columns that can be: changed_at.");
      expect((await workspace.run("discover", "--tables", "fine")).code).toBe(0);
      const synced = await workspace.run("sync", "--quiet");
      expect([synced.code, synced.error.includes("CURSOR_INVALID")]).toEqual([2, true]);
      expect(await workspace.rows("fine")).toHaveLength(1);
      expect((await workspace.run("verify", "--tables", "fine")).code).toBe(0);
    },
  );
});
