import assert from "node:assert/strict";
import type { Warehouse } from "../../../src/protocol/destination.ts";
import type { Pass, Progress } from "../../../src/protocol/pass.ts";
import type { Holder } from "../../../src/protocol/state-store.ts";
import type { Change, Transaction } from "../../../src/protocol/transaction.ts";
import {
  type DestinationCheck,
  type DestinationHarness,
  fill,
  holder,
  holding,
  live,
  passOf,
  rejectsWith,
  some,
  statesOf,
  syncAt,
  tableOf,
  things,
  three,
  upsert,
} from "./steps.ts";

const team: Holder = { host: "workflow c", pid: 0, since: "2024-05-17T00:00:00.000Z" };
const long = tableOf("long", { id: "LONG", name: "STRING" }, ["id"]);

/** Warehouses as several processes would open them, which are members of one team. */
async function members(harness: DestinationHarness, count: number): Promise<Members> {
  const warehouses: Warehouse[] = [];
  for (let n = 0; n < count; n++) warehouses.push(await harness.open());
  const lease = await warehouses[0]!.team!.acquire(team);
  const again = async (): Promise<void> => {
    for (const [n, warehouse] of warehouses.entries()) await warehouse.team!.join(lease, `work ${n}`);
  };
  await again();
  return {
    again,
    lease,
    all: warehouses,
    async [Symbol.asyncDispose]() {
      for (const warehouse of warehouses) await warehouse[Symbol.asyncDispose]();
    },
  };
}

interface Members extends AsyncDisposable {
  readonly lease: number;
  readonly all: readonly Warehouse[];
  /** All see what is stored by now. */
  again(): Promise<void>;
}

interface Step {
  readonly warehouse: Warehouse;
  readonly lease: number;
  readonly stamp?: string;
}

async function commit(
  { warehouse, lease, stamp = syncAt(1) }: Step,
  work: (transaction: Transaction) => Promise<unknown>,
  progress: readonly Progress[] = [],
): Promise<void> {
  await using transaction = await warehouse.begin(lease, stamp);
  await work(transaction);
  await transaction.commit(progress);
}

function progressOf(pass: Pass, split: string, version: number, more: Partial<Progress> = {}): Progress {
  return { pass: pass.id, split, attempt: 1, version, state: version, done: false, ...more };
}

/** Opens a pass by the first member; all see it afterwards. */
async function opened({ all, lease, again }: Members, pass: Pass, stamp = pass.opened): Promise<Pass> {
  await commit({ warehouse: all[0]!, lease, stamp }, (transaction) => transaction.open(pass));
  await again();
  return pass;
}

const full = (id: string, n = 1, tables = [things]): Pass => passOf(id, "full", tables, syncAt(n));
const write = (pass: Pass, split: number, operation: Change) => (transaction: Transaction) =>
  transaction.write(pass, pass.splits[split]!, operation);

