import assert from "node:assert/strict";
import type { Pass } from "../../../src/protocol/pass.ts";
import type { Changes } from "../../../src/protocol/transaction.ts";
import { cell } from "../../../src/toolkit/vectors.ts";
import {
  copied,
  type DestinationCheck,
  fill,
  gather,
  holding,
  inOrder,
  left,
  live,
  passOf,
  rejectsWith,
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

function changes(inserted: number, updated: number, deleted: number): ReadonlyMap<string, Changes> {
  return new Map([["things", { inserted, updated, deleted }]]);
}

const anew = { tables: [things], kind: "full", sync: 2 } as const;

export const passChecks: readonly DestinationCheck[] = [
  {
    name: "the first full pass fills the copy",
    async run(harness) {
      const changed = await sync(harness, { tables: [things], kind: "full", sync: 1 }, [upsert(things, ...three)]);
      assert.deepEqual(changed, changes(3, 0, 0));
      assert.deepEqual(await live(harness, things), inOrder(three));
      assert.deepEqual(await stamps(harness, "things"), { "1": "1", "2": "1", "3": "1" });
    },
  },
  {
    name: "of a key that comes twice in the first full pass the last row stays",
    async run(harness) {
      const first = passOf("first", "full", [things], syncAt(1));
      await holding(harness, async (warehouse, lease) => {
        await transact(warehouse, lease, syncAt(1), async (transaction) => {
          await transaction.open(first);
          await transaction.write(first, left(first), upsert(things, [1n, "a", 1], [1n, "b", 1], [2n, "a", 1]));
          await transaction.write(first, left(first), upsert(things, [2n, "b", 1], [3n, "a", 1], [4n, "a", 1]));
        });
        await transact(warehouse, lease, syncAt(2), async (transaction) => {
          await transaction.write(first, left(first), upsert(things, [3n, "b", 1]));
          await transaction.close(first, statesOf(first));
        });
      });
      assert.deepEqual(await live(harness, things), [
        [1n, "b", 1],
        [2n, "b", 1],
        [3n, "b", 1],
        [4n, "a", 1],
      ]);
    },
  },
  {
    name: "a later full pass writes what differs and no more",
    async run(harness) {
      await fill(harness, things, three);
      const changed = await sync(harness, anew, [upsert(things, [1n, "one", 1], [2n, "zwei", 1], [4n, "four", 1])]);
      assert.deepEqual(changed, changes(1, 1, 1));
      assert.deepEqual(await stamps(harness, "things"), { "1": "1", "2": "2", "3": "2 deleted", "4": "2" });
      assert.deepEqual(await live(harness, things), [
        [1n, "one", 1],
        [2n, "zwei", 1],
        [4n, "four", 1],
      ]);
      assert.deepEqual(
        await sync(harness, { ...anew, sync: 3 }, [upsert(things, [1n, "one", 1], [2n, "zwei", 1], [4n, "four", 1])]),
        changes(0, 0, 0),
      );
      assert.deepEqual(await stamps(harness, "things"), { "1": "1", "2": "2", "3": "2 deleted", "4": "2" });
    },
  },
  {
    name: "of a key that comes twice in a later full pass the last row stays",
    async run(harness) {
      await fill(harness, things, three);
      await sync(harness, anew, [
        upsert(things, [1n, "a", 1], [2n, "a", 1], [5n, "a", 1]),
        upsert(things, [1n, "one", 1], [2n, "b", 1], [5n, "b", 1], [5n, "c", 1]),
      ]);
      assert.deepEqual(await live(harness, things), [
        [1n, "one", 1],
        [2n, "b", 1],
        [5n, "c", 1],
      ]);
      assert.equal((await stamps(harness, "things"))["1"], "1");
    },
  },
  {
    name: "a key that comes back, comes back to life, though nothing else changed",
    async run(harness) {
      await fill(harness, things, three);
      await sync(harness, anew, [upsert(things, [1n, "one", 1])]);
      const changed = await sync(harness, { ...anew, sync: 3 }, [upsert(things, ...three)]);
      assert.deepEqual(changed, changes(2, 0, 0));
      assert.deepEqual(await stamps(harness, "things"), { "1": "1", "2": "3", "3": "3" });
      await sync(harness, { ...anew, kind: "window", sync: 4 }, [some("delete", things, ["id"], [2n])]);
      await sync(harness, { ...anew, kind: "window", sync: 5 }, [upsert(things, [2n, "two", 1])]);
      assert.deepEqual(await stamps(harness, "things"), { "1": "1", "2": "5", "3": "3" });
    },
  },
  {
    name: "with hard deletion rows are gone",
    async run(harness) {
      const given = { deletion: "hard" } as const;
      await fill(harness, things, three, given);
      const changed = await sync(harness, { ...anew, given }, [upsert(things, [1n, "one", 1], [4n, "four", 1])]);
      assert.deepEqual(changed, changes(1, 0, 2));
      assert.deepEqual(await stamps(harness, "things"), { "1": "1", "4": "2" });
      await sync(harness, { ...anew, kind: "stream", sync: 3, given }, [some("delete", things, ["id"], [4n], [9n])]);
      assert.deepEqual(await stamps(harness, "things"), { "1": "1" });
      await sync(harness, { ...anew, kind: "stream", sync: 4, given }, [{ kind: "truncate", table: "things" }]);
      assert.deepEqual(await stamps(harness, "things"), {});
    },
  },
  {
    name: "one table may be deleted from otherwise than the others",
    async run(harness) {
      const others = { ...things, id: "others" };
      const given = { deletion: "soft", deletions: { things: "hard" } } as const;
      for (const table of [things, others]) await fill(harness, table, three, given);
      for (const table of [things, others]) {
        await sync(harness, { ...anew, tables: [table], given }, [upsert(table, [1n, "one", 1])]);
      }
      assert.deepEqual(await stamps(harness, "things"), { "1": "1" });
      assert.deepEqual(await stamps(harness, "others"), { "1": "1", "2": "2 deleted", "3": "2 deleted" });
    },
  },
  {
    name: "what a full pass sets aside is not in the copy before it is closed, and survives the process",
    async run(harness) {
      await fill(harness, things, three);
      const pass = passOf("again", "full", [things], syncAt(2));
      await holding(harness, async (warehouse, lease) => {
        await transact(warehouse, lease, syncAt(2), async (transaction) => {
          await transaction.open(pass);
          await transaction.write(pass, left(pass), upsert(things, [1n, "uno", 1]));
        });
      });
      assert.deepEqual(await live(harness, things), inOrder(three));
      await holding(harness, async (warehouse, lease) => {
        assert.deepEqual((await warehouse.load()).passes, [pass]);
        await transact(warehouse, lease, syncAt(3), async (transaction) => {
          await transaction.write(pass, left(pass), upsert(things, [2n, "two", 1]));
          await transaction.close(pass, statesOf(pass));
        });
      });
      assert.deepEqual(await stamps(harness, "things"), { "1": "3", "2": "1", "3": "3 deleted" });
    },
  },
  {
    name: "an abandoned pass leaves nothing behind, and another takes its place",
    async run(harness) {
      await fill(harness, things, three);
      const pass = passOf("given up", "full", [things], syncAt(2));
      await holding(harness, async (warehouse, lease) => {
        await transact(warehouse, lease, syncAt(2), async (transaction) => {
          await transaction.open(pass);
          await transaction.write(pass, left(pass), upsert(things, [9n, "nine", 1]));
        });
        await using transaction = await warehouse.begin(lease, syncAt(2));
        await transaction.abandon(pass);
        await transaction.commit([{ pass: pass.id, split: "left", attempt: 1, version: 1, state: null, done: true }]);
        const stored = await warehouse.load();
        assert.deepEqual([stored.passes, stored.progress], [[], []]);
        await rejectsWith(
          "DEFECT",
          transact(warehouse, lease, syncAt(2), (next) => next.close(pass, new Map())),
        );
      });
      await sync(harness, { ...anew, sync: 3 }, [upsert(things, ...three)]);
      assert.deepEqual(await stamps(harness, "things"), { "1": "1", "2": "1", "3": "1" });
    },
  },
  {
    name: "a first full pass that was abandoned is followed by one that settles",
    async run(harness) {
      const pass = passOf("given up", "full", [things], syncAt(1));
      await holding(harness, async (warehouse, lease) => {
        await transact(warehouse, lease, syncAt(1), async (transaction) => {
          await transaction.open(pass);
          await transaction.write(pass, left(pass), upsert(things, [1n, "one", 1], [8n, "eight", 1], [8n, "ate", 1]));
        });
        await transact(warehouse, lease, syncAt(1), (transaction) => transaction.abandon(pass));
      });
      await sync(harness, anew, [upsert(things, ...three)]);
      assert.deepEqual(await live(harness, things), inOrder(three));
    },
  },
  {
    name: "settling neither undoes nor deletes what a later sync wrote",
    async run(harness) {
      await fill(harness, things, three);
      const pass = passOf("slow", "full", [things], syncAt(2));
      await holding(harness, async (warehouse, lease) => {
        await transact(warehouse, lease, syncAt(2), async (transaction) => {
          await transaction.open(pass);
          await transaction.write(pass, left(pass), upsert(things, [1n, "one", 1], [2n, "two", 1], [4n, "four", 1]));
        });
        const between = passOf("between", "window", [things], syncAt(3));
        await transact(warehouse, lease, syncAt(3), async (transaction) => {
          await transaction.open(between);
          const newer = upsert(things, [1n, "newer", 2], [3n, "newer", 2], [5n, "newer", 2]);
          await transaction.write(between, left(between), newer);
          await transaction.write(between, left(between), some("delete", things, ["id"], [2n]));
          await transaction.close(between, statesOf(between));
        });
        await transact(warehouse, lease, syncAt(4), (transaction) => transaction.close(pass, statesOf(pass)));
      });
      assert.deepEqual(await stamps(harness, "things"), {
        "1": "3",
        "2": "3 deleted",
        "3": "3",
        "4": "4",
        "5": "3",
      });
    },
  },
  {
    name: "candidates for deletion are told, and those that are met after all stay",
    async run(harness) {
      await fill(harness, things, [...three, [4n, "four", 1]]);
      const pass = passOf("again", "full", [things], syncAt(2));
      await holding(harness, async (warehouse, lease) => {
        await using transaction = await warehouse.begin(lease, syncAt(2));
        await transaction.open(pass);
        await transaction.write(pass, left(pass), upsert(things, [1n, "one", 1]));
        assert.equal(await transaction.count(things), 4);
        assert.deepEqual(await transaction.settlement(pass, things), { empty: false, missing: 0, gone: 3 });
        assert.deepEqual(inOrder(await gather(transaction.gone(pass, things), idsOf)), [[2n], [3n], [4n]]);
        await transaction.write(pass, null, upsert(things, [2n, "two", 1], [3n, "drei", 1]));
        assert.deepEqual(await transaction.settlement(pass, things), { empty: false, missing: 0, gone: 1 });
        await transaction.close(pass, statesOf(pass));
        assert.deepEqual(await transaction.commit([]), changes(0, 1, 1));
      });
      assert.deepEqual(await stamps(harness, "things"), { "1": "1", "2": "1", "3": "2", "4": "2 deleted" });
    },
  },
  {
    name: "a pass that is closed with its deletes held back writes what differs and deletes nothing",
    async run(harness) {
      await fill(harness, things, three);
      await holding(harness, async (warehouse, lease) => {
        for (const [kind, operation, found] of [
          ["full", upsert(things, [1n, "eins", 2], [4n, "four", 2]), { empty: false, missing: 0, gone: 2 }],
          ["keys", some("keys", things, ["id", "at"], [1n, 2], [4n, 2]), { empty: false, missing: 0, gone: 2 }],
          ["keys", null, { empty: true, missing: 0, gone: 4 }],
        ] as const) {
          const pass = passOf(`held ${found.gone} ${kind}`, kind, [things], syncAt(2));
          await using transaction = await warehouse.begin(lease, syncAt(2));
          await transaction.open(pass);
          if (operation !== null) await transaction.write(pass, left(pass), operation);
          assert.deepEqual(await transaction.settlement(pass, things), found);
          await transaction.close(pass, statesOf(pass), "hold");
          assert.equal(await transaction.count(things), 4);
          await transaction.commit([]);
        }
      });
      assert.deepEqual(await stamps(harness, "things"), { "1": "2", "2": "1", "3": "1", "4": "2" });
    },
  },
  {
    name: "a sweep finds what is missing, changed and gone",
    async run(harness) {
      await fill(harness, things, [...three, [4n, "four", 1], [5n, "five", 1]]);
      await sync(harness, { ...anew, kind: "window" }, [some("delete", things, ["id"], [5n])]);
      const pass = passOf("sweep", "keys", [things], syncAt(3));
      await holding(harness, async (warehouse, lease) => {
        await transact(warehouse, lease, syncAt(3), (transaction) => transaction.open(pass));
        await transact(warehouse, lease, syncAt(3), (transaction) =>
          transaction.write(pass, left(pass), some("keys", things, ["id", "at"], [1n, 1], [2n, 2], [5n, 1])),
        );
        await using transaction = await warehouse.begin(lease, syncAt(3));
        await transaction.write(pass, left(pass), some("keys", things, ["id", "at"], [6n, null]));
        assert.deepEqual(await transaction.settlement(pass, things), { empty: false, missing: 3, gone: 2 });
        assert.deepEqual(inOrder(await gather(transaction.missing(pass, things), idsOf)), [[2n], [5n], [6n]]);
        await transaction.write(pass, null, upsert(things, [2n, "zwei", 2], [5n, "five", 1]));
        assert.deepEqual(inOrder(await gather(transaction.gone(pass, things), idsOf)), [[3n], [4n]]);
        await transaction.write(pass, null, upsert(things, [4n, "four", 1]));
        assert.deepEqual(await transaction.settlement(pass, things), { empty: false, missing: 1, gone: 1 });
        assert.equal(await transaction.count(things), 5);
        await transaction.close(pass, statesOf(pass));
        assert.deepEqual(await transaction.commit([]), changes(1, 1, 1));
      });
      assert.deepEqual(await stamps(harness, "things"), {
        "1": "1",
        "2": "3",
        "3": "3 deleted",
        "4": "1",
        "5": "3",
      });
    },
  },
  {
    name: "a sweep without versions finds inserts and deletes; a version that is NULL says nothing",
    async run(harness) {
      const unversioned = { ...things, version: null };
      await fill(harness, unversioned, [
        [1n, "one", 1],
        [2n, "two", null],
      ]);
      for (const [table, missing] of [
        [unversioned, 1],
        [things, 3],
      ] as const) {
        const pass = passOf(`sweep ${missing}`, "keys", [table], syncAt(2));
        await holding(harness, async (warehouse, lease) => {
          await using transaction = await warehouse.begin(lease, syncAt(2));
          await transaction.open(pass);
          const names = table.version === null ? ["id"] : ["id", "at"];
          const cells = [
            [1n, null],
            [2n, null],
            [3n, 1],
          ] as const;
          const keys = some("keys", table, names, ...cells.map((row) => row.slice(0, names.length)));
          await transaction.write(pass, left(pass), keys);
          assert.deepEqual(await transaction.settlement(pass, table), { empty: false, missing, gone: 0 });
        });
      }
    },
  },
  {
    name: "what is to be looked up is fixed when it is asked for, through writes and commits",
    async run(harness) {
      const many = Array.from({ length: 25_000 }, (_, index) => [BigInt(index), "x", 1] as const);
      await fill(harness, things, []);
      const pass = passOf("sweep", "keys", [things], syncAt(2));
      await holding(harness, async (warehouse, lease) => {
        await transact(warehouse, lease, syncAt(2), async (transaction) => {
          await transaction.open(pass);
          await transaction.write(pass, left(pass), some("keys", things, ["id", "at"], ...many.map(([id]) => [id, 1])));
        });
        let pages = 0;
        let transaction = await warehouse.begin(lease, syncAt(2));
        const asked: bigint[] = [];
        for await (const page of transaction.missing(pass, things)) {
          pages += 1;
          const ids = idsOf(page).map(([id]) => id as bigint);
          asked.push(...ids);
          await transaction.write(pass, null, upsert(things, ...ids.map((id) => [id, "x", 1])));
          await transaction.commit([]);
          transaction = await warehouse.begin(lease, syncAt(2));
        }
        assert.ok(pages > 1, "keys come in pages");
        assert.equal(new Set(asked).size, 25_000);
        assert.equal(asked.length, 25_000);
        await transaction.close(pass, statesOf(pass));
        await transaction.commit([]);
        assert.equal(await warehouse.count("things"), 25_000);
      });
    },
  },
  {
    name: "a pass that replaces the copy compares nothing of the old one",
    async run(harness) {
      await fill(harness, things, three);
      const keyed = tableOf("things", { name: "STRING", id: "STRING", fresh: "BOOLEAN" }, ["name"]);
      const changed = await sync(harness, { ...anew, tables: [keyed], replace: true }, [
        upsert(keyed, ["one", "1", true], ["one", "1", false], ["new", "2", null]),
      ]);
      assert.deepEqual(changed, changes(2, 0, 3));
      assert.deepEqual(
        inOrder((await copied(harness, "things")).map(({ row }) => Object.values(row))),
        inOrder([
          ["one", "1", false],
          ["new", "2", null],
        ]),
      );
      const unkeyed = { ...keyed, key: [] };
      await sync(harness, { ...anew, tables: [unkeyed], replace: true, sync: 3 }, [
        upsert(unkeyed, ["one", "1", true], ["one", "1", true]),
      ]);
      assert.equal((await live(harness, unkeyed)).length, 2);
    },
  },
  {
    name: "rows of a table without a key are told apart by what is in them and how often",
    async run(harness) {
      const loose = tableOf("loose", { a: "INT", b: "STRING", ttl: "INT" }, [], { volatile: ["ttl"] });
      const given = { ...anew, tables: [loose] };
      await fill(harness, loose, [
        [1, "x", 1],
        [1, "x", 2],
        [1, null, 3],
        [null, null, 4],
      ]);
      const before = await idsByRow(harness);
      const changed = await sync(harness, given, [
        upsert(loose, [null, null, 9], [1, "x", 9], [1, "x", 9], [1, "x", 9], [1, "", 9]),
      ]);
      assert.deepEqual(changed, new Map([["loose", { inserted: 2, updated: 0, deleted: 1 }]]));
      assert.deepEqual(
        await live(harness, loose, ["a", "b"]),
        inOrder([
          [null, null],
          [1, "x"],
          [1, "x"],
          [1, "x"],
          [1, ""],
        ]),
      );
      const after = await idsByRow(harness);
      for (const [id, row] of Object.entries(before)) assert.equal(after[id], row, "ids stay");
      assert.equal(new Set(Object.keys(after)).size, 6);
      await sync(harness, { ...given, sync: 3 }, [upsert(loose, [1, "x", 9])]);
      assert.deepEqual(await live(harness, loose, ["a", "b"]), [[1, "x"]]);
      await sync(harness, { ...given, sync: 4 }, [upsert(loose, [1, "x", 9], [1, "x", 9], [1, null, 9])]);
      assert.deepEqual(Object.keys(await idsByRow(harness)).sort(), Object.keys(after).sort());
    },
  },
  {
    name: "a volatile column is copied with the row, and makes no difference by itself",
    async run(harness) {
      const table = tableOf("things", { id: "LONG", name: "STRING", ttl: "INT" }, ["id"], { volatile: ["ttl"] });
      await fill(harness, table, [
        [1n, "one", 10],
        [2n, "two", 10],
      ]);
      for (const kind of ["window", "full"] as const) {
        const n = kind === "window" ? 2 : 3;
        await sync(harness, { tables: [table], kind, sync: n }, [
          upsert(table, [1n, "one", 5], [2n, `two ${kind}`, 5 + n]),
        ]);
        assert.deepEqual(await live(harness, table), [
          [1n, "one", 10],
          [2n, `two ${kind}`, 5 + n],
        ]);
        assert.deepEqual(await stamps(harness, "things"), { "1": "1", "2": String(n) });
      }
    },
  },
  {
    name: "several tables in one pass, and several passes at once, keep to themselves",
    async run(harness) {
      const others = { ...things, id: "others" };
      const both: Pass = passOf("both", "full", [things, others], syncAt(1));
      const third = { ...things, id: "third" };
      const alone = passOf("alone", "full", [third], syncAt(1));
      await holding(harness, async (warehouse, lease) => {
        await transact(warehouse, lease, syncAt(1), async (transaction) => {
          await transaction.open(both);
          await transaction.open(alone);
          for (let id = 1n; id <= 20n; id++) {
            await transaction.write(both, left(both), upsert(things, [id, "thing", 1]));
            await transaction.write(both, left(both), upsert(others, [id, "other", 1]));
            await transaction.write(alone, left(alone), upsert(third, [id, "third", 1]));
          }
          await transaction.close(both, statesOf(both));
        });
        assert.deepEqual((await warehouse.load()).passes, [alone]);
      });
      for (const [table, name] of [
        [things, "thing"],
        [others, "other"],
        [third, "third"],
      ] as const) {
        const found = await live(harness, table);
        assert.equal(found.length, 20);
        assert.ok(found.every(([, text]) => text === name));
      }
    },
  },
];

function idsOf(page: Parameters<Parameters<typeof gather>[1]>[0]): (bigint | null)[][] {
  assert.deepEqual(page.columns, ["id"]);
  return Array.from({ length: page.length }, (_, row) => [cell(page.values[0]!, row) as bigint]);
}

async function idsByRow(harness: Parameters<DestinationCheck["run"]>[0]): Promise<Record<string, string>> {
  const rows = (await harness.readBack("s", "loose"))!;
  return Object.fromEntries(
    rows.map((row) => [String(row["_headwaters_id"]), `${String(row["a"])} ${String(row["b"])}`]),
  );
}
