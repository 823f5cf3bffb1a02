import { describe, expect, test } from "vitest";
import { exportState, importState } from "../../src/engine/commands/state.ts";
import type { StateDocument } from "../../src/engine/state-document.ts";
import { Copy, type Configured, expected } from "./harness.ts";
import { MemorySource } from "./memory-source.ts";

const slow = { timeout: 60_000 };

function source(): MemorySource {
  const made = new MemorySource();
  for (const table of ["t", "u"]) for (let id = 1; id <= 10; id++) made.put(table, id, `${table} ${id}`);
  return made;
}

async function exported(copy: Copy): Promise<StateDocument> {
  await using warehouse = await copy.open();
  return await exportState(warehouse, "memory");
}

async function imported(copy: Copy, state: StateDocument, only: string[] = [], configured: Configured = {}) {
  await using warehouse = await copy.open();
  return await importState(copy.connection(new MemorySource(), warehouse, configured), state, only);
}

describe("the state of a connection", () => {
  test("comes back, of one table or of all; what is older is read again", slow, async () => {
    const made = source();
    await using copy = await Copy.make();
    await copy.sync(made);
    const first = await exported(copy);
    made.put("t", 3, "three");
    made.put("u", 3, "three");
    await copy.sync(made);
    const second = await exported(copy);
    expect(await imported(copy, first, ["t"])).toEqual(["t"]);
    expect((await exported(copy)).tables).toEqual({ t: first.tables["t"], u: second.tables["u"] });
    made.put("t", 4, "four");
    await copy.sync(made);
    expect(await copy.rows("t")).toEqual(expected(made, "t"));
    expect(await imported(copy, second)).toEqual(["t", "u"]);
    expect(await exported(copy)).toEqual(second);
  });

  test("has no passes that are under way; those that the tables have are given up", slow, async () => {
    const made = source();
    await using copy = await Copy.make();
    await copy.sync(made);
    const state = await exported(copy);
    made.put("t", 1, "one");
    made.onOperation = (_, split) => {
      if (split.tables[0] === "t") throw new Error("cut");
    };
    await copy.sync(made);
    made.onOperation = () => {};
    expect(await exported(copy)).toMatchObject({ passes: [], progress: [] });
    await imported(copy, state, ["t"]);
    {
      await using warehouse = await copy.open();
      expect((await warehouse.load()).passes).toEqual([]);
    }
    await copy.sync(made);
    expect(await copy.rows("t")).toEqual(expected(made, "t"));
  });

  test("is refused where it does not fit, and then nothing of it is taken", slow, async () => {
    const made = source();
    await using copy = await Copy.make();
    await copy.sync(made);
    const state = await exported(copy);
    await using empty = await Copy.make();
    await expect(imported(empty, state)).rejects.toMatchObject({ code: "DESTINATION_EMPTY" });
    expect((await exported(empty)).tables).toEqual({});
    await expect(imported(copy, state, [], { scope: "another" })).rejects.toMatchObject({ code: "SCOPE_CHANGED" });
    const filtered = { tables: { u: { filter: "x" } } };
    await expect(imported(copy, state, [], filtered)).rejects.toMatchObject({ code: "SCOPE_CHANGED" });
    expect(await imported(copy, state, ["t"], filtered)).toEqual(["t"]);
    await expect(imported(copy, state, ["v"])).rejects.toMatchObject({ code: "TABLE_UNKNOWN" });
  });

  test("is neither given nor taken while a sync runs", slow, async () => {
    const made = source();
    await using copy = await Copy.make();
    await copy.sync(made);
    const state = await exported(copy);
    const tries: Promise<unknown>[] = [];
    made.put("t", 1, "one");
    made.onOperation = (count) => {
      if (count !== 1) return;
      for (const attempt of [exported(copy), imported(copy, state)])
        tries.push(attempt.catch((error: unknown) => error));
    };
    made.operations = 0;
    await copy.sync(made);
    expect(await Promise.all(tries)).toMatchObject([{ code: "SYNC_RUNNING" }, { code: "SYNC_RUNNING" }]);
  });
});
