import { describe, expect, test } from "vitest";
import type { CheckResult, Source } from "../../../src/protocol/source.ts";
import type { TableRun } from "../../../src/protocol/state-store.ts";
import { Copy } from "../../engine/harness.ts";
import { ScyllaStandIn } from "../../servers/scylladb/stand-in.ts";
import { describeWith } from "../../servers/require.ts";
import { capabilities, never, plain, settled, short, type Tools, toolsOf, wait } from "./cdc-tools.ts";

/** What depends on how streams are found. */
function rules(scylla: ScyllaStandIn, { sync, expectEqual }: Tools): void {
  const small = async (name: string): Promise<void> => {
    await scylla.create(plain(name));
    for (let id = 1; id <= 5; id++) await scylla.insert(name, { id, name: `n${id}` });
    await settled();
  };

  test("entries of every generation are read, also late ones of the one before", { timeout: 60_000 }, async () => {
    await small("generations");
    await using copy = await Copy.make();
    await sync(copy, ["generations"]);
    await scylla.insert("generations", { id: 10, name: "before" });
    await scylla.newGeneration(Date.now());
    await scylla.insert("generations", { id: 11, name: "after" });
    await settled();
    expect((await sync(copy, ["generations"]))["generations"]).toMatchObject({ passes: ["stream"], inserted: 2 });
    await scylla.insert("generations", { id: 12, name: "late" }, { late: 5_000 });
    expect((await sync(copy, ["generations"]))["generations"]).toMatchObject({ passes: ["stream"], inserted: 1 });
    await expectEqual(copy, "generations");
  });
}

