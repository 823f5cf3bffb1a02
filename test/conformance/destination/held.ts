import assert from "node:assert/strict";
import type { Pass, PassKind } from "../../../src/protocol/pass.ts";
import type { Warehouse } from "../../../src/protocol/destination.ts";
import type { Change } from "../../../src/protocol/transaction.ts";
import type { Table } from "../../../src/protocol/table.ts";
import {
  type DestinationCheck,
  type DestinationHarness,
  fill,
  holding,
  live,
  passOf,
  some,
  stamps,
  statesOf,
  syncAt,
  tableOf,
  things,
  transact,
  upsert,
} from "./steps.ts";

const bare = tableOf("bare", { name: "STRING", at: "INT" }, []);

/** How rows of a pass may reach a copy: by its kind, and by what is there before it. */
const ways: readonly {
  readonly name: string;
  readonly kind: PassKind;
  readonly table: Table;
  readonly more?: Partial<Pass>;
}[] = [
  { name: "a first full pass", kind: "full", table: { ...things, id: "first" } },
  { name: "a later full pass", kind: "full", table: things },
  {
    name: "a pass that replaces the copy",
    kind: "full",
    table: { ...things, id: "replaced" },
    more: { replace: true },
  },
  { name: "a window", kind: "window", table: { ...things, id: "windows" } },
  { name: "a table without a key", kind: "full", table: bare },
];

function rowsOf(table: Table, ...names: readonly string[]): Change {
  return upsert(
    table,
    ...names.map((name, index) => (table.key.length === 0 ? [name, 1] : [BigInt(index + 1), name, 1])),
  );
}

function namesIn(harness: DestinationHarness, table: Table): Promise<unknown[]> {
  return live(harness, table, ["name"]).then((rows) => rows.flat());
}

/** Each in a transaction of its own. */
async function hold(
  warehouse: Warehouse,
  lease: number,
  pass: Pass,
  split: number,
  operations: readonly Change[],
): Promise<void> {
  for (const operation of operations) {
    await transact(warehouse, lease, syncAt(2), (transaction) =>
      transaction.hold(pass, pass.splits[split]!, operation),
    );
  }
}

/** A stream over `things`, which has rows 1 to 3, in a destination that is closed again. */
async function openStream(harness: DestinationHarness): Promise<Pass> {
  await fill(harness, things, [
    [1n, "one", 1],
    [2n, "two", 1],
    [3n, "three", 1],
  ]);
  const pass = passOf("stream", "stream", [things], syncAt(2));
  await holding(harness, (warehouse, lease) => transact(warehouse, lease, syncAt(2), (next) => next.open(pass)));
  return pass;
}

