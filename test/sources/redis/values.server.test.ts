import { expect, test } from "vitest";
import { type RedisServer, startRedisStack, startValkey } from "../../servers/redis.ts";
import { describeWith } from "../../servers/require.ts";
import { rowsOf } from "../../../src/toolkit/vectors.ts";
import { addRows, fast, independent, openSource, readRows, type Row, steady, tableOf } from "./reading.ts";

const binary = Buffer.from([0xff, 0x00, 0x0d, 0x0a]);

async function fill(server: RedisServer): Promise<void> {
  await server.run("FLUSHDB");
  await server.runAll([
    ["SET", "text", "zwölf"],
    ["SET", "empty", ""],
    ["SET", "counter", 41],
    ["INCR", "counter"],
    ["SET", "marked", "base64:AAAA"],
    ["SET", "bytes", binary],
    ["SET", binary, "a key of bytes"],
    ["SETBIT", "bitmap", 17, 1],
    ["PFADD", "visitors", "a", "b", "c"],
    ["SET", "long", "x".repeat(65_536)],
    ["SET", "expires", "soon", "EX", 1_000],
    ["HSET", "hash", "b", "2", "a", '"quoted"\n', "ä", binary],
    ["RPUSH", "list", "b", "a", "b"],
    ["SADD", "set", "b", "a", "ä"],
    ["SADD", "numbers", 3, 1, 2],
    ["ZADD", "zset", 2, "b", 1.5, "a", 2, "aa", "inf", "top", "-inf", "bottom"],
    ["GEOADD", "places", 8.5, 47.4, "Zürich"],
    ...Array.from({ length: 700 }, (_, index) => ["HSET", "large hash", `field ${index}`, index]),
    ...Array.from({ length: 700 }, (_, index) => ["SADD", "large set", `member ${index}`]),
    ...Array.from({ length: 512 }, (_, index) => ["RPUSH", "large list", index]),
    ...Array.from({ length: 5_000 }, (_, index) => ["ZADD", "large zset", index % 7, `member ${index}`]),
  ]);
}

function value(rows: Map<string, Row>, key: string): readonly unknown[] {
  const row = rows.get(key)!;
  return [row["data_type"], row["value"], row["size"]];
}