/** What several writers of one connection must keep to, where the destination takes a team. */
export const teamChecks: readonly DestinationCheck[] = [
  {
    name: "a team: the lease keeps others out while it is renewed, and a process keeps a team out",
    async run(harness) {
      await using first = await harness.open();
      await using second = await harness.open();
      const lease = await first.team!.acquire(team);
      await rejectsWith("SYNC_RUNNING", second.acquire(holder), "workflow c");
      await rejectsWith("SYNC_RUNNING", second.team!.acquire({ ...team, host: "workflow d" }), "workflow c");
      assert.deepEqual(await second.holder(), team);
      assert.ok(Math.abs((await second.team!.renew(lease)) - Date.now()) < 600_000, "the destination's clock");
      await first.team!.release(lease);
      assert.equal(await second.holder(), null);
      const own = await second.acquire(holder);
      assert.ok(own > lease);
      await rejectsWith("SYNC_RUNNING", first.team!.acquire(team), String(holder.pid));
      await rejectsWith("LEASE_LOST", first.team!.join(lease, "work"));
    },
  },
  {
    name: "a team: a lease that nobody renews goes to whoever asks, and members of the old one are refused in their commit",
    async run(harness) {
      await using old = await members(harness, 1);
      const [zombie] = old.all as [Warehouse];
      const pass = await opened(old, full("first"));
      await using transaction = await zombie.begin(old.lease, syncAt(1));
      await transaction.write(pass, pass.splits[0]!, upsert(things, [1n, "stale", 1]));
      await harness.tamper(
        `UPDATE _headwaters.leases SET since = split_part(since, '/', 1) || '/2000-01-01T00:00:00Z'`,
      );
      await holding(harness, async (warehouse, lease) => {
        assert.ok(lease > old.lease);
        await rejectsWith("LEASE_LOST", transaction.commit([progressOf(pass, "left", 1)]));
        await commit({ warehouse, lease }, write(pass, 0, upsert(things, [2n, "newer", 1])), [
          progressOf(pass, "left", 1),
        ]);
      });
      await transaction[Symbol.asyncDispose]();
      await zombie[Symbol.asyncDispose]();
      assert.deepEqual(await live(harness, things), [[2n, "newer", 1]]);
    },
  },
  {
    name: "a team: the same one may take its lease over in mid-sync, and its earlier members are refused",
    async run(harness) {
      await using old = await members(harness, 1);
      const pass = await opened(old, full("first"));
      await using again = await members(harness, 1);
      assert.ok(again.lease > old.lease);
      const stale = commit({ warehouse: old.all[0]!, lease: old.lease }, write(pass, 0, upsert(things, [1n, "x", 1])), [
        progressOf(pass, "left", 1),
      ]);
      await rejectsWith("LEASE_LOST", stale);
      await rejectsWith("LEASE_LOST", old.all[0]!.team!.renew(old.lease));
      assert.equal((await again.all[0]!.load()).passes[0]!.id, "first");
    },
  },
  {
    name: "a team: members append to one copy at the same time and do not wait for one another",
    async run(harness) {
      await using both = await members(harness, 2);
      const [one, two] = both.all as [Warehouse, Warehouse];
      const pass = await opened(both, full("first"));
      await using left = await one.begin(both.lease, syncAt(1));
      await using right = await two.begin(both.lease, syncAt(1));
      await left.write(pass, pass.splits[0]!, upsert(things, [1n, "one", 1]));
      await right.write(pass, pass.splits[1]!, upsert(things, [2n, "two", 1]));
      await right.commit([progressOf(pass, "right", 1, { done: true })]);
      await left.commit([progressOf(pass, "left", 1, { done: true })]);
      await both.again();
      assert.equal((await one.load()).progress.length, 2);
      await commit({ warehouse: one, lease: both.lease }, (transaction) => transaction.close(pass, statesOf(pass)));
      assert.deepEqual((await one.load()).passes, []);
      for (const warehouse of both.all) await warehouse[Symbol.asyncDispose]();
      assert.deepEqual(await live(harness, things), [
        [1n, "one", 1],
        [2n, "two", 1],
      ]);
    },
  },
  {
    name: "a team: of two attempts at one split one commits, whoever is first",
    async run(harness) {
      for (const first of [0, 1]) {
        await using both = await members(harness, 2);
        const pass = await opened(both, full(`pass ${first}`, 1 + first));
        const attempts = await Promise.all(both.all.map((warehouse) => warehouse.begin(both.lease, syncAt(1 + first))));
        for (const [n, attempt] of attempts.entries())
          await attempt.write(pass, pass.splits[0]!, upsert(things, [1n, `attempt ${n}`, 1]));
        const last = 1 - first;
        await attempts[first]!.commit([progressOf(pass, "left", 1, { attempt: first + 1 })]);
        await rejectsWith("LEASE_LOST", attempts[last]!.commit([progressOf(pass, "left", 1, { attempt: last + 1 })]));
        for (const attempt of attempts) await attempt[Symbol.asyncDispose]();
        const warehouse = both.all[0]!;
        await both.again();
        await commit({ warehouse, lease: both.lease, stamp: syncAt(1 + first) }, (transaction) =>
          transaction.close(pass, statesOf(pass)),
        );
        await warehouse.team!.release(both.lease);
        for (const member of both.all) await member[Symbol.asyncDispose]();
        assert.deepEqual(await live(harness, things), [[1n, `attempt ${first}`, 1]]);
      }
    },
  },
  {
    name: "a team: two attempts that commit at the same moment are told apart",
    async run(harness) {
      await using both = await members(harness, 2);
      const pass = await opened(both, full("first"));
      for (let version = 1; version <= 10; version++) {
        const work = both.all.map((warehouse, n) =>
          commit({ warehouse, lease: both.lease }, write(pass, 0, upsert(things, [BigInt(version), `by ${n}`, 1])), [
            progressOf(pass, "left", version),
          ]),
        );
        const results = await Promise.allSettled(work);
        assert.deepEqual(results.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
        const refused = results.find((result) => result.status === "rejected")!;
        await rejectsWith("LEASE_LOST", Promise.reject(refused.reason));
      }
      assert.equal(await both.all[0]!.count("things"), 10);
    },
  },
  {
    name: "a team: rows set aside by several members are settled as those of one, and the last of a key in its split stays",
    async run(harness) {
      await fill(harness, things, [...three]);
      await using both = await members(harness, 2);
      const [one, two] = both.all as [Warehouse, Warehouse];
      const { lease } = both;
      const pass = await opened(both, full("second", 2));
      const put = (warehouse: Warehouse, split: number, version: number, ...cells: [bigint, string, number][]) =>
        commit({ warehouse, lease, stamp: syncAt(2) }, write(pass, split, upsert(things, ...cells)), [
          progressOf(pass, pass.splits[split]!.id, version),
        ]);
      await Promise.all([put(one, 0, 1, [1n, "one", 1], [2n, "old", 1]), put(two, 1, 1, [4n, "four", 1])]);
      // Another member goes on with the split.
      await both.again();
      await put(two, 0, 2, [2n, "new", 2]);
      await both.again();
      await commit({ warehouse: two, lease, stamp: syncAt(2) }, async (transaction) => {
        const { gone } = await transaction.settlement(pass, things);
        assert.equal(gone, 1);
        await transaction.close(pass, statesOf(pass));
      });
      for (const warehouse of both.all) await warehouse[Symbol.asyncDispose]();
      assert.deepEqual(await live(harness, things), [
        [1n, "one", 1],
        [2n, "new", 2],
        [4n, "four", 1],
      ]);
    },
  },
  {
    name: "a team: a pass that a process began and a team goes on with keeps the order of its rows, and the other way round",
    async run(harness) {
      await fill(harness, things, [...three]);
      const pass = full("second", 2);
      const put = (step: Step, version: number, name: string): Promise<void> =>
        commit({ ...step, stamp: syncAt(2) }, write(pass, 0, upsert(things, [1n, name, version])), [
          progressOf(pass, "left", version),
        ]);
      await holding(harness, async (warehouse, lease) => {
        await commit({ warehouse, lease, stamp: syncAt(2) }, (transaction) => transaction.open(pass));
        await put({ warehouse, lease }, 1, "by a process");
      });
      {
        await using both = await members(harness, 1);
        const step = { warehouse: both.all[0]!, lease: both.lease };
        await commit({ ...step, stamp: syncAt(2) }, (transaction) => transaction.discard(pass, null));
        await put(step, 2, "by a team");
        await put(step, 3, "by a team again");
        await both.all[0]!.team!.release(both.lease);
      }
      await holding(harness, async (warehouse, lease) => {
        await put({ warehouse, lease }, 4, "by a process at last");
        await commit({ warehouse, lease, stamp: syncAt(2) }, (transaction) => transaction.close(pass, statesOf(pass)));
      });
      assert.deepEqual(await live(harness, things), [[1n, "by a process at last", 4]]);
    },
  },
  {
    name: "a team: of two settlings of one pass one is refused",
    async run(harness) {
      await fill(harness, things, [...three]);
      await using both = await members(harness, 2);
      const [one, two] = both.all as [Warehouse, Warehouse];
      const { lease } = both;
      const pass = await opened(both, passOf("sweep", "keys", [things], syncAt(2)));
      await commit(
        { warehouse: one, lease, stamp: syncAt(2) },
        write(pass, 0, some("keys", things, ["id", "at"], [1n, 1], [2n, 1])),
        [progressOf(pass, "left", 1, { done: true })],
      );
      await both.again();
      const settled = async (warehouse: Warehouse): Promise<void> => {
        await commit({ warehouse, lease, stamp: syncAt(2) }, async (transaction) => {
          await transaction.settlement(pass, things);
          await transaction.close(pass, statesOf(pass));
        });
      };
      const results = await Promise.allSettled([settled(one), settled(two)]);
      assert.deepEqual(results.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
      const refused = results.find((result) => result.status === "rejected")!;
      await rejectsWith("LEASE_LOST", Promise.reject(refused.reason));
      for (const warehouse of both.all) await warehouse[Symbol.asyncDispose]();
      assert.deepEqual(await live(harness, things), [
        [1n, "one", 1],
        [2n, "two", 1],
      ]);
    },
  },
  {
    name: "a team: a split of a pass that another member has given up, or opened twice, is refused",
    async run(harness) {
      await using both = await members(harness, 2);
      const [one, two] = both.all as [Warehouse, Warehouse];
      const { lease } = both;
      const step = (warehouse: Warehouse): Step => ({ warehouse, lease });
      const pass = await opened(both, full("first"));
      await using late = await two.begin(lease, syncAt(1));
      await commit(step(one), (transaction) => transaction.abandon(pass));
      await late.write(pass, pass.splits[0]!, upsert(things, [1n, "late", 1]));
      await rejectsWith("LEASE_LOST", late.commit([progressOf(pass, "left", 1)]));
      await late[Symbol.asyncDispose]();
      const again = full("again");
      await using stale = await two.begin(lease, syncAt(1));
      await commit(step(one), (transaction) => transaction.open(again));
      await rejectsWith("LEASE_LOST", stale.open(full("twice")));
      await stale[Symbol.asyncDispose]();
      assert.deepEqual(
        (await one.load()).passes.map(({ id }) => id),
        ["again"],
      );
      assert.equal(await one.count("things"), 0);
    },
  },
  {
    name: "a team: members that merge into one copy by turns lose nothing",
    async run(harness) {
      await fill(harness, things, [...three]);
      await using both = await members(harness, 2);
      const { lease } = both;
      const pass = await opened(both, passOf("window", "window", [things], syncAt(2)));
      const merged = (warehouse: Warehouse, split: number, version: number): Promise<void> =>
        commit(
          { warehouse, lease, stamp: syncAt(2) },
          write(pass, split, upsert(things, [1n, `${version}`, version], [10n + BigInt(split), "new", version])),
          [progressOf(pass, pass.splits[split]!.id, version)],
        );
      for (let version = 1; version <= 5; version++)
        await Promise.all(both.all.map((warehouse, split) => merged(warehouse, split, version)));
      await both.again();
      await commit({ warehouse: both.all[0]!, lease, stamp: syncAt(2) }, (transaction) =>
        transaction.close(pass, statesOf(pass)),
      );
      for (const warehouse of both.all) await warehouse[Symbol.asyncDispose]();
      assert.deepEqual(await live(harness, things), [
        [10n, "new", 5],
        [11n, "new", 5],
        [1n, "5", 5],
        [2n, "two", 1],
        [3n, "three", 1],
      ]);
    },
  },
  {
    name: "a team: what a member holds for a checkpoint takes effect with it, and another member drops what a dead one held",
    async run(harness) {
      await using both = await members(harness, 2);
      const [one, two] = both.all as [Warehouse, Warehouse];
      const { lease } = both;
      const pass = await opened(both, full("first", 1, [long]));
      const split = pass.splits[0]!;
      await commit(
        { warehouse: one, lease },
        (transaction) => transaction.hold(pass, split, upsert(long, [1n, "dead"])),
        [progressOf(pass, "left", 1)],
      );
      await both.again();
      await commit(
        { warehouse: two, lease },
        async (transaction) => {
          await transaction.discard(pass, split);
          await transaction.hold(pass, split, upsert(long, [2n, "held"]));
        },
        [progressOf(pass, "left", 2, { attempt: 2 })],
      );
      const late = commit({ warehouse: one, lease }, (transaction) => transaction.keep(pass, split), [
        progressOf(pass, "left", 2),
      ]);
      await assert.rejects(late);
      await commit(
        { warehouse: two, lease },
        async (transaction) => {
          await transaction.keep(pass, split);
          await transaction.close(pass, statesOf(pass));
        },
        [progressOf(pass, "left", 3, { attempt: 2, done: true })],
      );
      for (const warehouse of both.all) await warehouse[Symbol.asyncDispose]();
      assert.deepEqual(await live(harness, long), [[2n, "held"]]);
    },
  },
  {
    name: "a team: who does the work of a member that is frozen cuts it off, with what it had not committed",
    async run(harness) {
      await using both = await members(harness, 2);
      const [frozen, next] = both.all as [Warehouse, Warehouse];
      const { lease } = both;
      const pass = await opened(both, full("first"));
      await frozen.team!.join(lease, "the same");
      await using late = await frozen.begin(lease, syncAt(1));
      await late.write(pass, pass.splits[0]!, upsert(things, [1n, "late", 1]));
      await next.team!.join(lease, "the same");
      await commit({ warehouse: next, lease }, async (transaction) => {
        await transaction.write(pass, pass.splits[0]!, upsert(things, [2n, "next", 1]));
        await transaction.close(pass, statesOf(pass));
      });
      await assert.rejects(late.commit([]), "without progress, too");
      await late[Symbol.asyncDispose]();
      await frozen.team!.join(lease, "other");
      assert.equal(await frozen.count("things"), 1, "it may work again, on something else");
    },
  },
];
