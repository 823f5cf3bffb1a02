import { type AddressInfo, createServer } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { type OwnRedis, type RedisServer, startOwnValkey, startRedisStack, startValkey } from "../../servers/redis.ts";
import { describeWith } from "../../servers/require.ts";
import type { Source } from "../../../src/protocol/source.ts";
import { Copy } from "./copying.ts";
import { disturbing } from "./disturbing.ts";

const servers = [
  ["Valkey", startValkey],
  ["Redis Stack", startRedisStack],
] as const;
for (const [title, start] of servers) {
  await describeWith(
    () => start(8),
    `the copy of ${title}`,
    (server) => {
      test("field names that are data fail their table alone (case 43)", { timeout: 120_000 }, async () => {
        await server.run("FLUSHDB");
        await server.run("HSET", "user:1", ...Array.from({ length: 2_000 }, (_, at) => [`f_${at}`, "x"]).flat());
        await using copy = await Copy.make();
        const runs = await copy.sync(server, { tables: { users: { pattern: "user:{id}" } } });
        expect(runs["dragonfly_data"]).toMatchObject({ outcome: "whole", inserted: 1 });
        expect(runs["users"]).toMatchObject({ outcome: "failed", error: { code: "COLUMNS_TOO_MANY" } });
      });

      test("only what is new or changed is written, and what is gone is deleted", async () => {
        await server.run("FLUSHDB");
        await server.runAll(Array.from({ length: 3_000 }, (_, index) => ["SET", `key:${index}`, `value ${index}`]));
        await using copy = await Copy.make();
        expect((await copy.sync(server))["dragonfly_data"]).toMatchObject({
          outcome: "whole",
          inserted: 3_000,
          passes: ["full"],
        });
        const stamps = (): Promise<Record<string, unknown>[]> =>
          copy.query(
            "SELECT max(last_modified) AS newest, count(DISTINCT last_modified) AS moments FROM s.dragonfly_data",
          );
        const before = await stamps();
        const unchanged = await copy.sync(server);
        expect(unchanged["dragonfly_data"]).toMatchObject({
          outcome: "whole",
          inserted: 0,
          updated: 0,
          deleted: 0,
          passes: ["keys"],
        });
        expect(await stamps()).toEqual(before);

        await delay(5);
        await server.runAll([
          ...Array.from({ length: 10 }, (_, index) => ["SET", `key:${index * 7}`, "changed"]),
          ["SET", "new", "1"],
          ["DEL", "key:1", "key:2"],
          ["SET", "key:3", "value 3", "PX", 1],
          ["EXPIRE", "key:4", 1_000],
        ]);
        await delay(20);
        const changed = (await copy.sync(server))["dragonfly_data"];
        expect(changed).toMatchObject({ outcome: "whole", inserted: 1, updated: 10, deleted: 3 });
        const [{ moved } = {}] = await copy.query(
          `SELECT count(*)::INT AS moved FROM s.dragonfly_data WHERE last_modified > (SELECT min(last_modified) FROM s.dragonfly_data)`,
        );
        expect(moved).toBe(11);
        expect((await copy.verify(server)).verdict).toBe("CONVERGED");
        await server.run("SET", "key:1", "back");
        await copy.sync(server);
        expect((await copy.values())["key:1"]).toBe("back");
      });

      test("keys that have expired do not count against the delete limit, and others do (law 4)", async () => {
        await server.run("FLUSHDB");
        const until = Date.now() + 1_500;
        await server.runAll([
          ...Array.from({ length: 30 }, (_, index) => ["SET", `short:${index}`, "x", "PXAT", until]),
          ...Array.from({ length: 10 }, (_, index) => ["SET", `long:${index}`, "x"]),
        ]);
        await using copy = await Copy.make();
        const synced = async (): Promise<unknown> =>
          (await copy.sync(server, { expires_at: true }, { engine: { maxDeleteFraction: 0.5 } }))["dragonfly_data"];
        expect(await synced()).toMatchObject({ outcome: "whole", inserted: 40 });
        await delay(until + 100 - Date.now());
        expect(await synced()).toMatchObject({ outcome: "whole", deleted: 30 });

        const again = Date.now() + 1_500;
        await server.runAll(Array.from({ length: 30 }, (_, index) => ["SET", `short:${index}`, "x", "PXAT", again]));
        await synced();
        await delay(again + 100 - Date.now());
        await server.run("DEL", ...Array.from({ length: 6 }, (_, index) => `long:${index}`));
        expect(await synced()).toMatchObject({
          outcome: "failed",
          deleted: 0,
          error: { code: "DELETES_STOPPED", message: expect.stringContaining("6 of 10") as unknown },
        });
      });

      test("after any changes it is the source's, and proven", { timeout: 120_000 }, async () => {
        const key = fc.constantFrom("a", "b", "c", "d");
        const text = fc.constantFrom("1", "2", "x", "ä");
        const command = fc.oneof(
          fc.tuple(fc.constant("SET"), key, text),
          fc.tuple(fc.constant("DEL"), key),
          fc.tuple(fc.constant("HSET"), key, text, text),
          fc.tuple(fc.constant("RPUSH"), key, text),
          fc.tuple(fc.constant("LPOP"), key),
          fc.tuple(fc.constant("SADD"), key, text),
          fc.tuple(fc.constant("SREM"), key, text),
          fc.tuple(fc.constant("ZADD"), key, fc.constantFrom("1", "-2.5"), text),
          fc.tuple(fc.constant("XADD"), fc.constant("log"), fc.constant("*"), text, text),
          fc.tuple(fc.constant("XTRIM"), fc.constant("log"), fc.constant("MAXLEN"), fc.constant("2")),
          fc.tuple(fc.constant("HSET"), fc.constantFrom("user:1", "user:2"), fc.constantFrom("name", "age"), text),
          fc.tuple(fc.constant("DEL"), fc.constantFrom("user:1", "user:2")),
          fc.constant(["SYNC"]),
        );
        const settings = { tables: { users: { pattern: "user:{id}" } } };
        await fc.assert(
          fc.asyncProperty(fc.array(command, { minLength: 4, maxLength: 20 }), async (commands) => {
            await server.run("FLUSHDB");
            await server.run("HSET", "user:0", "name", "first");
            await using copy = await Copy.make();
            await copy.sync(server, settings);
            for (const one of commands) {
              if (one[0] === "SYNC") await whole(copy, server, settings);
              // A command for a key of another type changes nothing.
              else await server.run(...one).catch(() => {});
            }
            await whole(copy, server, settings);
            const { verdict, tables } = await copy.verify(server, settings);
            expect([verdict, tables.filter((table) => table.verdict !== "CONVERGED")]).toEqual(["CONVERGED", []]);
          }),
          { numRuns: 12, endOnFailure: true },
        );
      });

      test("what is written during the SCAN is right after the next sync", async () => {
        await server.run("FLUSHDB");
        await server.runAll(Array.from({ length: 4_000 }, (_, index) => ["SET", `key:${index}`, "old"]));
        await using copy = await Copy.make();
        let turn = 0;
        const disturbed = async (): Promise<void> => {
          turn += 1;
          const at = turn * 10;
          await server.runAll([
            ["SET", `key:${at}`, `new ${turn}`],
            ["SET", `during:${turn}`, "new"],
            ["DEL", `key:${4_000 - turn}`],
            ["SET", `key:${at + 1}`, "soon gone", "PX", 1],
            ["DEL", `key:${at + 2}`],
            ["RPUSH", `key:${at + 2}`, "another type"],
          ]);
        };
        const options = { engine: { batchBytes: 4_000 }, wrap: (source: Source) => disturbing(source, disturbed) };
        for (let round = 0; round < 2; round++)
          expect((await copy.sync(server, {}, options))["dragonfly_data"]!.outcome).toBe("whole");
        expect(turn).toBeGreaterThan(10);
        await whole(copy, server, {});
        expect((await copy.verify(server)).verdict).toBe("CONVERGED");
        expect(Object.keys(await copy.values())).toHaveLength(Number(await server.run("DBSIZE")));
      });
    },
  );
}

