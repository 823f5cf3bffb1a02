import { expect, test } from "vitest";
import type { Source } from "../../../src/protocol/source.ts";
import { startOwnValkey, startValkey } from "../../servers/redis.ts";
import { describeWith } from "../../servers/require.ts";
import { independent, openSource, readRows, steady, tableOf } from "./reading.ts";

const members = Array.from({ length: 20_000 }, (_, index) => (index * 7_919) % 20_000);

async function value(source: Source, key: string): Promise<unknown> {
  const rows = await readRows(source, await tableOf(source, "dragonfly_data"));
  return JSON.parse(rows.get(key)!["value"] as string);
}

await describeWith(
  () => startValkey(12),
  "large values",
  (server) => {
    test("are read in parts, and whole", async () => {
      await server.runAll(
        members.flatMap((member) => [
          ["HSET", "hash", `field ${member}`, member],
          ["SADD", "set", `member ${member}`],
          ["RPUSH", "list", member],
          ["ZADD", "zset", member % 100, `member ${member}`],
        ]),
      );
      await server.run("SET", "string", "0123456789".repeat(500_000));
      await using source = await openSource(server);
      const table = await tableOf(source, "dragonfly_data");
      const rows = await readRows(source, table);
      expect([...rows.values()].map((row) => [row["key"], row["size"]]).sort()).toEqual([
        ["hash", 20_000],
        ["list", 20_000],
        ["set", 20_000],
        ["string", 5_000_000],
        ["zset", 20_000],
      ]);
      expect(JSON.parse(rows.get("list")!["value"] as string)).toEqual(members.map(String));
      expect(steady(await readRows(source, table, { how: independent }))).toEqual(steady(rows));
    });
  },
);

await describeWith(startOwnValkey, "a large list", (server) => {
  test("that is moved along while it is read never comes torn", { timeout: 60_000 }, async () => {
    await server.runAll(Array.from({ length: 30_000 }, (_, index) => ["RPUSH", "queue", index]));
    await using source = await openSource(server);
    let next = 30_000;
    const stop = new AbortController();
    const moving = (async () => {
      while (!stop.signal.aborted) {
        await server.runAll([
          ["RPUSH", "queue", next++],
          ["LPOP", "queue"],
        ]);
      }
    })();
    try {
      for (let round = 0; round < 3; round++) {
        const seen = ((await value(source, "queue")) as string[]).map(Number);
        expect(seen.length).toBeGreaterThanOrEqual(29_999);
        expect(seen).toEqual(seen.map((_, index) => seen[0]! + index));
      }
    } finally {
      stop.abort();
      await moving;
    }
    expect(next).toBeGreaterThan(30_010);
  });

  test("that becomes another type in the middle is read as that", async () => {
    await server.run("DEL", "queue");
    await server.runAll(Array.from({ length: 30_000 }, (_, index) => ["RPUSH", "queue", index]));
    await using source = await openSource(server);
    const table = await tableOf(source, "dragonfly_data");
    const reading = readRows(source, table);
    await server.runAll([
      ["DEL", "queue"],
      ["HSET", "queue", "now", "a hash"],
    ]);
    const row = (await reading).get("queue");
    expect(row === undefined || ["list", "hash"].includes(row["data_type"] as string)).toBe(true);
    expect((await readRows(source, table)).get("queue")).toMatchObject({
      data_type: "hash",
      value: '{"now":"a hash"}',
    });
  });
});
