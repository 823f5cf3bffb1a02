import assert from "node:assert/strict";
import type { Progress } from "../../../src/protocol/pass.ts";
import type { RunRecord } from "../../../src/protocol/state-store.ts";
import {
  copied,
  type DestinationCheck,
  fill,
  holder,
  holding,
  left,
  live,
  passOf,
  rejectsWith,
  schema,
  stamps,
  stateOf,
  statesOf,
  sync,
  syncAt,
  tableOf,
  things,
  transact,
  upsert,
} from "./steps.ts";

const start = syncAt(1);
const full = passOf("first", "full", [things], start);

function progressOf(version: number, more: Partial<Progress> = {}): Progress {
  return { pass: "first", split: "left", attempt: 1, version, state: { after: version }, done: false, ...more };
}

export const commitChecks: readonly DestinationCheck[] = [
  {
    name: "data, passes and progress become durable together",
    async run(harness) {
      await holding(harness, async (warehouse, lease) => {
        const nothing = { passes: [], progress: [], tables: new Map(), lastRun: null, lastStamp: null };
        assert.deepEqual(await warehouse.load(), nothing);
        await using transaction = await warehouse.begin(lease, start);
        await transaction.open(full);
        await transaction.write(full, left(full), upsert(things, [1n, "one", 1]));
        await transaction.commit([progressOf(1)]);
      });
      assert.deepEqual(await live(harness, things), [[1n, "one", 1]]);
      await holding(harness, async (warehouse, lease) => {
        const stored = await warehouse.load();
        assert.deepEqual(stored.passes, [full]);
        assert.deepEqual(stored.progress, [progressOf(1)]);
        assert.equal(stored.tables.size, 0);
        await using transaction = await warehouse.begin(lease, syncAt(2));
        await transaction.write(full, left(full), upsert(things, [2n, "two", 2]));
        await transaction.commit([progressOf(2, { attempt: 2, done: true })]);
        assert.deepEqual((await warehouse.load()).progress, [progressOf(2, { attempt: 2, done: true })]);
        await transact(warehouse, lease, syncAt(2), (next) => next.close(full, statesOf(full)));
        const closed = await warehouse.load();
        assert.deepEqual([closed.passes, closed.progress], [[], []]);
        assert.deepEqual(closed.tables, new Map([["things", stateOf(things, full)]]));
      });
      assert.deepEqual(await stamps(harness, "things"), { "1": "1", "2": "2" });
    },
  },
  {
    name: "a transaction that is disposed is undone as a whole",
    async run(harness) {
      await fill(harness, things, [[1n, "one", 1]]);
      const wider = tableOf("things", { id: "LONG", name: "STRING", at: "LONG", more: "STRING" }, ["id"]);
      await holding(harness, async (warehouse, lease) => {
        const before = await warehouse.load();
        const pass = passOf("undone", "window", [wider], syncAt(2));
        {
          await using transaction = await warehouse.begin(lease, syncAt(2));
          await transaction.open(pass);
          await transaction.write(pass, left(pass), upsert(wider, [1n, "uno", 1n, "x"], [2n, "due", 2n, "y"]));
          await transaction.close(pass, statesOf(pass));
          await transaction.record(runOf("undone", syncAt(2)));
          assert.equal(await warehouse.count("things"), 2, "the transaction sees what it wrote");
        }
        assert.deepEqual(await warehouse.load(), before);
        assert.deepEqual(await warehouse.runs(9), []);
        assert.equal(await warehouse.count("things"), 1);
      });
      assert.deepEqual(
        (await copied(harness, "things")).map(({ row }) => row),
        [{ id: 1n, name: "one", at: 1 }],
      );
    },
  },
  {
    name: "a transaction that is disposed while rows are on their way is undone, and the next one works",
    async run(harness) {
      await holding(harness, async (warehouse, lease) => {
        {
          await using transaction = await warehouse.begin(lease, start);
          await transaction.open(full);
          for (let id = 0; id < 200_000; id += 10_000) {
            const cells = Array.from({ length: 10_000 }, (_, index) => [BigInt(id + index), "x", 1]);
            await transaction.write(full, left(full), upsert(things, ...cells));
          }
        }
        await transact(warehouse, lease, start, async (transaction) => {
          await transaction.open(full);
          await transaction.write(full, left(full), upsert(things, [1n, "one", 1]));
        });
      });
      assert.deepEqual(await live(harness, things), [[1n, "one", 1]]);
    },
  },
  {
    name: "a commit with an older lease is refused and changes nothing",
    async run(harness) {
      await using first = await harness.open();
      const old = await first.acquire(holder);
      await transact(first, old, start, (transaction) => transaction.open(full));
      await using transaction = await first.begin(old, start);
      await transaction.write(full, left(full), upsert(things, [1n, "stale", 1]));
      await first.release(old);
      await using second = await harness.open();
      const lease = await second.acquire(holder);
      assert.ok(lease > old, "a lease is greater than any before it");
      await rejectsWith("LEASE_LOST", transaction.commit([progressOf(1)]));
      await transaction[Symbol.asyncDispose]();
      await transact(second, lease, start, (next) => next.write(full, left(full), upsert(things, [2n, "newer", 1])));
      assert.equal(await second.count("things"), 1);
      assert.deepEqual((await second.load()).progress, []);
    },
  },
  {
    name: "a lease that was taken over before the transaction began can't commit",
    async run(harness) {
      await using first = await harness.open();
      const old = await first.acquire(holder);
      await first.release(old);
      const lease = await first.acquire(holder);
      {
        await using transaction = await first.begin(old, start);
        await transaction.record(runOf("stale", start));
        await rejectsWith("LEASE_LOST", transaction.commit([]));
      }
      await transact(first, lease, start, (transaction) => transaction.record(runOf("newest", start)));
      assert.deepEqual(
        (await first.runs(9)).map(({ id }) => id),
        ["newest"],
      );
    },
  },
  {
    name: "progress that does not follow the stored one is refused and changes nothing",
    async run(harness) {
      await holding(harness, async (warehouse, lease) => {
        await transact(warehouse, lease, start, (transaction) => transaction.open(full));
        const commit = async (progress: Progress): Promise<void> => {
          await using transaction = await warehouse.begin(lease, start);
          await transaction.write(full, left(full), upsert(things, [BigInt(progress.version), "x", 1]));
          await transaction.commit([progress]);
        };
        await rejectsWith("LEASE_LOST", commit(progressOf(2)));
        await commit(progressOf(1, { attempt: 2 }));
        await rejectsWith("LEASE_LOST", commit(progressOf(1, { attempt: 2 })));
        await rejectsWith("LEASE_LOST", commit(progressOf(2, { attempt: 1 })));
        await rejectsWith("LEASE_LOST", commit(progressOf(1, { pass: "of nobody" })));
        await commit(progressOf(2, { attempt: 3 }));
        assert.deepEqual((await warehouse.load()).progress, [progressOf(2, { attempt: 3 })]);
        assert.equal(await warehouse.count("things"), 2);
      });
    },
  },
  {
    name: "progress of many splits is kept, each by itself",
    async run(harness) {
      const splits = Array.from({ length: 300 }, (_, index) => ({
        id: `split ${index} "'`,
        tables: ["things"],
        work: index,
      }));
      const pass = passOf("first", "full", [things], start, { splits });
      const progress = splits.map(({ id }, index) =>
        progressOf(1, { split: id, state: { key: ["é'\"\\", null, index] } }),
      );
      await holding(harness, async (warehouse, lease) => {
        await transact(warehouse, lease, start, (transaction) => transaction.open(pass));
        await using transaction = await warehouse.begin(lease, start);
        await transaction.commit(progress);
      });
      await holding(harness, async (warehouse) => {
        const stored = await warehouse.load();
        const sorted = [...stored.progress].sort(
          (a, b) => splits.findIndex(({ id }) => id === a.split) - splits.findIndex(({ id }) => id === b.split),
        );
        assert.deepEqual(sorted, progress);
        assert.deepEqual(stored.passes, [pass]);
      });
    },
  },
  {
    name: "a second writer of a connection is refused, and told who holds it",
    async run(harness) {
      await using first = await harness.open();
      await using second = await harness.open();
      const lease = await first.acquire(holder);
      const error = await rejectsWith("SYNC_RUNNING", second.acquire({ ...holder, pid: 43 }), String(holder.pid));
      assert.ok(error.message.includes(holder.host) && error.message.includes(holder.since));
      await rejectsWith("SYNC_RUNNING", first.acquire(holder));
      await first.release(lease);
      const next = await second.acquire(holder);
      assert.ok(next > lease);
      await second[Symbol.asyncDispose]();
      assert.ok((await first.acquire(holder)) > next, "a lease ends with its sink");
    },
  },
  {
    name: "of two that ask for the lease at once one gets it",
    async run(harness) {
      await using first = await harness.open();
      await using second = await harness.open();
      const asked = await Promise.allSettled([first.acquire(holder), second.acquire(holder)]);
      assert.deepEqual(asked.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
    },
  },
  {
    name: "a destination that holds nothing yet says so",
    async run(harness) {
      await rejectsWith("DESTINATION_EMPTY", harness.open({}, { create: false }));
      await fill(harness, things, []);
      await using again = await harness.open({}, { create: false });
      assert.equal(await again.count("things"), 0);
      assert.equal(await again.count("of nobody"), null);
      await rejectsWith("DESTINATION_EMPTY", harness.open({ connection: "another" }, { create: false }));
    },
  },
  {
    name: "two connections in one destination know nothing of each other",
    async run(harness) {
      await fill(harness, things, [[1n, "one", 1]]);
      const other = { connection: "other", schema: "o" };
      await fill(harness, things, [[7n, "seven", 1]], other);
      await holding(
        harness,
        async (warehouse, lease) => {
          assert.deepEqual([...(await warehouse.load()).tables.keys()], ["things"]);
          await transact(warehouse, lease, syncAt(2), (transaction) => transaction.reset(["things"], true));
          assert.equal(await warehouse.count("things"), null);
        },
        other,
      );
      await holding(harness, async (warehouse) => {
        assert.equal(await warehouse.count("things"), 1);
        assert.equal((await warehouse.load()).tables.size, 1);
      });
      await rejectsWith("DESTINATION_UNUSABLE", fill(harness, things, [], { connection: "third", schema }), "things");
    },
  },
  {
    name: "two connections may write into one destination at the same time",
    async run(harness) {
      const names = ["one", "two", "three"];
      const write = async (name: string, n: number): Promise<void> => {
        const given = { connection: name, schema: `of ${name}` };
        const cells = Array.from({ length: 50 }, (_, index) => [BigInt(index), name, n] as const);
        await fill(harness, things, cells, given);
        await sync(harness, { tables: [things], kind: "window", sync: 2, given }, [upsert(things, [1n, "changed", n])]);
      };
      await Promise.all(names.map(write));
      for (const name of names) assert.equal((await harness.readBack(`of ${name}`, "things"))?.length, 50);
    },
  },
  {
    name: "a table that is not ours is left alone",
    async run(harness) {
      await fill(harness, things, []);
      await harness.tamper(`CREATE TABLE ${schema}.mine (id INTEGER)`);
      const mine = tableOf("mine", { id: "INT" }, ["id"]);
      await rejectsWith("DESTINATION_UNUSABLE", fill(harness, mine, [[1]]), "mine");
      assert.deepEqual(await harness.readBack(schema, "mine"), []);
    },
  },
  {
    name: "records of runs are kept, replaced and given back newest first",
    async run(harness) {
      await holding(harness, async (warehouse, lease) => {
        for (const n of [2, 1, 3]) {
          await transact(warehouse, lease, syncAt(n), (transaction) =>
            transaction.record(runOf(`run ${n}`, syncAt(n))),
          );
        }
        const ended = { ...runOf("run 3", syncAt(3)), ended: syncAt(4), outcome: "succeeded" } as const;
        await transact(warehouse, lease, syncAt(3), (transaction) => transaction.record(ended));
        // There is one writer: one that was under way when another began has died.
        assert.deepEqual(await warehouse.runs(2), [ended, { ...runOf("run 2", syncAt(2)), outcome: "died" }]);
      });
    },
  },
  {
    name: "reset forgets what is kept of a table, and with drop its copy",
    async run(harness) {
      const others = { ...things, id: "others" };
      await sync(harness, { tables: [things, others], kind: "full", sync: 1 }, [upsert(things, [1n, "one", 1])]);
      const open = passOf("open", "full", [things], syncAt(2));
      await holding(harness, async (warehouse, lease) => {
        await transact(warehouse, lease, syncAt(2), async (transaction) => {
          await transaction.open(open);
          await transaction.write(open, left(open), upsert(things, [2n, "two", 1]));
        });
        await transact(warehouse, lease, syncAt(2), (transaction) => transaction.reset(["things"], false));
        const stored = await warehouse.load();
        assert.deepEqual([stored.passes, [...stored.tables.keys()]], [[], ["others"]]);
        assert.equal(await warehouse.count("things"), 1);
      });
      await sync(harness, { tables: [things], kind: "full", sync: 3 }, [
        upsert(things, [1n, "one", 1], [3n, "three", 1]),
      ]);
      assert.deepEqual(await stamps(harness, "things"), { "1": "1", "3": "3" });
      await holding(harness, async (warehouse, lease) => {
        await transact(warehouse, lease, syncAt(4), (transaction) => transaction.reset(["things"], true));
        assert.equal(await warehouse.count("things"), null);
      });
      assert.equal(await harness.readBack(schema, "things"), null);
      await fill(harness, things, [[1n, "one", 1]]);
      assert.deepEqual(await stamps(harness, "things"), { "1": "1" });
    },
  },
];

function runOf(id: string, started: string): RunRecord {
  const changes = { inserted: 1, updated: 2, deleted: 3 };
  const counts = {
    rowsRead: 4,
    bytesRead: 5,
    milliseconds: 6,
    asOf: null,
    error: { code: "DEFECT", message: 'It\'s "é"', hint: null },
  } as const;
  return {
    id,
    started,
    ended: null,
    outcome: "running",
    tables: [{ table: "things", outcome: "running", passes: ["full"], ...changes, ...counts }],
  };
}