await describeWith(startOwnValkey, "a server that ends", (server) => {
  const fill = (prefix: string, count = 4_000): Promise<void> =>
    server.runAll(Array.from({ length: count }, (_, index) => ["SET", `${prefix}:${index}`, `value ${index}`]));
  const slow = { engine: { batchBytes: 4_000, commitRows: 1 } };

  test("a sync that was stopped goes on from its SCAN's cursor, and no live key is deleted", async () => {
    await fill("key");
    await using copy = await Copy.make();
    const stop = new AbortController();
    let operations = 0;
    const stopping = (source: Source): Source =>
      disturbing(source, async () => void (++operations === 30 && stop.abort(new Error("stopped"))));
    await copy.sync(server, {}, { ...slow, wrap: stopping, signal: stop.signal });
    const held = Object.keys(await copy.values()).length;
    expect(held).toBeGreaterThan(100);
    expect(held).toBeLessThan(4_000);
    const resumed = (await copy.sync(server, {}, slow))["dragonfly_data"]!;
    expect(resumed.outcome).toBe("whole");
    expect(resumed.passes).toEqual(["full", "keys"]);
    expect(resumed.rowsRead).toBeLessThan(2 * 4_000 - held + 200);
    expect(resumed.deleted).toBe(0);
    expect((await copy.verify(server)).verdict).toBe("CONVERGED");
  });

  test("another process at the same address makes the SCAN start over", async () => {
    await server.run("FLUSHALL");
    await fill("first");
    await using copy = await Copy.make();
    const stop = new AbortController();
    let operations = 0;
    const stopping = (source: Source): Source =>
      disturbing(source, async () => void (++operations === 30 && stop.abort(new Error("stopped"))));
    await copy.sync(server, {}, { ...slow, wrap: stopping, signal: stop.signal });
    await server.run("SAVE");
    await server.stop("SIGKILL");
    await server.start();
    await fill("second", 10);
    const again = (await copy.sync(server, {}, slow))["dragonfly_data"]!;
    expect(again).toMatchObject({ outcome: "whole", passes: ["full"] });
    expect(Object.keys(await copy.values())).toHaveLength(4_010);
    expect((await copy.verify(server)).verdict).toBe("CONVERGED");
  });

  test(
    "one that is restarted in the middle of a sync is read from the start in the same sync",
    { timeout: 60_000 },
    async () => {
      await server.run("FLUSHALL");
      await fill("key");
      await server.run("SAVE");
      await using copy = await Copy.make();
      let operations = 0;
      const restarting = (source: Source): Source =>
        disturbing(source, async () => {
          if (++operations !== 20) return;
          await server.stop("SIGKILL");
          await server.start();
        });
      const run = (await copy.sync(server, {}, { ...slow, wrap: restarting }))["dragonfly_data"]!;
      expect(run.error).toBeNull();
      expect(run.outcome).toBe("whole");
      expect(Object.keys(await copy.values())).toHaveLength(4_000);
      expect((await copy.verify(server)).verdict).toBe("CONVERGED");
    },
  );

  test("one that has lost everything wipes nothing", async () => {
    await server.run("FLUSHALL");
    await fill("key", 100);
    await using copy = await Copy.make();
    await copy.sync(server);
    await server.stop("SIGKILL");
    await server.start();
    await server.run("FLUSHALL");
    const limited = { engine: { maxDeleteFraction: 0.999 } };
    const run = (await copy.sync(server, {}, limited))["dragonfly_data"]!;
    expect(run).toMatchObject({ outcome: "failed", deleted: 0 });
    expect(run.error?.message).toContain("the source has none of the 100 rows");
    expect(Object.keys(await copy.values())).toHaveLength(100);
  });
});

