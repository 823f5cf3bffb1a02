import assert from "node:assert/strict";
import type { Change } from "../../../src/protocol/transaction.ts";
import type { Cell } from "../../../src/toolkit/vectors.ts";
import {
  type DestinationCheck,
  fill,
  holding,
  inOrder,
  left,
  live,
  passOf,
  rejectsWith,
  rows,
  some,
  stamps,
  statesOf,
  sync,
  syncAt,
  tableOf,
  things,
  three,
  transact,
  upsert,
} from "./steps.ts";

const second = { tables: [things], kind: "stream", sync: 2 } as const;

function changes(inserted: number, updated: number, deleted: number): ReadonlyMap<string, unknown> {
  return new Map([["things", { inserted, updated, deleted }]]);
}

/** More rows than a call can have parameters. */
function batch(cells: readonly (readonly Cell[])[]): Change {
  return { kind: "upsert", table: things.id, rows: rows(things, cells) };
}

export const operationChecks: readonly DestinationCheck[] = [
  {
    name: "upserts by key write what differs; an absent column becomes NULL",
    async run(harness) {
      await fill(harness, things, three);
      const changed = await sync(harness, { ...second, kind: "window" }, [
        upsert(things, [1n, "one", 1], [2n, "zwei", 2], [4n, "four", 1]),
        some("upsert", things, ["name", "id"], ["three", 3n]),
      ]);
      assert.deepEqual(changed, changes(1, 2, 0));
      assert.deepEqual(await live(harness, things), [
        [1n, "one", 1],
        [2n, "zwei", 2],
        [3n, "three", null],
        [4n, "four", 1],
      ]);
      assert.deepEqual(await stamps(harness, "things"), { "1": "1", "2": "2", "3": "2", "4": "2" });
    },
  },
  {
    name: "of upserts of one key the last counts",
    async run(harness) {
      await fill(harness, things, three);
      await sync(harness, second, [
        upsert(things, [1n, "a", 1], [1n, "b", 1], [4n, "a", 1], [4n, "b", 1], [4n, "c", 1]),
        upsert(things, [1n, "one", 1], [2n, "a", 1]),
        upsert(things, [2n, "b", 1]),
      ]);
      assert.deepEqual(await live(harness, things), [
        [1n, "one", 1],
        [2n, "b", 1],
        [3n, "three", 1],
        [4n, "c", 1],
      ]);
      assert.equal((await stamps(harness, "things"))["1"], "1");
    },
  },
  {
    name: "an update writes the given columns of rows that exist",
    async run(harness) {
      await fill(harness, things, three);
      await sync(harness, { ...second, kind: "window" }, [some("delete", things, ["id"], [3n])]);
      const changed = await sync(harness, { ...second, sync: 3 }, [
        some("update", things, ["id", "name"], [1n, "uno"], [2n, "two"], [3n, "dead"], [9n, "unknown"]),
        some("update", things, ["at", "id"], [7, 2n], [null, 1n]),
      ]);
      assert.deepEqual(changed, changes(0, 3, 0));
      assert.deepEqual(await live(harness, things), [
        [1n, "uno", null],
        [2n, "two", 7],
      ]);
      assert.deepEqual(await stamps(harness, "things"), { "1": "3", "2": "3", "3": "2 deleted" });
      await sync(harness, { ...second, sync: 4 }, [some("update", things, ["id", "name"], [1n, "a"], [1n, "uno"])]);
      assert.equal((await stamps(harness, "things"))["1"], "3", "an update that changes nothing stamps nothing");
    },
  },
  {
    name: "deletes mark rows that exist, once",
    async run(harness) {
      await fill(harness, things, three);
      assert.deepEqual(
        await sync(harness, second, [some("delete", things, ["id"], [1n], [1n], [9n])]),
        changes(0, 0, 1),
      );
      assert.deepEqual(
        await sync(harness, { ...second, sync: 3 }, [some("delete", things, ["id"], [1n], [2n])]),
        changes(0, 0, 1),
      );
      assert.deepEqual(await stamps(harness, "things"), { "1": "2 deleted", "2": "3 deleted", "3": "1" });
    },
  },
  {
    name: "a delete by some columns of the key deletes every row that has them (case 36)",
    async run(harness) {
      const table = tableOf("lines", { order: "LONG", line: "STRING", n: "INT" }, ["order", "line"]);
      const stream = { tables: [table], kind: "stream" } as const;
      const lines = [1n, 2n, 3n].flatMap((order) => ["a", "b"].map((line) => [order, line, 1] as const));
      await fill(harness, table, lines);
      const changed = await sync(harness, { ...stream, sync: 2 }, [
        upsert(table, [1n, "c", 2], [4n, "a", 2]),
        some("delete", table, ["order"], [1n], [1n], [9n]),
        upsert(table, [1n, "b", 3]),
        some("delete", table, ["line"], ["a"]),
        some("delete", table, ["order", "line"], [3n, "b"]),
      ]);
      // Of order 1 two lines went, and one came back as another; of the others the lines called a, and one by its key.
      assert.deepEqual(await live(harness, table), [
        [1n, "b", 3],
        [2n, "b", 1],
      ]);
      assert.deepEqual(changed, new Map([["lines", { inserted: 2, updated: 1, deleted: 6 }]]));
      assert.deepEqual(
        await sync(harness, { ...stream, sync: 3 }, [some("delete", table, ["line"], ["a"])]),
        new Map([["lines", { inserted: 0, updated: 0, deleted: 0 }]]),
      );
    },
  },
  {
    name: "a row that comes again after a delete by some columns of the key was never gone (law 5)",
    async run(harness) {
      const table = tableOf("lines", { order: "LONG", line: "STRING", n: "INT" }, ["order", "line"]);
      const lines = [..."abcxyz"].map((line) => [line < "x" ? 1n : 2n, line, 1] as const);
      await fill(harness, table, lines);
      const changed = await sync(harness, { tables: [table], kind: "stream", sync: 2 }, [
        upsert(table, [1n, "d", 1]),
        some("delete", table, ["order"], [1n], [2n]),
        upsert(table, [1n, "a", 1], [1n, "b", 2]),
        upsert(table, [2n, "x", 1], [2n, "y", 1], [2n, "z", 1]),
        some("delete", table, ["order", "line"], [2n, "z"]),
      ]);
      assert.deepEqual(changed, new Map([["lines", { inserted: 1, updated: 1, deleted: 3 }]]));
      const gone = "2 deleted";
      const stamped = { a: "1", b: "2", c: gone, d: gone, x: "1", y: "1", z: gone };
      assert.deepEqual(await stamps(harness, "lines", "line"), stamped);
    },
  },
  {
    name: "operations are applied in their order",
    async run(harness) {
      await fill(harness, things, three);
      await sync(harness, second, [
        some("delete", things, ["id"], [1n]),
        upsert(things, [1n, "again", 2]),
        upsert(things, [4n, "four", 1]),
        some("update", things, ["id", "name"], [4n, "vier"]),
        upsert(things, [5n, "five", 1]),
        some("delete", things, ["id"], [5n]),
        some("update", things, ["id", "name"], [5n, "no more"]),
        some("update", things, ["id", "name"], [2n, "due"]),
        upsert(things, [2n, "two", 1]),
      ]);
      assert.deepEqual(await live(harness, things), [
        [1n, "again", 2],
        [2n, "two", 1],
        [3n, "three", 1],
        [4n, "vier", 1],
      ]);
    },
  },
  {
    name: "a truncate ends all rows that were there before, and none that come after",
    async run(harness) {
      await fill(harness, things, three);
      const changed = await sync(harness, second, [
        upsert(things, [4n, "four", 1]),
        { kind: "truncate", table: "things" },
        upsert(things, [2n, "two", 1], [5n, "five", 1]),
      ]);
      assert.deepEqual(await live(harness, things), [
        [2n, "two", 1],
        [5n, "five", 1],
      ]);
      assert.equal(changed.get("things")!.deleted, 4);
    },
  },
  {
    name: "keys of several columns, with NULLs and values that look alike",
    async run(harness) {
      const table = tableOf("pairs", { a: "STRING", n: "DECIMAL(12,2)", b: "STRING", v: "INT" }, ["a", "b", "n"]);
      const nullable = { ...table, columns: table.columns.map((column) => ({ ...column, nullable: true })) };
      const cells = [
        ["", 1n, "", 1],
        ["", 1n, null, 1],
        [null, 1n, null, 1],
        ["a", 100n, "b ", 1],
        ["a", 100n, "b", 1],
        ["A", 100n, "b", 1],
        ["a\u0301", 100n, "b", 1],
        ["á", 100n, "b", 1],
      ] as const;
      await fill(harness, nullable, cells);
      const again = { tables: [nullable], kind: "full", sync: 2 } as const;
      assert.deepEqual(
        await sync(harness, again, [upsert(nullable, ...cells)]),
        new Map([["pairs", { inserted: 0, updated: 0, deleted: 0 }]]),
      );
      await sync(harness, { ...again, kind: "window", sync: 3 }, [
        upsert(nullable, ...cells.map(([a, n, b]) => [a, n, b, 2] as const)),
        some("delete", nullable, ["a", "b", "n"], ["", null, 1n]),
      ]);
      const kept = cells.filter(([a, , b]) => !(a === "" && b === null)).map(([a, n, b]) => [a, n, b, 2] as const);
      assert.deepEqual(await live(harness, nullable), inOrder(kept));
    },
  },
  {
    name: "batches of any size, with NULLs anywhere, in one order or another",
    async run(harness) {
      const sizes = [1, 7, 8, 9, 2_047, 2_048, 2_049, 4_097, 130_003];
      const cellsOf = (from: number, to: number) =>
        Array.from({ length: to - from }, (_, index) => {
          const id = from + index;
          return [
            BigInt(id),
            id % 3 === 0 ? null : `thing ${id} ${"é".repeat(id % 23)}`,
            id % 5 === 0 ? null : id,
          ] as const;
        });
      const first = passOf("first", "full", [things], syncAt(1));
      const total = sizes.reduce((sum, size) => sum + size, 0);
      await holding(harness, async (warehouse, lease) => {
        await transact(warehouse, lease, syncAt(1), async (transaction) => {
          await transaction.open(first);
          let from = 0;
          for (const size of sizes) {
            await transaction.write(first, left(first), batch(cellsOf(from, from + size)));
            from += size;
          }
          await transaction.close(first, statesOf(first));
        });
      });
      const sorted = (cells: readonly (readonly unknown[])[]): string[] => cells.map(String).sort();
      assert.deepEqual(sorted(await live(harness, things)), sorted(cellsOf(0, total)));
      const changed = await sync(harness, { ...second, kind: "window" }, [
        batch(cellsOf(1_000, 60_000).reverse()),
        upsert(things, [1_500n, "changed", 1]),
      ]);
      assert.deepEqual(changed, changes(0, 1, 0));
    },
  },
  {
    name: "a batch that does not fit is refused, and tells where",
    async run(harness) {
      await fill(harness, things, three);
      const wide = tableOf("things", { id: "LONG", name: "STRING", at: "LONG" }, ["id"]);
      await rejectsWith("VALUE_OUT_OF_RANGE", sync(harness, second, [upsert(wide, [1n, "one", 1n])]), "at");
      const more = tableOf("things", { id: "LONG", more: "STRING" }, ["id"]);
      await rejectsWith("DEFECT", sync(harness, second, [upsert(more, [1n, "one"])]), "more");
      await rejectsWith(
        "DEFECT",
        sync(harness, second, [{ kind: "upsert", table: "of nobody", rows: rows(things, three) }]),
        "of nobody",
      );
      assert.deepEqual(await stamps(harness, "things"), { "1": "1", "2": "1", "3": "1" });
    },
  },
];
