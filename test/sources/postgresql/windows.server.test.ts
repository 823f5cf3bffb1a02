import { describe, expect, test } from "vitest";
import type { Json } from "../../../src/protocol/json.ts";
import { workOf } from "../../../src/sources/postgresql/work.ts";
import { describeWith } from "../../servers/require.ts";
import { startPostgresql } from "../../servers/postgresql.ts";
import {
  cellsOf,
  collect,
  fast,
  independent,
  never,
  openSource,
  operationsOf,
  passOf,
  rowsOfPass,
  type Said,
  session,
  sql,
  tableOf,
} from "./harness.ts";

/** The start of the next window, as a moment. */
function highOf(next: Json | undefined): number {
  const { high } = next as { readonly high: string };
  return Date.parse(`${high.replace(" ", "T").replace(/\+00$/, "")}Z`);
}

await describeWith(startPostgresql, "windows of YugabyteDB", (server) => {
  async function window(name: string, previous: Json, more: Readonly<Record<string, unknown>> = {}) {
    await using source = await openSource(server, more);
    const pass = await passOf(source, await tableOf(source, name), "window", previous);
    const ids = (await rowsOfPass(source, pass)).map((row) => Number(row[0])).sort((a, b) => a - b);
    expect((await rowsOfPass(source, pass, independent)).map((row) => Number(row[0])).sort((a, b) => a - b)).toEqual(
      ids,
    );
    return { ids, pass };
  }

  describe("the window's rows, by each type of cursor, with and without an index", () => {
    test.each([
      ["timestamptz", true],
      ["timestamptz", false],
      ["timestamp", true],
      ["timestamp", false],
      ["date", true],
      ["date", false],
    ])("%s, index %s", async (type, indexed) => {
      const name = `w_${type}_${indexed}`;
      await sql(
        server,
        `CREATE TABLE ${name} (id int PRIMARY KEY, updated_at ${type});
         INSERT INTO ${name} VALUES (1, now() - interval '10 days'), (2, now() - interval '1 day'), (3, now() - interval '1 day'),
           (4, now()), (5, NULL), (6, now() + interval '10 days'), (7, 'infinity'), (8, '-infinity')`,
      );
      if (indexed) await sql(server, `CREATE INDEX ON ${name} (updated_at)`);
      const [row] = await sql(server, `SELECT updated_at::text AS at FROM ${name} WHERE id = 2`);
      // Both of the equal cursors at the window's start are in it; NULL and what lies in the future are not.
      expect((await window(name, { high: row!["at"]! })).ids).toEqual([2, 3, 4]);
      const { ids, pass } = await window(name, null);
      expect(ids).toEqual([1, 2, 3, 4, 8]);
      expect(workOf(pass.splits[0]!).order).toBe(indexed ? "cursor" : "key");
      const reached = highOf(pass.next[name]);
      expect(reached).toBeLessThan(Date.now() - 59_000);
      expect(reached).toBeGreaterThan(Date.now() - (type === "date" ? 3 : 1) * 86_400_000 - 7_200_000);
    });
  });

  test("a window by an index resumes between equal cursors", async () => {
    await sql(
      server,
      `CREATE TABLE equals (id int, part text, updated_at timestamptz, PRIMARY KEY (part, id)); CREATE INDEX ON equals (updated_at);
       INSERT INTO equals SELECT i, 'p' || i % 3, now() - (i / 500) * interval '1 minute' FROM generate_series(1, 3000) i`,
    );
    await using source = await openSource(server);
    const pass = await passOf(source, await tableOf(source, "equals"), "window");
    const operations = [...(await operationsOf(source, pass, { ...fast, batchBytes: 4 << 10 })).values()].flat();
    const whole = cellsOf(operations);
    expect(whole).toHaveLength(3000);
    for (const [cut, operation] of operations.entries()) {
      if (operation.kind !== "checkpoint") continue;
      const rest = await collect(source.read(pass, pass.splits[0]!, operation.state, fast));
      expect([...cellsOf(operations.slice(0, cut)), ...cellsOf(rest)]).toEqual(whole);
    }
  });

  test("where an index can't be walked, places of rows are", async () => {
    await sql(
      server,
      `CREATE TABLE unindexed (id uuid PRIMARY KEY, v text, updated_at timestamptz);
       INSERT INTO unindexed SELECT md5(i::text)::uuid, rpad('', 1900, 'x'), now() - i * interval '1 hour' FROM generate_series(1, 9000) i`,
    );
    await using source = await openSource(server);
    const pass = await passOf(source, await tableOf(source, "unindexed"), "window", { high: "2000-01-01 00:00:00+00" });
    expect(workOf(pass.splits[0]!).order).toBe("ctid");
    expect(await rowsOfPass(source, pass)).toHaveLength(9_000);
  });

  describe("where the next window starts", () => {
    const make = "CREATE TABLE IF NOT EXISTS moments (id int PRIMARY KEY, updated_at timestamptz)";

    async function next(): Promise<number> {
      await using source = await openSource(server, { lag: "10" });
      const plan = await source.plan([await tableOf(source, "moments")], "full", {}, never);
      expect(Math.abs(Date.parse(plan.asOf) - Date.now())).toBeLessThan(5_000);
      return highOf(plan.next["moments"]);
    }

    test("the lag before now", async () => {
      await sql(server, make);
      expect(Math.abs((await next()) - (Date.now() - 10_000))).toBeLessThan(3_000);
    });

    test("the lag before the oldest transaction that is open", async () => {
      await sql(server, make);
      const writer = await session(server);
      await writer.query("BEGIN; INSERT INTO moments VALUES (1, now())");
      const [row] = (await writer.query<{ at: string }>("SELECT now()::text AS at")).rows;
      await new Promise((resolve) => {
        setTimeout(resolve, 1_500);
      });
      const high = await next();
      expect(high).toBeLessThanOrEqual(Date.parse(row!.at) - 10_000 + 1);
      await writer.query("COMMIT");
      await writer.end();
      expect(await next()).toBeGreaterThan(high);
    });

    test("a transaction that only reads so far counts, ours do not", async () => {
      await sql(server, make);
      await using reading = await openSource(server);
      await sql(server, "CREATE TABLE IF NOT EXISTS kept (n int); INSERT INTO kept VALUES (1)");
      await passOf(reading, await tableOf(reading, "kept"));
      const writer = await session(server);
      await writer.query("BEGIN; SELECT 1");
      const began = Date.now();
      await new Promise((resolve) => {
        setTimeout(resolve, 1_500);
      });
      expect(await next()).toBeLessThanOrEqual(began - 10_000 + 100);
      await writer.query("ROLLBACK");
      await writer.end();
      // The snapshot that `reading` keeps open is of this source itself.
      const plan = await reading.plan([await tableOf(reading, "moments")], "full", {}, never);
      expect(highOf(plan.next["moments"])).toBeGreaterThan(began - 60_000);
    });

    test("a day before a transaction that is prepared", async () => {
      await using other = await server.createDatabase();
      await sql(other, make);
      await sql(other, `BEGIN; INSERT INTO moments VALUES (1, now()); PREPARE TRANSACTION 'waiting'`);
      await using source = await openSource(other);
      const plan = await source.plan([await tableOf(source, "moments")], "full", {}, never);
      expect(highOf(plan.next["moments"])).toBeLessThan(Date.now() - 86_400_000);
      await sql(other, "COMMIT PREPARED 'waiting'");
    });

    test("a role that can't see others' transactions is told, once", async () => {
      await sql(server, make);
      const role = `watcher_${Date.now()}`;
      await sql(
        server,
        `CREATE ROLE ${role} LOGIN PASSWORD 'x'; GRANT SELECT ON moments TO ${role}; GRANT USAGE ON SCHEMA public TO ${role}`,
      );
      const said: Said = { warnings: [] };
      {
        await using source = await openSource(server, { user: role, password: "x" }, {}, said);
        const table = await tableOf(source, "moments");
        await source.plan([table], "full", {}, never);
        await source.plan([table], "window", {}, never);
        expect(said.warnings).toHaveLength(1);
        expect(said.warnings[0]).toContain("pg_read_all_stats");
      }
      await sql(server, `DROP OWNED BY ${role}; DROP ROLE ${role}`);
    });

    test("a timestamp without zone may mean UTC or the database's own, in summer or winter", async () => {
      await using other = await server.createDatabase();
      await sql(
        other,
        `ALTER DATABASE "${other.database}" SET TimeZone = 'America/New_York'; CREATE TABLE local (id int PRIMARY KEY, updated_at timestamp)`,
      );
      await sql(other, "INSERT INTO local VALUES (1, localtimestamp), (2, timezone('UTC', now()))");
      await using source = await openSource(other);
      const pass = await passOf(source, await tableOf(source, "local"), "window");
      expect(await rowsOfPass(source, pass)).toHaveLength(2);
      const behind = Date.now() - highOf(pass.next["local"]);
      expect(behind).toBeGreaterThan(5 * 3_600_000);
      expect(behind).toBeLessThan(7 * 3_600_000);
    });
  });

  describe("the cursor column", () => {
    const make =
      "CREATE TABLE IF NOT EXISTS chosen (id int PRIMARY KEY, seen_at timestamptz, updated_at text, day date, note text)";

    test("is named by the user", async () => {
      await sql(server, make);
      await using source = await openSource(server, {}, { tables: { chosen: { cursor: "seen_at" } } });
      expect(await tableOf(source, "chosen")).toMatchObject({ cursor: "seen_at", version: "seen_at" });
    });

    test("is not detected where its type can't be one", async () => {
      await sql(server, make);
      await using source = await openSource(server);
      const table = await tableOf(source, "chosen");
      expect(table).toMatchObject({ cursor: null, version: null });
      expect(table.notes.join(" ")).toContain("read whole at each sync");
    });

    test.each([
      ["note", 'column "note" is no timestamp or date'],
      ["missing", 'there is no column "missing"'],
    ])("%s is refused, with those that can be", async (cursor, message) => {
      await sql(server, make);
      await using source = await openSource(server, {}, { tables: { chosen: { cursor } } });
      const refused = tableOf(source, "chosen");
      await expect(refused).rejects.toMatchObject({
        code: "CURSOR_INVALID",
        hint: "Columns that can be: seen_at, day.",
      });
      await expect(refused).rejects.toThrow(message);
    });

    test("of the published example is text, and works the same", async () => {
      await sql(
        server,
        "CREATE TABLE texts (id int PRIMARY KEY, updated_at timestamptz); CREATE INDEX ON texts (updated_at); INSERT INTO texts SELECT i, now() - i * interval '1 hour' FROM generate_series(1, 50) i",
      );
      await using source = await openSource(server, {}, { types: "example" });
      const table = await tableOf(source, "texts");
      expect(table.columns[1]!.type.kind).toBe("STRING");
      const first = await passOf(source, table, "full");
      expect(await rowsOfPass(source, first)).toHaveLength(50);
      const pass = await passOf(source, table, "window");
      const operations = [...(await operationsOf(source, pass, { ...fast, batchBytes: 1 })).values()].flat();
      const states = operations.flatMap((operation) => (operation.kind === "checkpoint" ? [operation.state] : []));
      expect(await collect(source.read(pass, pass.splits[0]!, states.at(-1)!, fast))).toEqual([]);
      expect(cellsOf(operations)).toHaveLength(50);
    });
  });
});
