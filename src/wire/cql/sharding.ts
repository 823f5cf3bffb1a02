/** How a ScyllaDB node spreads tokens over its shards, and which of them a connection talks to. */
export interface Sharding {
  readonly shard: number;
  readonly shards: number;
  readonly ignoreMsb: number;
  /** The port at which the client's own port chooses the shard; `null`: there is none. */
  readonly port: number | null;
}

/** What a ScyllaDB node reports in SUPPORTED; `null`: it is no ScyllaDB node, or does not report its shards. */
export function shardingOf(supported: ReadonlyMap<string, readonly string[]>, tls: boolean): Sharding | null {
  const number = (name: string): number | null => {
    const text = supported.get(name)?.[0];
    return text !== undefined && /^\d+$/.test(text) ? Number(text) : null;
  };
  const [shard, shards, ignoreMsb] = [
    number("SCYLLA_SHARD"),
    number("SCYLLA_NR_SHARDS"),
    number("SCYLLA_SHARDING_IGNORE_MSB"),
  ];
  const partitioner = supported.get("SCYLLA_PARTITIONER")?.[0] ?? "";
  const algorithm = supported.get("SCYLLA_SHARDING_ALGORITHM")?.[0];
  if (shard === null || shards === null || shards < 1 || ignoreMsb === null) return null;
  if (!partitioner.endsWith("Murmur3Partitioner") || algorithm !== "biased-token-round-robin") return null;
  return { shard, shards, ignoreMsb, port: number(tls ? "SCYLLA_SHARD_AWARE_PORT_SSL" : "SCYLLA_SHARD_AWARE_PORT") };
}

export function isScylla(supported: ReadonlyMap<string, readonly string[]>): boolean {
  return [...supported.keys()].some((name) => name.startsWith("SCYLLA_"));
}

/** The shard that holds a token ("biased-token-round-robin", protocol-extensions.md of ScyllaDB). */
export function shardOf(token: bigint, { shards, ignoreMsb }: Sharding): number {
  const biased = BigInt.asUintN(64, (token + 2n ** 63n) << BigInt(ignoreMsb));
  return Number((biased * BigInt(shards)) >> 64n);
}

/** A local port with which the shard-aware port assigns the connection to `shard`. */
export function localPortFor(shard: number, shards: number): number {
  const [first, last] = [49_152, 65_535];
  const port = first + Math.floor(Math.random() * (last - first - 2 * shards));
  return port - (port % shards) + shards + shard;
}
