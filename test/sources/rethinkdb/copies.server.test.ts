import { expect, test } from "vitest";
import type { SyncEvent } from "../../../src/engine/events.ts";
import type { Json } from "../../../src/protocol/json.ts";
import { datum, term } from "../../../src/wire/reql/terms.ts";
import { describeWith } from "../../servers/require.ts";
import { startRethinkdb } from "../../servers/rethinkdb.ts";
import { Copy, time } from "./reading.ts";

const old = time("2024-05-17T00:00:00Z");

function now(): Json {
  return { $reql_type$: "TIME", epoch_time: Math.floor(Date.now()) / 1_000, timezone: "+00:00" };
}

await describeWith(startRethinkdb, "the copy of RethinkDB", (server) => {
  const get = (name: string, key: Json) => term("GET", [server.table(name), datum(key)]);
  const update = (name: string, key: Json, fields: Json) => server.run(term("UPDATE", [get(name, key), fields]));
  const remove = (name: string, key: Json) => server.run(term("DELETE", [get(name, key)]));

  async function fresh(documents: readonly Json[]): Promise<void> {
    for (const name of (await server.run(term("TABLE_LIST", [term("DB", [server.database])]))) as string[])
      await server.run(term("TABLE_DROP", [term("DB", [server.database]), name]));
    await server.createTable("t");
    await server.insert("t", documents);
  }

  test("only what changed is written; what is gone is deleted; documents without a timestamp are not lost", async () => {
    await fresh([
      ...Array.from({ length: 3_000 }, (_, id) => ({ id, n: id, updated_at: old })),
      { id: 5_000, n: 1 },
      { id: 5_001, n: 1, updated_at: null },
      { id: 5_002, n: 1, updated_at: "never" },
    ]);
    await using copy = await Copy.make();
    expect((await copy.sync(server))["t"]).toMatchObject({ outcome: "whole", passes: ["full"], inserted: 3_003 });
    expect((await copy.sync(server))["t"]).toMatchObject({
      passes: ["window", "keys"],
      inserted: 0,
      updated: 0,
      deleted: 0,
    });

    await update("t", 7, { n: -7, updated_at: now() });
    await server.insert("t", [{ id: 9_000, n: 0, updated_at: now() }]);
    // None of these comes in a window.
    await server.insert("t", [{ id: 9_001, n: 0 }]);
    for (const id of [5_000, 5_001, 5_002]) await update("t", id, { n: 2 });
    await update("t", 8, { n: -8, updated_at: time("2023-01-01T00:00:00Z") });
    for (const id of [10, 11, 12]) await remove("t", id);
    expect((await copy.sync(server))["t"]).toMatchObject({ outcome: "whole", inserted: 2, updated: 5, deleted: 3 });
    const report = await copy.verify(server);
    expect([report.verdict, report.tables[0]!.sourceRows]).toEqual(["CONVERGED", 3_002]);
  });

  test.each([
    ["of a sample", 1_000, 0],
    ["that come while documents are read", 400, 3_000],
  ])(
    "field names that are data, %s, fail their table alone, and clearly (case 43)",
    async (_, odd, plain) => {
      await fresh([
        ...Array.from({ length: plain }, (_, id) => ({ id, n: 1 })),
        ...Array.from({ length: odd }, (_, row) => ({
          id: plain / 3 + row + 0.5,
          ...Object.fromEntries([1, 2, 3].map((place) => [`f_${row}_${place}`, row])),
        })),
      ]);
      await server.createTable("fine");
      await server.insert("fine", [{ id: 1, n: 1 }]);
      await using copy = await Copy.make();
      const runs = await copy.sync(server);
      expect(runs["fine"]).toMatchObject({ outcome: "whole", inserted: 1 });
      expect(runs["t"]!.outcome).toBe("failed");
      // So many new columns may take more of DuckDB's memory than it has, before there are too many.
      expect(["COLUMNS_TOO_MANY", "DESTINATION_UNUSABLE"]).toContain(runs["t"]!.error!.code);
      await server.run(term("TABLE_DROP", [term("DB", [server.database]), "fine"]));
    },
    120_000,
  );

  test("types that don't fit one table fail it alone (case 13)", async () => {
    await fresh([{ id: 1, n: 1 }]);
    await server.createTable("u");
    await server.insert("u", [{ id: 1, n: 1 }]);
    await using copy = await Copy.make();
    const runs = await copy.sync(server, { tables: { t: { types: { id: { kind: "LONG" } } } } });
    expect(runs["t"]).toMatchObject({ outcome: "failed", error: { code: "CONFIGURATION_INVALID" } });
    expect(runs["u"]).toMatchObject({ outcome: "whole", inserted: 1 });
    await server.run(term("TABLE_DROP", [term("DB", [server.database]), "u"]));
  });

  test("a table without timestamps is read fully, and only differences are written", async () => {
    await fresh(Array.from({ length: 500 }, (_, id) => ({ id, n: id })));
    await using copy = await Copy.make();
    await copy.sync(server);
    await update("t", 3, { n: -3 });
    await remove("t", 4);
    expect((await copy.sync(server))["t"]).toMatchObject({ passes: ["full"], inserted: 0, updated: 1, deleted: 1 });
    expect((await copy.verify(server)).verdict).toBe("CONVERGED");
  });

  test("fields that come later are seen: in windows, and in documents that only a sweep finds", async () => {
    await fresh(Array.from({ length: 3_000 }, (_, id) => ({ id, n: id, updated_at: old })));
    await using copy = await Copy.make();
    await copy.sync(server);
    await update("t", 1_900, { windowed: { a: 1 }, n: "one", updated_at: now() });
    expect((await copy.sync(server))["t"]).toMatchObject({ outcome: "whole", updated: 1 });
    // Back-dated: only a sweep sees it, and it is looked up.
    await server.insert("t", [{ id: 1_901.5, swept: "x", n: 0.5, updated_at: old }]);
    const run = (await copy.sync(server))["t"]!;
    expect(run).toMatchObject({ outcome: "whole", inserted: 1 });
    expect((await copy.verify(server)).verdict).toBe("CONVERGED");
    const rows = await copy.query(`SELECT id, n, windowed, swept FROM s.t WHERE id IN (1900, 1901.5) ORDER BY id`);
    expect(rows).toEqual([
      { id: 1_900, n: "one", windowed: '{"a":1}', swept: null },
      { id: 1_901.5, n: "0.5", windowed: null, swept: "x" },
    ]);
  });

  test("a column of fractions that gets text later is read once more, so that its numbers are written alike", async () => {
    await fresh([1, 2.5, 3].map((n) => ({ id: n, n, updated_at: old })));
    await using copy = await Copy.make();
    await copy.sync(server);
    await server.insert("t", [{ id: 4, n: "four", updated_at: now() }]);
    expect((await copy.sync(server))["t"]!.passes.at(-1)).toBe("full");
    expect((await copy.verify(server)).verdict).toBe("CONVERGED");
    expect(await copy.query("SELECT n FROM s.t ORDER BY id")).toEqual(["1", "2.5", "3", "four"].map((n) => ({ n })));
    expect((await copy.sync(server))["t"]!.passes).not.toContain("full");
  });

  test("a field that differs from a column's name only by case comes later, and before the other", async () => {
    await fresh([{ id: "m", Name: 1, updated_at: old }]);
    await using copy = await Copy.make();
    await copy.sync(server);
    await server.insert("t", [{ id: "a", name: 2, NAME: 3, updated_at: now() }]);
    for (const inserted of [1, 0]) {
      expect((await copy.sync(server))["t"]).toMatchObject({ outcome: "whole", error: null, inserted });
      expect((await copy.verify(server)).verdict).toBe("CONVERGED");
    }
    // Another table under this name: its columns stand beside those of the old one.
    await fresh([{ id: "a", name: 4, updated_at: old }]);
    await copy.sync(server);
    await server.insert("t", [{ id: "0", Name: 5, updated_at: now() }]);
    for (const inserted of [1, 0]) {
      expect((await copy.sync(server))["t"]).toMatchObject({ outcome: "whole", error: null, inserted });
      expect((await copy.verify(server)).verdict).toBe("CONVERGED");
    }
    expect(
      await copy.query(`SELECT id, "Name", name_b068931c FROM s.t WHERE NOT _headwaters_deleted ORDER BY id`),
    ).toEqual([
      { id: "0", Name: 5, name_b068931c: null },
      { id: "a", Name: null, name_b068931c: 4 },
    ]);
  });

  test("a timestamp that is written in another form, of the same moment, is seen by a sweep", async () => {
    const [text, seconds] = ["2024-05-17T00:00:00Z", Date.parse("2024-05-17T00:00:00Z") / 1_000];
    await fresh([1, 2, 3, 4, 5].map((id) => ({ id, updated_at: id === 5 ? old : text })));
    await using copy = await Copy.make();
    await copy.sync(server);
    await update("t", 1, { updated_at: old });
    await update("t", 2, { updated_at: seconds });
    await update("t", 3, { updated_at: "2024-05-17T02:00:00+02:00" });
    expect((await copy.sync(server))["t"]).toMatchObject({ passes: ["window", "keys"], updated: 3 });
    expect((await copy.verify(server)).verdict).toBe("CONVERGED");
    await update("t", 2, { updated_at: seconds * 1_000 });
    expect((await copy.verify(server)).verdict).toBe("DIVERGED");
    expect((await copy.sync(server))["t"]).toMatchObject({ updated: 1 });
    expect((await copy.sync(server))["t"]).toMatchObject({ updated: 0 });
    // Changed since, as its version says in any form.
    await update("t", 4, { updated_at: new Date().toISOString() });
    expect((await copy.verify(server)).verdict).toBe("NOT PROVEN");
  });

  test("the timestamp that was found holds, whatever the sample shows later", async () => {
    await fresh(Array.from({ length: 3_000 }, (_, id) => ({ id, n: id, modified_at: old })));
    await using copy = await Copy.make();
    await copy.sync(server);
    await server.insert("t", [{ id: -1, updated_at: now(), modified_at: now() }]);
    expect((await copy.sync(server))["t"]).toMatchObject({ passes: ["window", "keys"], inserted: 1 });
    await server.run(term("DELETE", [get("t", -1)]));
    expect((await copy.sync(server))["t"]).toMatchObject({ passes: ["window", "keys"], deleted: 1 });
    // Given up by the application: the field is in no document any more.
    await fresh([{ id: 1, modified_at: old }]);
    await copy.sync(server);
    await server.insert("t", [{ id: 1, updated_at: now() }]);
    expect((await copy.sync(server))["t"]!.passes).toEqual(["full"]);
    expect((await copy.sync(server))["t"]!.passes).toEqual(["window", "keys"]);
    // By the user.
    const tables = { t: { cursor: "made" } };
    expect((await copy.sync(server, { tables }))["t"]!.passes).toEqual(["full"]);
    expect((await copy.sync(server))["t"]!.passes).toEqual(["full"]);
    expect((await copy.verify(server)).verdict).toBe("CONVERGED");
  });

  test("verify sees a field that the copy has no column for", async () => {
    await fresh(Array.from({ length: 20_000 }, (_, id) => ({ id, n: id, updated_at: old })));
    await using copy = await Copy.make();
    await copy.sync(server);
    // Beyond the sample that columns are first taken from.
    await update("t", 7_777, { later: "x" });
    const report = await copy.verify(server);
    expect(report.verdict).not.toBe("CONVERGED");
    expect(report.tables[0]!.different).toBe(1);
  });

  test("a column of numbers that turns out to hold text in the first pass is text throughout", async () => {
    await fresh(
      Array.from({ length: 5_000 }, (_, id) => ({
        id,
        n: id === 4_200 ? "x" : id % 2 === 0 ? id : id + 0.5,
        filler: "y".repeat(300),
      })),
    );
    await using copy = await Copy.make();
    const run = (await copy.sync(server))["t"]!;
    expect([run.outcome, run.error]).toEqual(["whole", null]);
    expect((await copy.verify(server)).verdict).toBe("CONVERGED");
    expect(await copy.query("SELECT n FROM s.t WHERE id IN (2, 3, 4200) ORDER BY id")).toEqual([
      { n: "2" },
      { n: "3.5" },
      { n: "x" },
    ]);
  });

  test("columns that turn to text one after the other are each planned anew", { timeout: 60_000 }, async () => {
    // In answers of their own, and none at a place of the sample.
    const texts = [500, 1_700, 3_000, 4_700, 5_500, 7_000];
    const fields = (id: number) => Object.fromEntries(texts.map((at, n) => [`f${n}`, at === id ? "x" : 0.5]));
    await fresh(Array.from({ length: 8_000 }, (_, id) => ({ id, ...fields(id), filler: "y".repeat(1_000) })));
    await using copy = await Copy.make();
    const replanned: string[] = [];
    const report = (event: SyncEvent): void => void (event.kind === "retry" && replanned.push(event.error.code));
    const run = (await copy.sync(server, { report }))["t"]!;
    expect([run.outcome, run.error]).toEqual(["whole", null]);
    expect(replanned.length).toBeGreaterThan(3);
    expect((await copy.verify(server)).verdict).toBe("CONVERGED");
  });

  test("a table that was dropped and made again is copied anew; one that is gone fails, and keeps its copy", async () => {
    await fresh(Array.from({ length: 50 }, (_, id) => ({ id, n: 1, updated_at: old })));
    await using copy = await Copy.make();
    await copy.sync(server);
    await server.createTable("t");
    await server.insert(
      "t",
      Array.from({ length: 30 }, (_, id) => ({ id, n: 2, updated_at: old })),
    );
    expect((await copy.sync(server))["t"]).toMatchObject({ passes: ["full"], updated: 30, deleted: 20 });
    await server.run(term("TABLE_DROP", [term("DB", [server.database]), "t"]));
    const gone = (await copy.sync(server))["t"]!;
    expect([gone.outcome, gone.error?.code]).toEqual(["failed", "TABLE_UNKNOWN"]);
    expect(await copy.query("SELECT count(*)::INT AS n FROM s.t WHERE NOT _headwaters_deleted")).toEqual([{ n: 30 }]);
  });

  test("a table that was empty at first, whatever its keys turn out to be", async () => {
    for (const key of [(n: number) => n, (n: number) => n + 0.5, (n: number) => ["k", n], (n: number) => `key ${n}`]) {
      await fresh([]);
      await using copy = await Copy.make();
      await copy.sync(server);
      await server.insert(
        "t",
        Array.from({ length: 20 }, (_, n) => ({ id: key(n), n, updated_at: old })),
      );
      expect((await copy.sync(server))["t"]).toMatchObject({ outcome: "whole", inserted: 20 });
      await update("t", key(3), { n: -3, updated_at: time("2023-01-01T00:00:00Z") });
      await remove("t", key(4));
      await server.insert("t", [{ id: key(100), n: 100 }]);
      expect((await copy.sync(server))["t"]).toMatchObject({ inserted: 1, updated: 1, deleted: 1 });
      expect((await copy.verify(server)).verdict).toBe("CONVERGED");
    }
  });

  test("keys that become of several types, and of one again, are another copy", async () => {
    const texts = Array.from({ length: 50 }, (_, n) => ({ id: `key ${n}`, n, updated_at: old }));
    await fresh(texts);
    await using copy = await Copy.make();
    // As users have it: what would delete most of a table is stopped.
    const engine = { maxDeleteFraction: 0.5 };
    const whole = async (rows: number, keyType: string): Promise<void> => {
      expect((await copy.sync(server, { engine }))["t"]).toMatchObject({ outcome: "whole", error: null });
      expect((await copy.verify(server)).verdict).toBe("CONVERGED");
      const [found] = await copy.query(
        "SELECT count(*)::INT AS n, any_value(typeof(id)) AS type FROM s.t WHERE NOT _headwaters_deleted",
      );
      expect(found).toEqual({ n: rows, type: keyType });
      expect((await copy.sync(server, { engine }))["t"]).toMatchObject({ inserted: 0, updated: 0, deleted: 0 });
    };
    await whole(50, "VARCHAR");
    await server.insert("t", [{ id: 1, n: 1, updated_at: old }]);
    await whole(51, "JSON");
    await remove("t", 1);
    await whole(50, "VARCHAR");
    for (let n = 0; n < 50; n++) await remove("t", `key ${n}`);
    await server.insert(
      "t",
      texts.map(({ n }) => ({ id: n, n, updated_at: old })),
    );
    await whole(50, "INTEGER");
    // The same keys in a wider column.
    await server.insert("t", [{ id: 0.5, n: 1, updated_at: old }]);
    expect((await copy.sync(server, { engine }))["t"]).toMatchObject({ inserted: 1, updated: 0, deleted: 0 });
    await whole(51, "DOUBLE");
    // No document tells of what type keys are: that makes the table no other one.
    await server.run(term("DELETE", [server.table("t")]));
    expect((await copy.sync(server, { engine }))["t"]!.error?.code).toBe("DELETES_STOPPED");
  });

  test("the published example's tables, with the names that they have there", async () => {
    await fresh([]);
    await server.run(term("TABLE_DROP", [term("DB", [server.database]), "t"]));
    for (const name of ["USERS", "PROJECTS", "tasks", "COMMENTS", "activity_log"]) {
      await server.createTable(name);
      await server.insert(name, [{ id: `${name} 1`, tags: ["a"], settings: { theme: "dark" }, created_at: old }]);
    }
    await using copy = await Copy.make();
    const runs = await copy.sync(server);
    expect(Object.keys(runs).sort()).toEqual(["COMMENTS", "PROJECTS", "USERS", "activity_log", "tasks"]);
    expect(Object.values(runs).every((run) => run.outcome === "whole")).toBe(true);
    expect(await copy.query(`SELECT id, tags, settings FROM s."USERS"`)).toEqual([
      { id: "USERS 1", tags: '["a"]', settings: '{"theme":"dark"}' },
    ]);
  });
});