/** What does not depend on how streams are found. */
function vnodeRules(scylla: ScyllaStandIn, { open, sync, expectEqual }: Tools): void {
  const small = async (name: string, log = true): Promise<void> => {
    await scylla.create(plain(name), log);
    for (let id = 1; id <= 5; id++) await scylla.insert(name, { id, name: `n${id}` });
    await settled();
  };

  test("a row that expires is looked up again, though no entry says so", { timeout: 60_000 }, async () => {
    await small("expiring");
    await using copy = await Copy.make();
    await sync(copy, ["expiring"]);
    await scylla.insert("expiring", { id: 6, name: "short" }, { ttl: 10 });
    await settled();
    expect((await sync(copy, ["expiring"]))["expiring"]).toMatchObject({ inserted: 1 });
    await wait(10_000);
    expect((await sync(copy, ["expiring"]))["expiring"]).toMatchObject({ passes: ["stream"], deleted: 1 });
    await expectEqual(copy, "expiring");
  });

  test(
    "where the options were written anew, there may be a gap: a sweep, and that is said",
    { timeout: 60_000 },
    async () => {
      await small("altered");
      // No later sync looks for late entries of that time.
      await wait(6_000);
      await using copy = await Copy.make();
      await sync(copy, ["altered"], short);
      // Nobody wrote this into the log.
      await scylla.server.run("INSERT INTO altered (id, name) VALUES (7, 'unseen')");
      await scylla.server.run("DELETE FROM altered WHERE id = 1");
      await wait(4_000);
      expect((await sync(copy, ["altered"], short))["altered"]).toMatchObject({ passes: ["stream"], rowsRead: 0 });
      await scylla.enable("altered", { ttl: "3600" });
      const swept = (await sync(copy, ["altered"], short))["altered"];
      expect(swept).toMatchObject({ passes: ["keys", "stream"], inserted: 1, deleted: 1 });
      expect(copy.warnings).toContain(
        'table "altered" is swept, since its position in the log was lost: the options of the log, or of the table, were altered',
      );
      await expectEqual(copy, "altered");
      expect((await sync(copy, ["altered"], short))["altered"]).toMatchObject({ passes: ["stream"] });
    },
  );

  test("a position that is older than the log keeps entries is lost: a sweep", { timeout: 60_000 }, async () => {
    await small("forgotten");
    await scylla.enable("forgotten", { ttl: "5" });
    await using copy = await Copy.make();
    await sync(copy, ["forgotten"]);
    await scylla.update("forgotten", { id: 1 }, { "name = ?": "changed" });
    await wait(5_000);
    const swept = (await sync(copy, ["forgotten"]))["forgotten"];
    expect(swept).toMatchObject({ passes: ["keys", "stream"], updated: 1 });
    expect(copy.warnings.join()).toContain("and the log keeps entries for 5.0 s");
    await expectEqual(copy, "forgotten");
  });

  test("a sweep each day, or when it is asked for", { timeout: 60_000 }, async () => {
    await small("daily");
    await using copy = await Copy.make();
    await sync(copy, ["daily"]);
    await scylla.server.run("DELETE FROM daily WHERE id = 1");
    const swept = await sync(copy, ["daily"], {}, { settings: { deletes: 1 } });
    expect(swept["daily"]).toMatchObject({ passes: ["keys", "stream"], deleted: 1 });
    const asked = await sync(copy, ["daily"], {}, { settings: { deletes: "never" }, sweep: true });
    expect(asked["daily"]).toMatchObject({ passes: ["keys", "stream"] });
    const spared = await sync(copy, ["daily"], {}, { settings: { deletes: "never" } });
    expect(spared["daily"]).toMatchObject({ passes: ["stream"] });
  });

  test("a table without a log, and one whose log is turned off, are read as before", { timeout: 60_000 }, async () => {
    await small("logless", false);
    await small("off");
    await using source = await open();
    const tables = await source.discover(never);
    const shown = (name: string) => tables.find(({ id }) => id === name)!;
    expect(shown("logless")).toMatchObject({ cursor: null, version: null });
    expect(shown("logless").notes[0]).toBe(
      `It has no CDC log (turn it on: ALTER TABLE "${scylla.server.keyspace}"."logless" WITH cdc = {'enabled': true};).`,
    );
    expect(shown("off")).toMatchObject({ streamed: true });
    expect(shown("off").notes[0]).toContain("Changes are read from its CDC log, which keeps them for 24 h");
    const checks = new Map<string, CheckResult>();
    for await (const result of source.check(never)) checks.set(result.name, result);
    expect(checks.get("stream")).toMatchObject({
      status: "warning",
      message: expect.stringMatching(
        /Read by their logs: .*off.*Without a log, so synced as with cursor: .*logless.*To turn one on: ALTER TABLE/,
      ),
    });
    await using copy = await Copy.make();
    await sync(copy, ["off", "logless"]);
    await scylla.enable("off", { enabled: "false" });
    await scylla.update("off", { id: 1 }, { "name = ?": "changed" });
    expect((await sync(copy, ["off"]))["off"]).toMatchObject({ passes: ["full"], updated: 1 });
    await scylla.enable("off");
    expect((await sync(copy, ["off"]))["off"]).toMatchObject({ passes: ["full", "stream"] });
  });

  test("a read below a quorum is refused", { timeout: 60_000 }, async () => {
    await small("weak");
    await using copy = await Copy.make();
    const { weak } = await sync(copy, ["weak"], { consistency: "ONE" });
    expect(weak).toMatchObject({ outcome: "failed", error: { code: "CONFIGURATION_INVALID" } });
  });

  test("only rows that meet the filter are copied", { timeout: 60_000 }, async () => {
    await small("filtered");
    await using copy = await Copy.make();
    const tables = { filtered: { filter: "name = 'kept'" } };
    const run = async (): Promise<TableRun> =>
      (await sync(copy, ["filtered"], {}, { tables }, { tables }))["filtered"]!;
    await run();
    await scylla.update("filtered", { id: 1 }, { "name = ?": "kept" });
    await scylla.insert("filtered", { id: 9, name: "kept" });
    await settled();
    expect(await run()).toMatchObject({ passes: ["stream"], inserted: 2 });
    await scylla.update("filtered", { id: 1 }, { "name = ?": "other" });
    await settled();
    expect(await run()).toMatchObject({ passes: ["stream"], deleted: 1 });
    expect(await copy.query("SELECT id FROM s.filtered WHERE NOT _headwaters_deleted")).toEqual([{ id: 9 }]);
  });

  test("while following, what was read is read again without look-ups", { timeout: 180_000 }, async () => {
    await small("again");
    await using copy = await Copy.make();
    await using source = await open({ stream_overlap: 60, stream_delay: 3 });
    /** Until all of the overlap is read again. */
    const due = (): Promise<void> => wait(10_200);
    const pass = async (): Promise<TableRun> => {
      const run = await copy.sync(source, { capabilities, settings: { deletes: "never" }, only: ["again"] });
      expect(run.tables[0]).toMatchObject({ error: null });
      return run.tables[0]!;
    };
    await source.changed!(0, new Set(), never);
    await pass();
    await wait(4_000);
    for (let id = 10; id < 20; id++) await scylla.insert("again", { id, name: "new" });
    const began = Date.now();
    await wait(3_300);
    const told = await source.changed!(10_000, new Set(["again"]), never);
    expect(told).toMatchObject({ tables: ["again"], altered: false });
    expect(await pass()).toMatchObject({ inserted: 10 });
    // What was there before the first pass is looked up twice, and so is what came late; then nothing is.
    let read = Infinity;
    for (let attempt = 1; attempt <= 4 && read > 0; attempt++) {
      await due();
      const { passes, rowsRead } = await pass();
      expect(passes).toEqual(["stream"]);
      read = rowsRead;
    }
    expect([read, Date.now() - began < 60_000]).toEqual([0, true]);
    await scylla.insert("again", { id: 30, name: "late" }, { late: 6_000 });
    await due();
    expect(await pass()).toMatchObject({ inserted: 1, rowsRead: 1 });
    await expectEqual(copy, "again");
  });

  test("a full pass may be interrupted: the log is read from where it began", { timeout: 60_000 }, async () => {
    await small("partly");
    await using copy = await Copy.make();
    await using source = await open();
    const stop = new AbortController();
    const stopping: Source = {
      ...bound(source),
      async *read(pass, split, state, how) {
        for await (const operation of source.read(pass, split, state, how)) {
          yield operation;
          stop.abort(new Error("stopped"));
          how.signal.throwIfAborted();
        }
      },
    };
    await copy.sync(stopping, { capabilities, only: ["partly"], signal: stop.signal }).catch(() => {});
    await scylla.update("partly", { id: 1 }, { "name = ?": "changed meanwhile" });
    await scylla.deleteRow("partly", { id: 2 });
    await settled();
    expect((await sync(copy, ["partly"]))["partly"]).toMatchObject({ error: null, passes: ["full", "stream"] });
    await expectEqual(copy, "partly");
  });
}