const servers = [
  ["Valkey", startValkey],
  ["Redis Stack", startRedisStack],
] as const;
for (const [title, start] of servers) {
  await describeWith(
    () => start(3),
    `the table of keys of ${title}`,
    (server) => {
      test("has every type", async () => {
        await fill(server);
        await using source = await openSource(server);
        const rows = await readRows(source, await tableOf(source, "dragonfly_data"));
        expect(value(rows, "text")).toEqual(["string", "zwölf", 6]);
        expect(value(rows, "empty")).toEqual(["string", "", 0]);
        expect(value(rows, "counter")).toEqual(["string", "42", 2]);
        expect(value(rows, "marked")).toEqual(["string", "base64:YmFzZTY0OkFBQUE=", 11]);
        expect(value(rows, "bytes")).toEqual(["string", "base64:/wANCg==", 4]);
        expect(value(rows, "base64:/wANCg==")).toEqual(["string", "a key of bytes", 14]);
        expect(value(rows, "hash")).toEqual(["hash", '{"a":"\\"quoted\\"\\n","b":"2","ä":"base64:/wANCg=="}', 3]);
        expect(value(rows, "list")).toEqual(["list", '["b","a","b"]', 3]);
        expect(value(rows, "set")).toEqual(["set", '["a","b","ä"]', 3]);
        expect(value(rows, "numbers")).toEqual(["set", '["1","2","3"]', 3]);
        expect(value(rows, "zset")).toEqual([
          "zset",
          '[["bottom","-inf"],["a",1.5],["aa",2],["b",2],["top","inf"]]',
          5,
        ]);
        expect(rows.get("text")!["ttl"]).toBe(-1);
        expect(rows.get("expires")!["ttl"]).toBeGreaterThan(900);
        expect(JSON.parse(rows.get("large hash")!["value"] as string)).toMatchObject({
          "field 0": "0",
          "field 699": "699",
        });
        expect(rows.get("large zset")!["size"]).toBe(5_000);
        expect(rows.get("large list")!["size"]).toBe(512);
        expect(Math.abs(Number(rows.get("text")!["last_modified"]) / 1_000 - Date.now())).toBeLessThan(60_000);
      });

      test("is the same by the other path, by look-up, and in a sweep", async () => {
        await using source = await openSource(server);
        const table = await tableOf(source, "dragonfly_data");
        const rows = steady(await readRows(source, table));
        expect(steady(await readRows(source, table, { how: independent }))).toEqual(rows);
        const keys = rowsOf(
          [table.columns[0]!],
          [...rows.keys(), "not there"].map((key) => [key]),
        );
        const looked = new Map<string, Row>();
        for await (const batch of source.lookup(table, keys, fast)) addRows(looked, batch, table);
        expect(steady(looked)).toEqual(rows);
        const swept = await readRows(source, table, { kind: "keys" });
        const versions = [...rows].map(([key, row]) => [key, { key, _headwaters_version: row["_headwaters_version"] }]);
        expect([...swept].sort()).toEqual(versions);
      });

      test("a value that is built in another order has the same version, another value another", async () => {
        const version = async (): Promise<unknown[]> => {
          await using source = await openSource(server);
          const rows = await readRows(source, await tableOf(source, "dragonfly_data"));
          return ["hash", "set", "large hash", "large set", "list"].map((key) => rows.get(key)!["_headwaters_version"]);
        };
        const before = await version();
        await server.run("DEL", "hash", "set", "large hash", "large set");
        await server.runAll([
          ["HSET", "hash", "ä", binary, "a", '"quoted"\n', "b", "2"],
          ["SADD", "set", "ä", "a", "b"],
          ...Array.from({ length: 700 }, (_, index) => ["HSET", "large hash", `field ${699 - index}`, 699 - index]),
          ...Array.from({ length: 700 }, (_, index) => ["SADD", "large set", `member ${699 - index}`]),
        ]);
        expect(await version()).toEqual(before);
        await server.runAll([
          ["HSET", "hash", "b", "3"],
          ["SREM", "set", "ä"],
          ["HSET", "large hash", "field 3", "x"],
          ["SADD", "large set", "x"],
          ["LSET", "list", 0, "c"],
        ]);
        (await version()).forEach((now, index) => expect(now).not.toEqual(before[index]));
      });

      test("bytes in a column of their own", async () => {
        await using source = await openSource(server, { binary: "column" });
        const table = await tableOf(source, "dragonfly_data");
        const rows = await readRows(source, table);
        expect(rows.get("bytes")).toMatchObject({ value: null, value_binary: "ff000d0a", size: 4 });
        expect(rows.get("text")).toMatchObject({ value: "zwölf", value_binary: null });
        expect(steady(await readRows(source, table, { how: independent }))).toEqual(steady(rows));
      });

      test("expires_at is data: another time to live is another version", async () => {
        await using source = await openSource(server, { expires_at: "true" });
        const table = await tableOf(source, "dragonfly_data");
        const before = await readRows(source, table);
        expect(before.get("text")!["expires_at"]).toBeNull();
        const at = Number(before.get("expires")!["expires_at"]) / 1_000;
        expect(at - Date.now()).toBeGreaterThan(900_000);
        expect(steady(await readRows(source, table, { how: independent }))).toEqual(steady(before));
        await server.run("EXPIRE", "expires", 2_000);
        const after = await readRows(source, table, { kind: "keys" });
        const changed = [...after].filter(
          ([key, row]) => row["_headwaters_version"] !== before.get(key)!["_headwaters_version"],
        );
        expect(changed.map(([key]) => key)).toEqual(["expires"]);
        await server.run("PEXPIREAT", "expires", "9200000000000000000");
        const far = await readRows(source, table);
        // Dragonfly keeps at most 2^28 s, which a date can hold (case 56).
        const kept = Number(await server.run("PEXPIRETIME", "expires"));
        const expiresAt = kept < 8.64e15 ? BigInt(kept) * 1_000n : null;
        expect(far.get("expires")).toMatchObject({ data_type: "string", expires_at: expiresAt });
        expect(steady(await readRows(source, table, { how: independent }))).toEqual(steady(far));
      });

      test("a value over the limit has the row that the published example gives it", async () => {
        const warnings: string[] = [];
        await using source = await openSource(server, { max_value_bytes: "50000" }, { warnings });
        const table = await tableOf(source, "dragonfly_data");
        const rows = await readRows(source, table);
        const message = "Error: the value takes more than max_value_bytes (50000)";
        expect(rows.get("long")).toMatchObject({ data_type: "error", ttl: -2, size: 0, value: message });
        expect(rows.get("large zset")).toMatchObject({ data_type: "error" });
        expect(rows.get("text")).toMatchObject({ data_type: "string" });
        expect(warnings.join("\n")).toContain('key "long" can\'t be read');
        expect(steady(await readRows(source, table, { how: independent }))).toEqual(steady(rows));
      });

      test("a value that one command gives, but takes more bytes than is allowed, is told too", async () => {
        await server.runAll([
          ["SET", "within:below", "x".repeat(50_000)],
          ["SET", "within:beyond", "x".repeat(60_000)],
          ["RPUSH", "within:few members", "x".repeat(30_000), "x".repeat(30_000)],
        ]);
        await using source = await openSource(server, { key_pattern: "within:*", max_value_bytes: "50000" });
        const table = await tableOf(source, "dragonfly_data");
        const rows = await readRows(source, table);
        expect([...rows.values()].map((row) => [row["key"], row["data_type"]]).sort()).toEqual([
          ["within:below", "string"],
          ["within:beyond", "error"],
          ["within:few members", "error"],
        ]);
        expect(steady(await readRows(source, table, { how: independent }))).toEqual(steady(rows));
        await server.run("DEL", ...[...rows.keys()]);
      });

      test("several patterns, and only some types", async () => {
        await using source = await openSource(server, {
          key_pattern: ["large *", "ma?ked"],
          key_types: ["hash", "string"],
        });
        const rows = await readRows(source, await tableOf(source, "dragonfly_data"));
        expect([...rows.keys()].sort()).toEqual(["large hash", "marked"]);
        await using one = await openSource(server, { key_pattern: "l*", key_types: ["list"] });
        expect([...(await readRows(one, await tableOf(one, "dragonfly_data"))).keys()].sort()).toEqual([
          "large list",
          "list",
        ]);
      });

      test("types that differ where the same was foretold", async () => {
        await server.runAll(
          Array.from({ length: 2_000 }, (_, index) => {
            if (index % 41 === 0) return ["HSET", `mixed:${index}`, "field", index];
            return index % 97 === 0 ? ["RPUSH", `mixed:${index}`, index] : ["SET", `mixed:${index}`, index];
          }),
        );
        await using source = await openSource(server, { key_pattern: "mixed:*" });
        const table = await tableOf(source, "dragonfly_data");
        const rows = steady(await readRows(source, table));
        expect(rows.size).toBe(2_000);
        expect(steady(await readRows(source, table, { how: independent }))).toEqual(rows);
      });

      test("another database is another copy", async () => {
        const database = server.database - 3;
        const other = { ...server, database };
        await using source = await openSource(other);
        expect((await readRows(source, await tableOf(source, "dragonfly_data"))).size).toBe(0);
      });
    },
  );
}

