import { expect, test } from "vitest";
import type { Json } from "../../../src/protocol/json.ts";
import type { Rows } from "../../../src/protocol/rows.ts";
import { rowsOf } from "../../../src/toolkit/vectors.ts";
import { describeWith } from "../../servers/require.ts";
import { startRethinkdb } from "../../servers/rethinkdb.ts";
import { columnsOf, Copy, fast, openSource, tableOf, time } from "./reading.ts";

const far = (seconds: number): Json => ({ $reql_type$: "TIME", epoch_time: seconds, timezone: "+00:00" });

await describeWith(startRethinkdb, "keys of RethinkDB", (server) => {
  test.each([
    ["too late", [time("2024-05-17T08:00:00Z"), far(9e12)]],
    ["too early", [far(-9e12), time("2024-05-17T08:00:00Z")]],
    ["all too late", [far(9e12), far(9.5e12)]],
  ])("times as keys that are %s are kept as JSON, and looked up (case 44)", async (_, keys) => {
    await server.createTable("far");
    const documents = (name: string): Record<string, Json>[] =>
      keys.map((id, index) => ({ id, name, updated_at: time(`2024-05-17T08:00:0${index}Z`) }));
    await server.insert("far", documents("a"));
    await using copy = await Copy.make();
    expect((await copy.sync(server))["far"]).toMatchObject({ outcome: "whole", inserted: 2, error: null });
    expect((await copy.query("SELECT DISTINCT typeof(id) AS type FROM s.far"))[0]).toEqual({ type: "JSON" });
    await server.insert("far", [{ id: far(9.1e12), name: "b" }]);
    expect((await copy.sync(server))["far"]).toMatchObject({ outcome: "whole", inserted: 1, deleted: 0 });
    expect((await copy.verify(server)).verdict).toBe("CONVERGED");
  });

  test("a field with a NUL in its name has a column (case 44)", async () => {
    await server.createTable("zero");
    await server.insert("zero", [{ id: "1", "a\0b": 1, "a\0b␀": 2, "a␀0b": 3 }]);
    await using copy = await Copy.make();
    expect((await copy.sync(server))["zero"]).toMatchObject({ outcome: "whole", error: null });
    const [row] = await copy.query("SELECT * FROM s.zero");
    const values = Object.entries(row!).filter(([name]) => name.startsWith("a"));
    expect(values.map(([, value]) => value).sort()).toEqual([1, 2, 3]);
    await server.insert("zero", [{ id: "2", "a\0b": 4 }]);
    expect((await copy.sync(server))["zero"]).toMatchObject({ outcome: "whole", inserted: 1 });
    expect((await copy.verify(server)).verdict).toBe("CONVERGED");
  });

  test("a field that is called as a column made for another keeps its values (case 44)", async () => {
    await server.createTable("alike");
    // The digest of "a".
    await server.insert("alike", [{ id: "1", a: 1, A: 2, a_0cc175b9: 3 }]);
    await using copy = await Copy.make();
    expect((await copy.sync(server))["alike"]).toMatchObject({ outcome: "whole", error: null });
    const [row] = await copy.query("SELECT * FROM s.alike");
    const values = Object.entries(row!).filter(([name]) => /^a/i.test(name));
    expect(values.map(([, value]) => value).sort()).toEqual([1, 2, 3]);
    expect((await copy.verify(server)).verdict).toBe("CONVERGED");
  });

  test("a look-up that finds a new field says so each time, until the table has it (case 44)", async () => {
    await server.createTable("grows");
    await server.insert("grows", [{ id: "1", a: 1 }]);
    await using source = await openSource(server);
    const table = await tableOf(source, "grows");
    await server.insert("grows", [{ id: "2", a: 2, late: true }]);
    const keys: Rows = rowsOf([{ name: "id", type: { kind: "STRING" } }], [["2"]]);
    const lookup = async (): Promise<number> => {
      let met = 0;
      for await (const rows of source.lookup(table, keys, fast)) met += rows.length;
      return met;
    };
    for (const _ of [1, 2, 3]) await expect(lookup()).rejects.toMatchObject({ code: "TABLE_CHANGED" });
    expect(columnsOf(await tableOf(source, "grows"))).toMatchObject({ late: "BOOLEAN" });
  });

  test("a time that is too far away to be a moment is not looked up by every sweep (case 44)", async () => {
    await server.createTable("micro");
    // Microseconds that were taken for seconds.
    const documents = [1, 2, 3].map((n) => ({ id: String(n), n, updated_at: far(1_715_932_800_000_000) }));
    await server.insert("micro", [...documents, { id: "4", n: 4, updated_at: time("2024-05-17T08:00:00Z") }]);
    await using copy = await Copy.make();
    await copy.sync(server);
    await copy.sync(server);
    const { micro } = await copy.sync(server);
    expect(micro).toMatchObject({ outcome: "whole", passes: ["window", "keys"], updated: 0, inserted: 0 });
    // Three by the window, for which they are always new, each of the four by the sweep, and none by its key.
    expect(micro!.rowsRead).toBe(7);
  });
});