/** Two nodes of one cluster: all slots are the first one's. */
async function startCluster() {
  const node = async (): Promise<OwnRedis> =>
    startOwnValkey({ arguments: ["--cluster-enabled", "yes", "--cluster-port", String(await freePort())] });
  const [first, second] = [await node(), await node()];
  await first.run("CLUSTER", "ADDSLOTSRANGE", 0, 16_383);
  const busPort = String(((await second.run("CONFIG", "GET", "cluster-port")) as readonly Buffer[])[1]);
  await first.run("CLUSTER", "MEET", second.host, second.port, busPort);
  const joined = async (): Promise<void> => {
    for (const one of [first, second]) {
      expect(String(await one.run("CLUSTER", "INFO"))).toMatch(/cluster_state:ok[^]*cluster_known_nodes:2/);
    }
  };
  await vi.waitFor(joined, { timeout: 20_000, interval: 100 });
  return {
    ...first,
    second,
    [Symbol.asyncDispose]: async () =>
      void (await Promise.all([first[Symbol.asyncDispose](), second[Symbol.asyncDispose]()])),
  };
}

await describeWith(startCluster, "a node of a cluster", (server) => {
  test("a slot that has moved to another node does not stop the table", async () => {
    await server.runAll(["a", "b", "c"].map((key) => ["SET", key, "x"]));
    await server.run("XADD", "{c}log", "1-1", "field", "x");
    await using copy = await Copy.make();
    await copy.sync(server);
    const slot = Number(await server.run("CLUSTER", "KEYSLOT", "c"));
    const to = String(await server.second.run("CLUSTER", "MYID"));
    await server.run("DEL", "c", "{c}log");
    for (const one of [server.second, server]) await one.run("CLUSTER", "SETSLOT", slot, "NODE", to);
    const runs = await copy.sync(server, {}, { acceptDeletes: true, sweep: true });
    expect(Object.values(runs).map(({ outcome, error, deleted }) => [outcome, error, deleted])).toEqual([
      ["whole", null, 1],
      ["whole", null, 1],
    ]);
    expect(Object.keys(await copy.values())).toEqual(["a", "b"]);
  });

  test("a replica is read without being sent on to its master", async () => {
    await server.second.run("FLUSHALL");
    const slot = Number(await server.run("CLUSTER", "KEYSLOT", "c"));
    const own = String(await server.run("CLUSTER", "MYID"));
    for (const one of [server, server.second]) await one.run("CLUSTER", "SETSLOT", slot, "NODE", own);
    await server.second.run("CLUSTER", "REPLICATE", own);
    const isThere = async (): Promise<void> => expect(await server.second.run("DBSIZE")).toBe(2);
    await vi.waitFor(isThere, { timeout: 20_000, interval: 100 });
    await using copy = await Copy.make();
    expect((await copy.sync(server.second))["dragonfly_data"]).toMatchObject({ outcome: "whole", error: null });
    expect(Object.keys(await copy.values())).toEqual(["a", "b"]);
  });
});

