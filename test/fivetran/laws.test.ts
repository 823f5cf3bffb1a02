import fc from "fast-check";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { MemorySource } from "../engine/memory-source.ts";
import { expected } from "../engine/harness.ts";
import { MemoryFivetran } from "./memory-fivetran.ts";

/** Time passes with the source's operations, so that a commit, and a checkpoint, may fall between any two. */
beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] }));
afterEach(() => void vi.useRealTimers());

/** What happens between two messages, or instead of one. */
const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ put: fc.integer({ min: 1, max: 40 }), stamped: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ remove: fc.integer({ min: 1, max: 40 }) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      messages: fc.option(fc.integer({ min: 1, max: 12 }), { nil: undefined, freq: 1 }),
      keepAll: fc.boolean(),
      deletes: fc.constantFrom("auto", "each_sync", "never"),
    }),
  },
);

test("cut anywhere and gone on with, whatever the client kept, the copy becomes equal to the source", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 3, maxLength: 25 }),
      fc.record({
        cursor: fc.boolean(),
        resumable: fc.boolean(),
        estimated: fc.boolean(),
        commitEvery: fc.integer({ min: 1, max: 5 }),
      }),
      async (steps, { cursor, resumable, estimated, commitEvery }) => {
        const source = new MemorySource();
        source.resumable = resumable;
        source.onOperation = (count) => void vi.advanceTimersByTime(count % commitEvery === 0 ? 2_000 : 0);
        // A table that is said to be large is not remembered.
        source.shapes.set("t", {
          ...(cursor ? {} : { cursor: null, version: null }),
          ...(estimated ? {} : { estimatedRows: 10_000_000 }),
        });
        for (let id = 1; id <= 25; id++) source.put("t", id, `first ${id}`);
        const fivetran = new MemoryFivetran();
        for (const [index, each] of steps.entries()) {
          if ("put" in each) source.put("t", each.put, `at ${index}`, each.stamped);
          else if ("remove" in each) source.remove("t", each.remove);
          else {
            const { messages, keepAll, deletes } = each;
            const configuration = { deletes, checkpoint_interval: "1" };
            const how = { keepAll, configuration, ...(messages === undefined ? {} : { messages }) };
            const { ended } = await fivetran.sync(source, how);
            if (ended && cursor) expectStamped(fivetran, source);
          }
        }
        source.put("t", 99, "last");
        const { error, task } = await fivetran.sync(source, { configuration: { deletes: "each_sync" } });
        // After a pass that spans syncs, the next one catches up.
        if (error === null && task === null) await fivetran.sync(source, { configuration: { deletes: "each_sync" } });
        expect({ error, task }).toEqual({ error: null, task: null });
        expect(fivetran.rows()).toEqual(expected(source));
      },
    ),
    { numRuns: 200 },
  );
});

/** After each whole sync every row that was written with a new cursor is there, whatever becomes of the others. */
function expectStamped(fivetran: MemoryFivetran, source: MemorySource): void {
  const stamped = [...source.tables.get("t")!.values()].filter(({ changed }) => changed !== null);
  expect(fivetran.rows()).toMatchObject(Object.fromEntries(stamped.map(({ id, name }) => [id, name])));
}

function filled(large: boolean): MemorySource {
  const source = new MemorySource();
  source.onOperation = () => void vi.advanceTimersByTime(2_000);
  if (large) source.shapes.set("t", { estimatedRows: 10_000_000 });
  for (let id = 1; id <= 30; id++) source.put("t", id, `first ${id}`);
  return source;
}

const cut = { keepAll: true, configuration: { deletes: "each_sync", checkpoint_interval: "1" } };
const windowsOnly = { configuration: { deletes: "never" } };

test.each([true, false])("a table that was truncated is not taken for whole; resumable: %s", async (resumable) => {
  for (let messages = 1; messages < 30; messages++) {
    const [source, fivetran] = [filled(true), new MemoryFivetran()];
    source.resumable = resumable;
    await fivetran.sync(source);
    await fivetran.sync(source, { ...cut, messages });
    await fivetran.sync(source, windowsOnly);
    expect(fivetran.rows(), `${messages} messages`).toEqual(expected(source));
  }
});

