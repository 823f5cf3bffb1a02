import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import type { SyncEvent } from "../../src/engine/events.ts";
import { HeadwatersError } from "../../src/protocol/errors.ts";
import { Copy, expected } from "./harness.ts";
import { filled, MemorySource } from "./memory-source.ts";

const slow = { timeout: 120_000 };

/** Fails, as nothing that could be tried again, before operation `at` of the source. */
function cutAt(source: MemorySource, at: number): void {
  source.operations = 0;
  source.onOperation = (count) => {
    if (count === at) throw new HeadwatersError("SOURCE_FAILED", "cut");
  };
}

function uncut(source: MemorySource): void {
  source.onOperation = () => {};
}

describe("the laws of the engine", () => {
  test.each([
    { resumable: true, checkpointEvery: 1 },
    { resumable: true, checkpointEvery: 3 },
    { resumable: false, checkpointEvery: 1 },
  ])("cut before every operation, a first pass goes on to the end: %j", slow, async (how) => {
    for (let at = 1; ; at++) {
      const source = Object.assign(filled(25), how);
      await using copy = await Copy.make();
      cutAt(source, at);
      const first = await copy.sync(source, { settings: { parallel: 1 } });
      uncut(source);
      if (first.outcome === "succeeded") {
        expect(at).toBeGreaterThan(8);
        return;
      }
      // Between the two a row changes that was read, one goes that was read, one comes.
      source.put("t", 1, "changed");
      source.put("t", 2, "changed without a stamp", false);
      source.remove("t", 3);
      source.put("t", 99, "new");
      const second = await copy.sync(source);
      expect(second.outcome).toBe("succeeded");
      expect(await copy.rows()).toEqual(expected(source));
    }
  });

  test("what was read before the cut is not read again", slow, async () => {
    const source = filled(100);
    await using copy = await Copy.make();
    cutAt(source, 40);
    await copy.sync(source, { settings: { parallel: 1 } });
    uncut(source);
    const second = await copy.sync(source);
    expect(second.tables[0]!.passes).toEqual(["full", "window", "keys"]);
    const [{ n: kept }] = (await copy.query(
      `SELECT count(*)::INT n FROM s.t WHERE _headwaters_synced < '${second.started}'`,
    )) as [{ n: number }];
    expect(kept).toBeGreaterThan(40);
    expect(await copy.rows()).toEqual(expected(source));
  });

  test("cut before every operation, later syncs go on too", slow, async () => {
    for (let at = 1; ; at++) {
      const source = filled(20);
      await using copy = await Copy.make();
      await copy.sync(source);
      for (let id = 4; id < 12; id++) source.put("t", id, `changed ${id}`);
      source.remove("t", 1);
      source.put("t", 2, "unstamped", false);
      cutAt(source, at);
      const cut = await copy.sync(source);
      uncut(source);
      source.remove("t", 15);
      source.put("t", 1, "back to life");
      if (cut.outcome !== "succeeded") await copy.sync(source);
      await copy.sync(source);
      expect(await copy.rows()).toEqual(expected(source));
      if (cut.outcome === "succeeded") return;
    }
  });

  test("after any changes an incremental copy equals a fresh one", slow, async () => {
    const change = fc.oneof(
      fc.record({ kind: fc.constant("put" as const), id: fc.integer({ min: 1, max: 30 }), stamped: fc.boolean() }),
      fc.record({ kind: fc.constant("remove" as const), id: fc.integer({ min: 1, max: 30 }) }),
      fc.record({ kind: fc.constant("sync" as const), full: fc.boolean() }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(change, { maxLength: 25 }), async (changes) => {
        const source = filled(8);
        await using copy = await Copy.make();
        let written = 0;
        for (const step of [...changes, { kind: "sync", full: false } as const]) {
          if (step.kind === "put") source.put("t", step.id, `written ${++written}`, step.stamped);
          else if (step.kind === "remove") source.remove("t", step.id);
          else await copy.sync(source, { full: step.full });
        }
        expect(await copy.rows()).toEqual(expected(source));
      }),
      { numRuns: 25 },
    );
  });

  test("what did not change is neither written nor stamped again", slow, async () => {
    const source = filled(30);
    await using copy = await Copy.make();
    await copy.sync(source);
    const before = await copy.query("SELECT * FROM s.t ORDER BY id");
    for (const options of [{}, { full: true }, { sweep: true }]) {
      const run = await copy.sync(source, options);
      expect(run.tables[0]).toMatchObject({ inserted: 0, updated: 0, deleted: 0, outcome: "whole" });
    }
    expect(await copy.query("SELECT * FROM s.t ORDER BY id")).toEqual(before);
    source.put("t", 7, "seven");
    const run = await copy.sync(source);
    expect(run.tables[0]).toMatchObject({ inserted: 0, updated: 1, deleted: 0 });
  });

  test("a row that is written while a pass reads is not lost, wherever the reader stands", slow, async () => {
    for (let at = 1; at < 30; at += 2) {
      const source = filled(20);
      await using copy = await Copy.make();
      source.onOperation = (count) => {
        if (count !== at) return;
        source.put("t", 1, "early");
        source.put("t", 20, "late");
        source.remove("t", 10);
      };
      await copy.sync(source);
      uncut(source);
      await copy.sync(source);
      expect(await copy.rows()).toEqual(expected(source));
    }
  });

  test("another scope deletes nothing until the user agrees", slow, async () => {
    const source = filled(10);
    await using copy = await Copy.make();
    await copy.sync(source);
    for (let id = 1; id <= 9; id++) source.remove("t", id);
    const refused = await copy.sync(source, { scope: "another server" });
    expect(refused.tables[0]!.error?.code).toBe("SCOPE_CHANGED");
    expect(Object.keys(await copy.rows())).toHaveLength(10);
    await copy.sync(source, { scope: "another server", acceptScope: true });
    expect(await copy.rows()).toEqual(expected(source));
  });

  test("a table that vanished fails and keeps its copy; the others are synced", slow, async () => {
    const source = filled(5);
    source.put("u", 1, "one");
    await using copy = await Copy.make();
    await copy.sync(source);
    source.tables.delete("t");
    source.put("u", 2, "two");
    const run = await copy.sync(source);
    expect(run.outcome).toBe("failed");
    expect(run.tables.map(({ table, outcome }) => [table, outcome]).sort()).toEqual([
      ["t", "failed"],
      ["u", "whole"],
    ]);
    expect(Object.keys(await copy.rows("t"))).toHaveLength(5);
    expect(await copy.rows("u")).toEqual({ 1: "one", 2: "two" });
  });

  test("a table that fails does not stop the others", slow, async () => {
    const source = filled(50);
    source.put("u", 1, "one");
    await using copy = await Copy.make();
    source.onOperation = (_, split) => {
      if (split.tables[0] === "t" && split.id === "20")
        throw new HeadwatersError("PRIVILEGE_MISSING", "no right to read t");
    };
    const run = await copy.sync(source);
    expect(run.tables.map(({ table, outcome }) => [table, outcome])).toEqual([
      ["t", "failed"],
      ["u", "whole"],
    ]);
    expect(await copy.rows("u")).toEqual({ 1: "one" });
  });

  test("an error of the destination at one table undoes nothing of the others", slow, async () => {
    const source = filled(50);
    for (let id = 1; id <= 50; id++) source.put("u", id, `u ${id}`);
    await using copy = await Copy.make();
    const run = await copy.sync(source, {
      wrap: (warehouse) =>
        Object.assign(Object.create(warehouse) as typeof warehouse, {
          begin: async (...parameters: Parameters<typeof warehouse.begin>) => {
            const transaction = await warehouse.begin(...parameters);
            const write = transaction.write.bind(transaction);
            transaction.write = async (pass, split, operation) => {
              if (split?.tables[0] === "t" && split.id === "40")
                throw new HeadwatersError("VALUE_OUT_OF_RANGE", "does not fit");
              await write(pass, split, operation);
            };
            return transaction;
          },
          load: () => warehouse.load(),
          acquire: (holder: Parameters<typeof warehouse.acquire>[0]) => warehouse.acquire(holder),
          release: (lease: number) => warehouse.release(lease),
        }),
    });
    expect(run.tables.map(({ table, outcome }) => [table, outcome])).toEqual([
      ["t", "failed"],
      ["u", "whole"],
    ]);
    expect(run.tables[0]!.error?.code).toBe("VALUE_OUT_OF_RANGE");
    expect(await copy.rows("u")).toEqual(expected(source, "u"));
    await copy.sync(source);
    expect(await copy.rows("t")).toEqual(expected(source, "t"));
  });

  test("a conflict in the destination is tried again, from the last commit", slow, async () => {
    const source = filled(50);
    await using copy = await Copy.make();
    let commits = 0;
    const retries: string[] = [];
    const run = await copy.sync(
      source,
      {
        settings: { commitRows: 10 },
        wrap: (warehouse) => ({
          ...warehouse,
          async begin(...parameters) {
            const transaction = await warehouse.begin(...parameters);
            const commit = transaction.commit.bind(transaction);
            transaction.commit = async (progress) => {
              commits += 1;
              if (commits === 2 || commits === 4) throw new HeadwatersError("WRITE_CONFLICT", "changed meanwhile");
              return commit(progress);
            };
            return transaction;
          },
        }),
      },
      (event) => {
        if (event.kind === "retry") retries.push(event.error.code);
      },
    );
    expect([run.outcome, retries]).toEqual(["succeeded", ["WRITE_CONFLICT", "WRITE_CONFLICT"]]);
    expect(await copy.rows()).toEqual(expected(source));
  });

  test("what may pass by itself is tried again, from the last checkpoint", slow, async () => {
    const source = filled(10);
    await using copy = await Copy.make();
    let failures = 0;
    source.onOperation = (count) => {
      if (count === 5 || count === 9) {
        failures += 1;
        throw new HeadwatersError("CONNECTION_LOST", "cut");
      }
    };
    const retries: string[] = [];
    const run = await copy.sync(source, {}, (event) => {
      if (event.kind === "retry") retries.push(event.error.code);
    });
    expect([run.outcome, failures, retries]).toEqual(["succeeded", 2, ["CONNECTION_LOST", "CONNECTION_LOST"]]);
    expect(await copy.rows()).toEqual(expected(source));
  });

  test("planning and looking up are tried again too, where an error may pass by itself", slow, async () => {
    const source = filled(10);
    await using copy = await Copy.make();
    const retries: string[] = [];
    const report = (event: SyncEvent): void => void (event.kind === "retry" && retries.push(event.error.code));
    const lost = new HeadwatersError("CONNECTION_LOST", "cut");
    vi.spyOn(source, "discover").mockRejectedValueOnce(lost);
    vi.spyOn(source, "plan").mockRejectedValueOnce(lost);
    expect((await copy.sync(source, {}, report)).outcome).toBe("succeeded");
    expect(retries).toEqual(["CONNECTION_LOST"]);
    expect(copy.warnings).toEqual([expect.stringMatching(/cut.*again in \d+ ms/)]);
    source.put("t", 3, "unstamped", false);
    source.remove("t", 4);
    const found = source.lookup.bind(source);
    vi.spyOn(source, "lookup").mockImplementationOnce(async function* cutAfterRows(table, keys) {
      yield* found(table, keys);
      throw lost;
    });
    expect((await copy.sync(source, {}, report)).outcome).toBe("succeeded");
    expect(retries).toEqual(["CONNECTION_LOST", "CONNECTION_LOST"]);
    expect(await copy.rows()).toEqual(expected(source));
  });

  test("a clock that was set back hides no row from a full pass", slow, async () => {
    const source = filled(10);
    await using copy = await Copy.make();
    await copy.sync(source);
    source.tables.get("t")!.set(1, { id: 1, name: "changed in secret", changed: 1 });
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() - 600_000 });
    try {
      await copy.sync(source, { full: true });
    } finally {
      vi.useRealTimers();
    }
    expect(await copy.rows()).toEqual(expected(source));
  });

  test("a clock that goes back within a sync undoes nothing that an earlier pass wrote", slow, async () => {
    const source = filled(10);
    await using copy = await Copy.make();
    await copy.sync(source);
    source.tables.get("t")!.set(1, { id: 1, name: "changed in secret", changed: 1 });
    source.tables.get("t")!.delete(2);
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 600_000 });
    try {
      const back = (event: SyncEvent): void =>
        void (event.kind === "pass" && vi.setSystemTime(Date.now() - 86_400_000));
      await copy.sync(source, { full: true }, back);
      await copy.sync(source, { full: true }, back);
    } finally {
      vi.useRealTimers();
    }
    expect(await copy.rows()).toEqual(expected(source));
  });

  test("a row that changes without a cursor value is found by the next sweep", slow, async () => {
    const source = filled(10);
    source.put("t", 3, "unstamped", false);
    await using copy = await Copy.make();
    await copy.sync(source);
    source.put("t", 3, "changed", false);
    expect((await copy.sync(source)).tables[0]).toMatchObject({ updated: 1 });
    expect((await copy.sync(source)).tables[0]).toMatchObject({ updated: 0 });
    expect(await copy.rows()).toEqual(expected(source));
  });

  test("where a sweep finds most rows changed, all are read instead of looked up", slow, async () => {
    const source = Object.assign(filled(12_000), { batch: 1_000, splitRows: 4_000 });
    source.shapes.set("t", { cursor: null });
    await using copy = await Copy.make();
    await copy.sync(source);
    for (let id = 1; id <= 11_000; id++) source.put("t", id, `changed ${id}`);
    source.remove("t", 12_000);
    const lookup = vi.spyOn(source, "lookup");
    const run = await copy.sync(source);
    expect(run.tables[0]).toMatchObject({ outcome: "whole", passes: ["keys", "full"], updated: 11_000, deleted: 1 });
    expect(lookup).toHaveBeenCalledOnce();
    expect(await copy.rows()).toEqual(expected(source));
    expect((await copy.sync(source)).tables[0]).toMatchObject({ passes: ["keys"], updated: 0 });
  });

  test("what lasts is not tried for ever", slow, async () => {
    const source = filled(10);
    await using copy = await Copy.make();
    const lost = new HeadwatersError("CONNECTION_LOST", "cut");
    const planned = vi.spyOn(source, "plan").mockRejectedValue(lost);
    const run = await copy.sync(source, { settings: { attempts: 2 } });
    expect([run.tables[0]!.outcome, planned.mock.calls.length]).toEqual(["failed", 2]);
  });

  test("a table that is altered while it is read is planned anew", slow, async () => {
    const source = filled(10);
    await using copy = await Copy.make();
    let altered = false;
    source.onOperation = (count) => {
      if (count !== 4 || altered) return;
      altered = true;
      source.shapes.set("t", { identity: "2" });
      throw new HeadwatersError("TABLE_CHANGED", "column x is gone");
    };
    expect((await copy.sync(source)).outcome).toBe("succeeded");
    expect(await copy.rows()).toEqual(expected(source));
  });

  test("more than memory holds goes through without a checkpoint", slow, async () => {
    const source = Object.assign(filled(400), { batch: 20, checkpointEvery: 1_000, splitRows: 1_000 });
    await using copy = await Copy.make();
    const settings = { memoryBytes: 2_000, parallel: 2 };
    cutAt(source, 10);
    expect((await copy.sync(source, { settings })).outcome).toBe("failed");
    expect(await copy.rows()).toEqual({});
    uncut(source);
    expect((await copy.sync(source, { settings })).outcome).toBe("succeeded");
    expect(await copy.rows()).toEqual(expected(source));
  });

  test("told to stop, it keeps what is complete and goes on from there", slow, async () => {
    const source = filled(60);
    await using copy = await Copy.make();
    const stop = new AbortController();
    source.onOperation = (count) => {
      if (count === 20) stop.abort(new Error("stop"));
    };
    const run = await copy.sync(source, { signal: stop.signal, settings: { parallel: 1 } });
    expect([run.outcome, run.tables[0]!.outcome]).toEqual(["stopped", "stopped"]);
    expect(Object.keys(await copy.rows()).length).toBeGreaterThan(10);
    uncut(source);
    expect((await copy.sync(source)).outcome).toBe("succeeded");
    expect(await copy.rows()).toEqual(expected(source));
  });

  test("a second sync of the connection is refused, and says who holds it", slow, async () => {
    const source = filled(20);
    await using copy = await Copy.make();
    let refused: unknown = null;
    let tried: Promise<void> | null = null;
    source.onOperation = (count) => {
      if (count === 4)
        tried = copy.sync(source).then(
          () => {},
          (thrown: unknown) => void (refused = thrown),
        );
    };
    await copy.sync(source);
    await tried;
    expect(refused).toMatchObject({ code: "SYNC_RUNNING", message: expect.stringContaining(String(process.pid)) });
    expect(await copy.rows()).toEqual(expected(source));
  });
});