/** The contract's methods of an open source. */
function bound(source: Source): Source {
  return {
    check: (signal) => source.check(signal),
    discover: (signal, known) => source.discover(signal, known),
    plan: (tables, kind, previous, signal) => source.plan(tables, kind, previous, signal),
    resume: (pass, signal) => source.resume(pass, signal),
    read: (pass, split, state, how) => source.read(pass, split, state, how),
    lookup: (table, keys, how) => source.lookup(table, keys, how),
    [Symbol.asyncDispose]: async () => {},
  };
}

await describeWith(
  () => ScyllaStandIn.start(),
  "the CDC log of ScyllaDB, on vnodes",
  (scylla) => {
    const tools = toolsOf(scylla);
    rules(scylla, tools);
    vnodeRules(scylla, tools);
  },
);

await describeWith(
  () => ScyllaStandIn.start({ tablets: true }),
  "the CDC log of ScyllaDB, on tablets",
  (scylla) => rules(scylla, toolsOf(scylla)),
);

describe("Cassandra", () => {
  test("has no log that CQL can read, and says so", async () => {
    const { definition: cassandra } = await import("../../../src/sources/cassandra/index.ts");
    const { issues } = cassandra.configuration.safeParse({ hostname: "h", keyspace: "k", changes: "stream" }).error!;
    expect(JSON.stringify(issues)).toContain("Cassandra has its change log in files on its nodes");
  });
});