test("rows that came behind the last checkpoint, and are gone before the next sync, are deleted", async () => {
  for (let messages = 1; messages < 12; messages++) {
    const [source, fivetran] = [filled(false), new MemoryFivetran()];
    await fivetran.sync(source);
    for (const id of [5, 31, 32, 33]) source.put("t", id, "for a while");
    await fivetran.sync(source, { ...cut, messages });
    for (const id of [31, 32, 33]) source.remove("t", id);
    await fivetran.sync(source, { configuration: { deletes: "each_sync" } });
    expect(fivetran.rows(), `${messages} messages`).toEqual(expected(source));
  }
});

test("what a comparing pass met before it was cut is still there after it", async () => {
  for (let messages = 1; messages < 30; messages++) {
    const [source, fivetran] = [filled(false), new MemoryFivetran()];
    await fivetran.sync(source);
    for (let id = 1; id <= 30; id += 2) source.put("t", id, `second ${id}`);
    await fivetran.sync(source, { ...cut, messages });
    await fivetran.sync(source, windowsOnly);
    expect(fivetran.rows(), `${messages} messages`).toEqual(expected(source));
  }
});

test("more deletes than half of a table stop it, unless the user allows for them (case 45)", async () => {
  const [source, fivetran] = [filled(false), new MemoryFivetran()];
  await fivetran.sync(source);
  for (let id = 1; id <= 20; id++) source.remove("t", id);
  const { task } = await fivetran.sync(source, { configuration: { deletes: "each_sync" } });
  expect(task).toMatch(/20 of 30 rows .* raise max_delete_fraction/);
  expect(Object.keys(fivetran.rows())).toHaveLength(30);
  await fivetran.sync(source, { configuration: { deletes: "each_sync", max_delete_fraction: "0.9" } });
  expect(fivetran.rows()).toEqual(expected(source));
});

test("what is wrong with a state is told with what helps against it", async () => {
  for (const [state, remedy] of [
    ["{", "Re-sync the connection in Fivetran"],
    ['{"version": 99}', "Install the Headwaters that wrote it"],
  ] as const) {
    const fivetran = new MemoryFivetran();
    fivetran.state = state;
    expect((await fivetran.sync(filled(false))).task).toContain(remedy);
  }
});

test("a state is never ahead of the rows before it", async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 30 }), fc.boolean(), async (messages, large) => {
      const [source, fivetran] = [filled(large), new MemoryFivetran()];
      // Only what a checkpoint covers is kept; the next sync may take nothing for granted but that.
      await fivetran.sync(source, { messages, configuration: { checkpoint_interval: "1" } });
      await fivetran.sync(source);
      expect(fivetran.rows()).toEqual(expected(source));
    }),
    { numRuns: 60 },
  );
});

test("where columns are inferred, one that is selected again fills the rows that had it", async () => {
  const [source, fivetran] = [filled(false), new MemoryFivetran()];
  const inferred = { capabilities: { schema: "inferred" } } as const;
  const without = (columns: Record<string, boolean>): object => ({
    withoutSchema: { tables: [{ included: true, tableName: "t", columns, includeNewColumns: true }] },
  });
  await fivetran.sync(source, { ...inferred, selection: without({ name: false }) });
  expect(fivetran.rows()["7"]).toBeUndefined();
  const { counts } = await fivetran.sync(source, { ...inferred, ...windowsOnly, selection: without({ name: true }) });
  expect(counts).toMatchObject({ upsert: 30, truncate: 1 });
  expect(fivetran.rows()).toEqual(expected(source));
});

