import assert from "node:assert/strict";
import { copied, type DestinationCheck, holding, left, passOf, statesOf, things, transact, upsert } from "./steps.ts";

/** Moments of one millisecond. */
function at(microsecond: number): string {
  return `2024-05-01T00:00:00.1234${String(microsecond).padStart(2, "0")}Z`;
}

export const stampChecks: readonly DestinationCheck[] = [
  {
    name: "rows have the stamp of their transaction, to the microsecond, and the last one is given back",
    async run(harness) {
      const full = passOf("full", "full", [things], at(1));
      const window = passOf("window", "window", [things], at(3));
      await holding(harness, async (warehouse, lease) => {
        await transact(warehouse, lease, at(1), (transaction) => transaction.open(full));
        assert.equal((await warehouse.load()).lastStamp, at(1));
        await transact(warehouse, lease, at(2), async (transaction) => {
          await transaction.write(full, left(full), upsert(things, [1n, "one", 1], [2n, "two", 1]));
          await transaction.close(full, statesOf(full));
        });
        await transact(warehouse, lease, at(3), (transaction) => transaction.open(window));
        {
          await using undone = await warehouse.begin(lease, at(4));
          await undone.write(window, left(window), upsert(things, [1n, "undone", 1]));
        }
        assert.equal((await warehouse.load()).lastStamp, at(3));
        await transact(warehouse, lease, at(5), (transaction) =>
          transaction.write(window, left(window), upsert(things, [2n, "zwei", 2], [3n, "three", 2])),
        );
      });
      await holding(harness, async (warehouse) => assert.equal((await warehouse.load()).lastStamp, at(5)));
      const found = (await copied(harness, "things")).map(({ row, synced }) => [row["name"], Number(synced % 100n)]);
      assert.deepEqual(found.sort(), [
        ["one", 2],
        ["three", 5],
        ["zwei", 5],
      ]);
    },
  },
  {
    name: "settling leaves alone what was written a microsecond after the pass was opened",
    async run(harness) {
      const first = passOf("first", "full", [things], at(1));
      const later = passOf("later", "full", [things], at(2));
      await holding(harness, async (warehouse, lease) => {
        await transact(warehouse, lease, at(1), async (transaction) => {
          await transaction.open(first);
          await transaction.write(first, left(first), upsert(things, [1n, "one", 1], [2n, "two", 1]));
          await transaction.close(first, statesOf(first));
        });
        await transact(warehouse, lease, at(2), (transaction) => transaction.open(later));
        const window = passOf("window", "window", [things], at(3));
        await transact(warehouse, lease, at(3), async (transaction) => {
          await transaction.open(window);
          await transaction.write(window, left(window), upsert(things, [2n, "newer", 2]));
          await transaction.close(window, statesOf(window));
        });
        await transact(warehouse, lease, at(4), (transaction) => transaction.close(later, statesOf(later)));
      });
      const found = await copied(harness, "things");
      assert.deepEqual(found.map(({ row, deleted }) => [row["name"], deleted]).sort(), [
        ["newer", false],
        ["one", true],
      ]);
    },
  },
];