async function freePort(): Promise<number> {
  const listener = createServer();
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  const { port } = listener.address() as AddressInfo;
  await new Promise((resolve) => listener.close(resolve));
  return port;
}

await describeWith(
  () => startValkey(9),
  "another scope",
  (server) => {
    test.each([
      ["a narrower pattern", { key_pattern: "a:*" }],
      ["another database", { database: "10" }],
      ["only some types", { key_types: ["hash"] }],
    ])("%s deletes nothing by itself", async (_, settings) => {
      await server.run("FLUSHDB");
      await server.runAll(["a:1", "a:2", "b:1"].map((key) => ["SET", key, "x"]));
      await using copy = await Copy.make();
      await copy.sync(server);
      const run = (await copy.sync(server, settings))["dragonfly_data"]!;
      expect(run).toMatchObject({ outcome: "failed", deleted: 0 });
      expect(Object.keys(await copy.values())).toEqual(["a:1", "a:2", "b:1"]);
    });

    test("a narrower pattern that the user agrees to deletes what it leaves out", async () => {
      await server.run("FLUSHDB");
      await server.runAll(["a:1", "a:2", "b:1"].map((key) => ["SET", key, "x"]));
      await server.runAll(["a:log", "b:log"].map((key) => ["XADD", key, "1-1", "field", "x"]));
      await using copy = await Copy.make();
      await copy.sync(server);
      const settings = { key_pattern: ["a:*", "c:*"] };
      const runs = await copy.sync(server, settings, { acceptScope: true, acceptDeletes: true, sweep: true });
      expect(Object.values(runs).map(({ error }) => error)).toEqual([null, null]);
      expect(Object.keys(await copy.values())).toEqual(["a:1", "a:2"]);
      const entries = await copy.query("SELECT key FROM s.dragonfly_data_streams WHERE NOT _headwaters_deleted");
      expect(entries).toEqual([{ key: "a:log" }]);
      expect((await copy.verify(server, settings)).verdict).toBe("CONVERGED");
    });

    test("keys that several patterns match are proven all the same", async () => {
      await server.run("FLUSHDB");
      await server.runAll(["user:1", "user:2", "other:1"].map((key) => ["SET", key, "x"]));
      await using copy = await Copy.make();
      const settings = { key_pattern: ["user:*", "*:1"] };
      await copy.sync(server, settings);
      const verdict = async () =>
        (await copy.verify(server, settings)).tables.find(({ table }) => table === "dragonfly_data");
      expect(await verdict()).toMatchObject({ verdict: "CONVERGED" });
      await server.run("SET", "user:2", "changed");
      // The copy is as the sync left it: the source has changed.
      expect(await verdict()).toMatchObject({ verdict: "NOT PROVEN", different: 1 });
    });

    test("verify sees a field for which neither the copy nor a sample of keys has a column", async () => {
      await server.run("FLUSHDB");
      await server.runAll(Array.from({ length: 1_500 }, (_, id) => ["HSET", `user:${id}`, "name", `n${id}`]));
      const settings = { tables: { users: { pattern: "user:{id}" } } };
      await using copy = await Copy.make();
      await copy.sync(server, settings);
      const [, keys] = (await server.run("SCAN", 0, "COUNT", 100_000)) as [unknown, readonly Buffer[]];
      await server.run("HSET", keys.at(-1)!, "surname", "x");
      const users = async () => (await copy.verify(server, settings)).tables.find(({ table }) => table === "users");
      expect(await users()).toMatchObject({ verdict: "NOT PROVEN", different: 1 });
      await copy.sync(server, settings);
      expect(await users()).toMatchObject({ verdict: "CONVERGED" });
    });

    test("other columns of an expanded table are read from then on", async () => {
      await server.run("FLUSHDB");
      await server.run("HSET", "user:1", "paid", "1", "mail", "a@b", "login", "ada", "age", "36");
      await using copy = await Copy.make();
      const synced = async (columns: Record<string, unknown>): Promise<unknown> => {
        const settings = { tables: { users: { pattern: "user:{id}", columns } } };
        expect((await copy.sync(server, settings))["users"]).toMatchObject({ outcome: "whole", error: null });
        expect((await copy.verify(server, settings)).verdict).toBe("CONVERGED");
        const [row] = await copy.query("SELECT * FROM s.users");
        return Object.fromEntries(Object.entries(row!).filter(([name]) => !/^(id|_headwaters_.*)$/.test(name)));
      };
      expect(await synced({ paid: "BOOLEAN", name: { from: "mail" }, age: "LONG" })).toEqual({
        paid: true,
        name: "a@b",
        age: 36n,
      });
      expect(await synced({ paid: "STRING", name: { from: "login" } })).toEqual({ paid: "1", name: "ada", age: null });
    });

    test("one more expanded table concerns no other table", async () => {
      await server.run("FLUSHDB");
      await server.run("HSET", "user:1", "name", "Ada");
      await using copy = await Copy.make();
      await copy.sync(server);
      const runs = await copy.sync(server, { tables: { users: { pattern: "user:{id}" } } });
      expect(Object.values(runs).map(({ outcome }) => outcome)).toEqual(["whole", "whole", "whole"]);
      const other = await copy.sync(server, { tables: { users: { pattern: "person:{id}" } } });
      expect(other["users"]!.outcome).toBe("failed");
      expect(other["dragonfly_data"]!.outcome).toBe("whole");
    });
  },
);

async function whole(copy: Copy, server: RedisServer, settings: Record<string, unknown>): Promise<void> {
  const runs = await copy.sync(server, settings, { acceptDeletes: true });
  expect(Object.values(runs).filter(({ outcome }) => outcome !== "whole")).toEqual([]);
}