test("a column that is left out in the form needs no agreement and no full read; key and cursor stay (case 49)", async () => {
  const [source, fivetran] = [filled(true), new MemoryFivetran()];
  const columns = { id: false, changed: false, name: true, gone: true };
  const tables = [
    { included: true, tableName: "t", columns },
    { included: true, tableName: "dropped", columns: {} },
  ];
  await fivetran.sync(source);
  const scope = (): unknown => JSON.parse(fivetran.state).tables.t.scope;
  const before = scope();
  source.put("t", 7, "seven");
  const { counts, task, error } = await fivetran.sync(source, {
    ...windowsOnly,
    selection: { withoutSchema: { tables } },
  });
  expect({ task, error }).toEqual({ task: null, error: null });
  expect(counts).toMatchObject({ truncate: 0 });
  expect(counts.upsert).toBeLessThan(5);
  expect(fivetran.rows()).toEqual(expected(source));
  expect(scope()).toBe(before);
});

test("a dropped table is a warning, once; the others are synced, and it is read fully if it comes back (case 48)", async () => {
  const [source, fivetran] = [filled(false), new MemoryFivetran()];
  source.put("gone", 1, "one");
  expect((await fivetran.sync(source)).ended).toBe(true);
  const rows = source.tables.get("gone")!;
  source.tables.delete("gone");
  const warnings = async (): Promise<readonly string[]> => {
    const { messages, ended } = await fivetran.sync(source);
    expect(ended).toBe(true);
    return messages.flatMap(({ warning }) => (warning === undefined ? [] : [warning.message]));
  };
  expect(await warnings()).toEqual([expect.stringContaining('table "gone" is no longer in the source')]);
  expect(await warnings()).toEqual([]);
  source.tables.set("gone", rows);
  source.put("gone", 2, "two");
  expect(await warnings()).toEqual([]);
  expect(fivetran.rows("gone")).toEqual({ 1: "one", 2: "two" });
});

test("a memory that is damaged is dropped and said, and the copy stays right (case 46)", async () => {
  const [source, fivetran] = [filled(false), new MemoryFivetran()];
  await fivetran.sync(source);
  const state = JSON.parse(fivetran.state) as { fivetran: { tables: { t: { memory: { keys: string } } } } };
  state.fivetran.tables.t.memory.keys = "AAAA";
  fivetran.state = JSON.stringify(state);
  source.remove("t", 3);
  const { messages, ended } = await fivetran.sync(source, { configuration: { deletes: "each_sync" } });
  expect(ended).toBe(true);
  expect(messages.find(({ warning }) => warning !== undefined)?.warning?.message).toContain(
    "is damaged and was dropped",
  );
  expect(fivetran.rows()).toEqual(expected(source));
});

test("tables that are too large for digests are named in a warning where deletes are left to choose (case 47)", async () => {
  const warned = async (large: boolean, configuration: Record<string, string>): Promise<readonly string[]> => {
    const fivetran = new MemoryFivetran();
    const source = filled(large);
    await fivetran.sync(source, { configuration });
    // The state tells that they are.
    const { messages } = await fivetran.sync(source, { configuration });
    return messages.flatMap(({ warning }) => (warning?.message.includes("once a week") ? [warning.message] : []));
  };
  expect(await warned(true, { deletes: "auto" })).toEqual([expect.stringMatching(/NULL .* set back: t\. Set daily/)]);
  expect(await warned(true, {})).toHaveLength(1);
  expect(await warned(true, { deletes: "daily" })).toEqual([]);
  expect(await warned(false, { deletes: "auto" })).toEqual([]);
});

test("checkpoints come as often as the user says, however quickly rows come (case 51)", async () => {
  const source = new MemorySource();
  for (let id = 1; id <= 3_000; id++) source.put("t", id, `some text of row ${id}`);
  source.onOperation = () => void vi.advanceTimersByTime(10);
  const between = async (interval: string): Promise<number> => {
    const { messages } = await new MemoryFivetran().sync(source, { configuration: { checkpoint_interval: interval } });
    let [rows, most] = [0, 0];
    for (const { records, checkpoint } of messages) {
      rows += records?.records.length ?? 0;
      most = Math.max(most, rows);
      if (checkpoint !== undefined) rows = 0;
    }
    return most;
  };
  // A checkpoint follows a commit.
  expect(await between("200")).toBeLessThanOrEqual(400);
  expect(await between("100000")).toBeGreaterThanOrEqual(3_000);
});