export const heldChecks: readonly DestinationCheck[] = [
  ...ways.map(({ name, kind, table, more }): DestinationCheck => ({
    name: `what is held takes effect when it is kept, and survives the process: ${name}`,
    async run(harness) {
      const before = table.id === "first" ? [] : ["before"];
      if (before.length > 0) await holdingFill(harness, table, before[0]!);
      const pass = passOf("held", kind, [table], syncAt(2), more);
      await holding(harness, async (warehouse, lease) => {
        await transact(warehouse, lease, syncAt(2), (transaction) => transaction.open(pass));
        await hold(warehouse, lease, pass, 0, [rowsOf(table, "old", "two"), rowsOf(table, "one")]);
      });
      assert.deepEqual(await namesIn(harness, table), before, "before it is kept");
      await holding(harness, async (warehouse, lease) => {
        assert.deepEqual((await warehouse.load()).passes, [pass]);
        await transact(warehouse, lease, syncAt(2), async (transaction) => {
          await transaction.hold(pass, pass.splits[0]!, rowsOf(table, "newest"));
          await transaction.keep(pass, pass.splits[0]!);
          await transaction.write(
            pass,
            pass.splits[0]!,
            upsert(table, ...(table.key.length === 0 ? [["three", 1]] : [[3n, "three", 1]])),
          );
        });
        await transact(warehouse, lease, syncAt(2), (transaction) => transaction.close(pass, statesOf(pass)));
      });
      const wanted = table.key.length === 0 ? ["newest", "old", "one", "three", "two"] : ["newest", "three", "two"];
      assert.deepEqual((await namesIn(harness, table)).sort(), wanted);
    },
  })),
  {
    name: "what is held takes effect in its order",
    async run(harness) {
      const pass = await openStream(harness);
      const operations: readonly Change[] = [
        upsert(things, [1n, "uno", 2], [4n, "four", 2]),
        some("update", things, ["id", "at"], [1n, 7], [2n, 7]),
        some("delete", things, ["id"], [4n], [3n]),
        upsert(things, [3n, "tres", 3]),
        some("update", things, ["id", "name"], [3n, "drei"], [4n, "nobody"]),
      ];
      await holding(harness, (warehouse, lease) => hold(warehouse, lease, pass, 0, operations));
      await holding(harness, async (warehouse, lease) => {
        await transact(warehouse, lease, syncAt(3), (transaction) => transaction.keep(pass, pass.splits[0]!));
      });
      assert.deepEqual(await live(harness, things), [
        [1n, "uno", 7],
        [2n, "two", 7],
        [3n, "drei", 3],
      ]);
      await holding(harness, async (warehouse, lease) => {
        await hold(warehouse, lease, pass, 0, [{ kind: "truncate", table: "things" }, upsert(things, [9n, "nine", 9])]);
        await transact(warehouse, lease, syncAt(4), (transaction) => transaction.keep(pass, pass.splits[0]!));
      });
      assert.deepEqual(await live(harness, things), [[9n, "nine", 9]]);
      assert.deepEqual(await stamps(harness, "things"), {
        1: "4 deleted",
        2: "4 deleted",
        3: "4 deleted",
        4: "3 deleted",
        9: "4",
      });
    },
  },
  {
    name: "a delete by some columns of the key is held in its order too (case 36)",
    async run(harness) {
      const table = tableOf("lines", { order: "LONG", line: "STRING", n: "INT" }, ["order", "line"]);
      await fill(harness, table, [
        [1n, "a", 1],
        [1n, "b", 1],
        [1n, "e", 1],
        [2n, "f", 1],
      ]);
      const pass = passOf("stream", "stream", [table], syncAt(2));
      const operations: readonly Change[] = [
        upsert(table, [1n, "c", 2], [2n, "d", 2]),
        some("delete", table, ["order"], [1n]),
        upsert(table, [1n, "b", 3], [1n, "e", 1]),
      ];
      await holding(harness, async (warehouse, lease) => {
        await transact(warehouse, lease, syncAt(2), (transaction) => transaction.open(pass));
        await hold(warehouse, lease, pass, 0, operations);
      });
      await holding(harness, async (warehouse, lease) => {
        await transact(warehouse, lease, syncAt(3), (transaction) => transaction.keep(pass, pass.splits[0]!));
      });
      assert.deepEqual(await live(harness, table), [
        [1n, "b", 3],
        [1n, "e", 1],
        [2n, "d", 2],
        [2n, "f", 1],
      ]);
      const gone = "3 deleted";
      const stamped = { a: gone, b: "3", c: gone, d: "3", e: "1", f: "1" };
      assert.deepEqual(await stamps(harness, "lines", "line"), stamped);
    },
  },
  {
    name: "what is discarded has no effect, and what other splits hold stays",
    async run(harness) {
      const pass = await openStream(harness);
      const [one, other] = [pass.splits[0]!, pass.splits[1]!];
      await holding(harness, async (warehouse, lease) => {
        await hold(warehouse, lease, pass, 0, [upsert(things, [1n, "gone", 8], [8n, "gone", 8])]);
        await hold(warehouse, lease, pass, 1, [upsert(things, [2n, "dos", 2])]);
      });
      await holding(harness, async (warehouse, lease) => {
        await transact(warehouse, lease, syncAt(2), (transaction) => transaction.discard(pass, one));
        await hold(warehouse, lease, pass, 0, [upsert(things, [1n, "uno", 2])]);
        await transact(warehouse, lease, syncAt(2), async (transaction) => {
          await transaction.keep(pass, one);
          await transaction.keep(pass, other);
        });
      });
      assert.deepEqual(await live(harness, things), [
        [1n, "uno", 2],
        [2n, "dos", 2],
        [3n, "three", 1],
      ]);
      await holding(harness, async (warehouse, lease) => {
        for (const split of [0, 1]) await hold(warehouse, lease, pass, split, [upsert(things, [3n, "gone", 8])]);
        await transact(warehouse, lease, syncAt(2), async (transaction) => {
          await transaction.discard(pass, null);
          for (const split of pass.splits) await transaction.keep(pass, split);
        });
      });
      assert.deepEqual((await live(harness, things)).at(-1), [3n, "three", 1]);
    },
  },
  {
    name: "what is held in a transaction that is undone is gone, and what was held before it stays",
    async run(harness) {
      const pass = await openStream(harness);
      const [split] = pass.splits;
      await holding(harness, async (warehouse, lease) => {
        await hold(warehouse, lease, pass, 0, [upsert(things, [1n, "uno", 2])]);
        {
          await using transaction = await warehouse.begin(lease, syncAt(2));
          await transaction.hold(pass, split!, upsert(things, [1n, "undone", 2], [2n, "undone", 2]));
          await transaction.keep(pass, split!);
        }
        {
          await using transaction = await warehouse.begin(lease, syncAt(2));
          await transaction.discard(pass, split!);
        }
        await transact(warehouse, lease, syncAt(2), (transaction) => transaction.keep(pass, split!));
      });
      assert.deepEqual(await live(harness, things, ["name"]), [["three"], ["two"], ["uno"]]);
    },
  },
  {
    name: "what is held when a pass ends is dropped with it",
    async run(harness) {
      const pass = await openStream(harness);
      const ends = [
        (warehouse: Warehouse, lease: number) =>
          transact(warehouse, lease, syncAt(2), (transaction) => transaction.close(pass, statesOf(pass))),
        (warehouse: Warehouse, lease: number) =>
          transact(warehouse, lease, syncAt(2), (transaction) => transaction.abandon(pass)),
        (warehouse: Warehouse, lease: number) =>
          transact(warehouse, lease, syncAt(2), (transaction) => transaction.reset(["things"], false)),
      ];
      await holding(harness, async (warehouse, lease) => {
        for (const end of ends) {
          await hold(warehouse, lease, pass, 0, [upsert(things, [1n, "gone", 8])]);
          await end(warehouse, lease);
          await transact(warehouse, lease, syncAt(2), (transaction) => transaction.open(pass));
          await transact(warehouse, lease, syncAt(2), (transaction) => transaction.keep(pass, pass.splits[0]!));
        }
      });
      assert.deepEqual((await live(harness, things))[0], [1n, "one", 1]);
    },
  },
  {
    name: "a table may get wider while operations on it are held",
    async run(harness) {
      const wider = tableOf("things", { id: "LONG", name: "STRING", at: "LONG", more: "STRING" }, ["id"]);
      const pass = await openStream(harness);
      const [split] = pass.splits;
      await holding(harness, async (warehouse, lease) => {
        await hold(warehouse, lease, pass, 0, [
          upsert(things, [1n, "uno", 2]),
          some("update", things, ["id", "at"], [2n, 5]),
          { kind: "schema", table: wider },
          upsert(wider, [3n, "tres", 5_000_000_000n, "more"]),
          some("update", wider, ["id", "more"], [1n, "also"]),
        ]);
        await transact(warehouse, lease, syncAt(2), (transaction) => transaction.keep(pass, split!));
      });
      assert.deepEqual(await live(harness, wider), [
        [1n, "uno", 2n, "also"],
        [2n, "two", 5n, null],
        [3n, "tres", 5_000_000_000n, "more"],
      ]);
    },
  },
];

/** A first full pass that leaves one row. */
async function holdingFill(harness: DestinationHarness, table: Table, name: string): Promise<void> {
  await fill(harness, table, [table.key.length === 0 ? [name, 1] : [1n, name, 1]]);
}
