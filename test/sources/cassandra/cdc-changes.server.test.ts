import { expect, test } from "vitest";
import { Copy } from "../../engine/harness.ts";
import { type BaseTable, ScyllaStandIn } from "../../servers/scylladb/stand-in.ts";
import { describeWith } from "../../servers/require.ts";
import { deep, plain, settled, short, type Tools, toolsOf, wait, wide } from "./cdc-tools.ts";

function suite(scylla: ScyllaStandIn, { sync, expectEqual, verdict }: Tools): void {
  /** What is written, by the name of the table; the rows that a sync reads then, and those of the copy that change. */
  const cases: Readonly<
    Record<
      string,
      {
        readonly table: (name: string) => BaseTable;
        readonly write: (name: string) => Promise<void>;
        readonly read: number;
        readonly changes: readonly [inserted: number, updated: number, deleted: number];
      }
    >
  > = {
    "an insert": {
      table: plain,
      write: (name) => scylla.insert(name, { id: 100, name: "new" }),
      ...{ read: 1, changes: [1, 0, 0] },
    },
    "an update": {
      table: plain,
      write: (name) => scylla.update(name, { id: 1 }, { "name = ?": "other" }),
      ...{ read: 1, changes: [0, 1, 0] },
    },
    "an update of a row that was not there": {
      table: plain,
      write: (name) => scylla.update(name, { id: 101 }, { "name = ?": "made" }),
      ...{ read: 1, changes: [1, 0, 0] },
    },
    "a delete": {
      table: plain,
      write: (name) => scylla.deleteRow(name, { id: 1 }),
      ...{ read: 1, changes: [0, 0, 1] },
    },
    "a key that comes back": {
      table: plain,
      write: async (name) => {
        await scylla.deleteRow(name, { id: 1 });
        await scylla.insert(name, { id: 1, name: "again" });
      },
      ...{ read: 1, changes: [0, 1, 0] },
    },
    "a row of a partition": {
      table: deep,
      write: (name) => scylla.update(name, { p: 1, a: 1, b: 1 }, { "v = ?": "other" }),
      ...{ read: 1, changes: [0, 1, 0] },
    },
    "the delete of a row of a partition": {
      table: deep,
      write: (name) => scylla.deleteRow(name, { p: 1, a: 1, b: 1 }),
      ...{ read: 1, changes: [0, 0, 1] },
    },
    "a collection that gets an element": {
      table: wide,
      write: (name) => scylla.update(name, { p: 1, c: 1 }, { "tags = tags + ?": ["more"] }),
      // The row, and nothing for its partition without rows.
      ...{ read: 2, changes: [0, 1, 0] },
    },
    "a collection that loses its elements": {
      table: wide,
      write: (name) => scylla.deleteColumn(name, "tags", { p: 1, c: 1 }),
      ...{ read: 2, changes: [0, 1, 0] },
    },
    "a static column": {
      table: wide,
      write: (name) => scylla.update(name, { p: 1 }, { "s = ?": "static" }),
      // The group, and its four rows.
      ...{ read: 5, changes: [0, 4, 0] },
    },
    "a static column that is deleted": {
      table: wide,
      write: (name) => scylla.deleteColumn(name, "s", { p: 2 }),
      ...{ read: 5, changes: [0, 4, 0] },
    },
    "a static column and a row in one statement": {
      table: wide,
      write: (name) => scylla.insert(name, { p: 1, c: 9, v: "nine", s: "both" }),
      ...{ read: 6, changes: [1, 4, 0] },
    },
    "a partition with nothing but static columns": {
      table: wide,
      write: (name) => scylla.insert(name, { p: 50, s: "alone" }),
      ...{ read: 2, changes: [1, 0, 0] },
    },
    "a first row where there were static columns alone": {
      table: wide,
      write: (name) => scylla.insert(name, { p: 9, c: 5, v: "first" }),
      ...{ read: 2, changes: [1, 0, 1] },
    },
    "the delete of the last row beside static columns": {
      table: wide,
      write: (name) => scylla.deleteRow(name, { p: 8, c: 1 }),
      ...{ read: 2, changes: [1, 0, 1] },
    },
    "the delete of a range in a partition with static columns": {
      table: wide,
      write: (name) => scylla.deleteRange(name, { p: 8 }, "c", { from: [">", 0], to: ["<=", 5] }),
      ...{ read: 2, changes: [1, 0, 1] },
    },
    "the delete of a partition": {
      table: wide,
      write: (name) => scylla.deletePartition(name, { p: 1 }),
      ...{ read: 1, changes: [0, 0, 4] },
    },
    "the delete of a partition that gets a row again": {
      table: wide,
      write: async (name) => {
        await scylla.deletePartition(name, { p: 1 });
        await scylla.insert(name, { p: 1, c: 3, v: "again" });
      },
      ...{ read: 2, changes: [0, 1, 3] },
    },
    "the delete of a range": {
      table: deep,
      write: (name) => scylla.deleteRange(name, { p: 1, a: 1 }, "b", { from: [">", 1], to: ["<=", 3] }),
      // The slice (1, 1), and the two of its rows that are left.
      ...{ read: 3, changes: [0, 0, 2] },
    },
    "the delete of a range without a right end": {
      table: deep,
      write: (name) => scylla.deleteRange(name, { p: 1 }, "a", { from: [">=", 2] }),
      ...{ read: 5, changes: [0, 0, 4] },
    },
    "the delete of a range without a left end": {
      table: deep,
      write: (name) => scylla.deleteRange(name, { p: 1 }, "a", { to: ["<", 2] }),
      ...{ read: 5, changes: [0, 0, 4] },
    },
    "the delete of a slice": {
      table: deep,
      write: (name) => scylla.deleteRange(name, { p: 1 }, "a", { from: [">=", 2], to: ["<=", 2] }),
      ...{ read: 1, changes: [0, 0, 4] },
    },
    "images of rows": {
      table: plain,
      write: async (name) => {
        await scylla.image(name, 0, { id: 1 });
        await scylla.image(name, 9, { id: 1 });
      },
      ...{ read: 0, changes: [0, 0, 0] },
    },
  };

  test("every kind of change, and only what changed is read", { timeout: 180_000 }, async () => {
    await using copy = await Copy.make();
    const named = Object.entries(cases).map(([title, one], index) => ({ title, ...one, name: `t${index}` }));
    for (const { name, table } of named) {
      await scylla.create(table(name));
      if (table === plain) for (let id = 1; id <= 5; id++) await scylla.insert(name, { id, name: `n${id}` });
      if (table === deep)
        for (const p of [1, 2])
          for (const a of [1, 2]) for (const b of [1, 2, 3, 4]) await scylla.insert(name, { p, a, b, v: `${a}.${b}` });
      if (table !== wide) continue;
      for (const p of [1, 2])
        for (const c of [1, 2, 3, 4]) await scylla.insert(name, { p, c, v: `v${c}`, tags: ["a", "b"], s: `s${p}` });
      await scylla.insert(name, { p: 8, c: 1, v: "last", s: "stays" });
      await scylla.insert(name, { p: 9, s: "alone" });
    }
    // What was written before lies behind the windows that are read again.
    await wait(5_000);
    const names = named.map(({ name }) => name);
    const first = await sync(copy, names, short);
    for (const name of names) expect(first[name]).toMatchObject({ passes: ["full", "stream"], error: null });
    for (const { name, write } of named) await write(name);
    await settled();
    const second = await sync(copy, names, short);
    for (const { name } of named) await expectEqual(copy, name);
    for (const { title, name, read, changes } of named) {
      const [inserted, updated, deleted] = changes;
      const expected = { title, passes: ["stream"], error: null, rowsRead: read, inserted, updated, deleted };
      expect({ title, ...second[name] }).toMatchObject(expected);
    }
    expect(await verdict(copy, "t9")).toBe("CONVERGED");
  });
}

await describeWith(
  () => ScyllaStandIn.start(),
  "what the CDC log of ScyllaDB says",
  (scylla) => suite(scylla, toolsOf(scylla)),
);
