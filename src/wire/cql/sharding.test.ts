import { describe, expect, test } from "vitest";
import { isScylla, localPortFor, shardingOf, shardOf } from "./sharding.ts";

/** What a ScyllaDB node answers to OPTIONS, by protocol-extensions.md of its documentation. */
const supported = new Map<string, readonly string[]>([
  ["SCYLLA_SHARD", ["2"]],
  ["SCYLLA_NR_SHARDS", ["12"]],
  ["SCYLLA_PARTITIONER", ["org.apache.cassandra.dht.Murmur3Partitioner"]],
  ["SCYLLA_SHARDING_ALGORITHM", ["biased-token-round-robin"]],
  ["SCYLLA_SHARDING_IGNORE_MSB", ["12"]],
  ["SCYLLA_SHARD_AWARE_PORT", ["19042"]],
  ["SCYLLA_SHARD_AWARE_PORT_SSL", ["19142"]],
  ["CQL_VERSION", ["3.3.1"]],
]);
const cassandra = new Map<string, readonly string[]>([
  ["PROTOCOL_VERSIONS", ["3/v3", "4/v4", "5/v5", "6/v6-beta"]],
  ["COMPRESSION", ["snappy", "lz4"]],
  ["CQL_VERSION", ["3.4.7"]],
]);

describe("sharding", () => {
  test("is read from what the server supports", () => {
    expect(isScylla(supported)).toBe(true);
    expect(shardingOf(supported, false)).toEqual({ shard: 2, shards: 12, ignoreMsb: 12, port: 19042 });
    expect(shardingOf(supported, true)?.port).toBe(19142);
  });

  test("Cassandra has none, and an algorithm of the future is not guessed", () => {
    expect(isScylla(cassandra)).toBe(false);
    expect(shardingOf(cassandra, false)).toBeNull();
    const other = new Map([...supported, ["SCYLLA_SHARDING_ALGORITHM", ["another"]] as const]);
    expect(shardingOf(other, false)).toBeNull();
  });

  test("tokens are spread over all shards", () => {
    const sharding = shardingOf(supported, false)!;
    const counts = Array.from({ length: 12 }, () => 0);
    for (let index = 0n; index < 12_000n; index++) {
      const token = BigInt.asIntN(64, index * 0x9e3779b97f4a7c15n);
      counts[shardOf(token, sharding)]! += 1;
    }
    for (const count of counts) expect(Math.abs(count - 1_000)).toBeLessThan(150);
  });

  test("without ignored bits the ring is cut into as many equal parts as there are shards", () => {
    const sharding = { shard: 0, shards: 4, ignoreMsb: 0, port: null };
    expect([-(2n ** 63n), -1n, 0n, 2n ** 63n - 1n].map((token) => shardOf(token, sharding))).toEqual([0, 1, 2, 3]);
  });

  test("the port of the client chooses the shard", () => {
    for (let shard = 0; shard < 12; shard++) {
      for (let tries = 0; tries < 50; tries++) {
        const port = localPortFor(shard, 12);
        expect(port % 12).toBe(shard);
        expect(port).toBeGreaterThanOrEqual(49_152);
        expect(port).toBeLessThanOrEqual(65_535);
      }
    }
  });
});