await describeWith(
  () => startRedisStack(4),
  "modules",
  (server) => {
    test("JSON documents", async () => {
      await server.runAll([
        ["JSON.SET", "doc", "$", '{"b":[1,2.50,{"z":null,"a":true}],"a":12345678901234567890,"text":"zwölf"}'],
        ["JSON.SET", "one", "$", '"word"'],
      ]);
      await using source = await openSource(server);
      const table = await tableOf(source, "dragonfly_data");
      const rows = await readRows(source, table);
      expect(rows.get("doc")!["data_type"]).toBe("json");
      expect(JSON.parse(rows.get("doc")!["value"] as string)).toEqual({
        a: Number("12345678901234567890"),
        b: [1, 2.5, { a: true, z: null }],
        text: "zwölf",
      });
      expect(rows.get("one")!["value"]).toBe('"word"');
      expect(steady(await readRows(source, table, { how: independent }))).toEqual(steady(rows));
    });

    test("a key beside many of a type that is not known is not taken for one of them", async () => {
      await server.run("FLUSHDB");
      await server.runAll(Array.from({ length: 2_000 }, (_, index) => ["BF.RESERVE", `x:${index}`, "0.1", "10"]));
      await server.runAll([
        ["SET", "x:s", "v"],
        ["XADD", "x:stream", "*", "a", "1"],
      ]);
      await using source = await openSource(server);
      const rows = await readRows(source, await tableOf(source, "dragonfly_data"));
      expect([rows.get("x:s")?.["data_type"], rows.get("x:s")?.["value"]]).toEqual(["string", "v"]);
      expect([rows.size, rows.has("x:stream")]).toEqual([2_001, false]);
      await server.run("FLUSHDB");
    });

    test("types that are not known are kept as their dump, or left out, and that is said once", async () => {
      await server.runAll([
        ["BF.ADD", "filter 1", "a"],
        ["BF.ADD", "filter 2", "a"],
      ]);
      await using source = await openSource(server, { binary: "column" });
      const table = await tableOf(source, "dragonfly_data");
      const rows = await readRows(source, table);
      expect(rows.get("filter 1")).toMatchObject({ data_type: "MBbloom--", value: null });
      expect(rows.get("filter 1")!["value_binary"]).toBe(
        ((await server.run("DUMP", "filter 1")) as Buffer).toString("hex"),
      );
      const warnings: string[] = [];
      await using without = await openSource(server, { unknown_types: "skip" }, { warnings });
      expect((await readRows(without, await tableOf(without, "dragonfly_data"))).has("filter 1")).toBe(false);
      expect(warnings).toEqual(["keys of the type MBbloom-- are left out (unknown_types: skip)"]);
    });
  },
);
