import type { Cluster, Routing } from "../../wire/cql/cluster.ts";
import { textValue } from "../../wire/cql/control-rows.ts";
import { quoted } from "../../wire/cql/errors.ts";
import { CqlServerError } from "../../wire/cql/server-error.ts";
import { estimateSize, type SizeEstimate, type TableSize } from "./splits.ts";
import type { Topology } from "../../wire/cql/topology.ts";
import type { CqlTable } from "./catalog.ts";

/** The clock of a node of the cluster: milliseconds since 1970. */
export async function clusterClock(cluster: Cluster, routing: Routing): Promise<number> {
  const [row] = await cluster.rows("SELECT toTimestamp(now()) AS now FROM system.local", [], routing);
  return Date.parse(textValue(row?.["now"])!);
}

/** Approximate sizes by table name, if a node reports them. With `table`: only of this table. */
export async function tableSizes(
  cluster: Cluster,
  keyspace: string,
  table: string | null,
  routing: Routing,
): Promise<ReadonlyMap<string, TableSize>> {
  const one = table === null ? "" : " AND table_name = ?";
  const values = [keyspace, ...(table === null ? [] : [table])].map((text) => Buffer.from(text));
  try {
    const rows = await cluster.rows(
      `SELECT table_name, range_start, range_end, partitions_count, mean_partition_size FROM system.size_estimates WHERE keyspace_name = ?${one}`,
      values,
      routing,
    );
    const estimates = new Map<string, SizeEstimate[]>();
    for (const row of rows) {
      const [start, end] = [textValue(row["range_start"]), textValue(row["range_end"])];
      // Tokens of partitioners other than Murmur3 are not 64-bit numbers.
      if (start === null || end === null || !/^-?\d{1,19}$/.test(start) || !/^-?\d{1,19}$/.test(end)) continue;
      const name = textValue(row["table_name"])!;
      const estimate = {
        start: BigInt(start),
        end: BigInt(end),
        partitions: Number(row["partitions_count"]),
        meanPartitionBytes: Number(row["mean_partition_size"]),
      };
      estimates.set(name, [...(estimates.get(name) ?? []), estimate]);
    }
    const sized = [...estimates].map(([name, parts]) => [name, estimateSize(parts)] as const);
    return new Map(sized.filter((entry): entry is [string, TableSize] => entry[1] !== null));
  } catch (thrown) {
    // Some servers do not have this table, or hide it; both cases have a fallback.
    if (thrown instanceof CqlServerError) return new Map();
    throw thrown;
  }
}

/** A table with so many rows is read by one query. */
const tinyRows = 200;

/**
 * Whether a table has few rows. Size estimates are useless for small tables: servers make them every five minutes, and
 * only from data that was flushed to disk.
 */
export async function isTiny(
  cluster: Cluster,
  { keyspace, name, columns }: CqlTable,
  routing: Routing,
): Promise<boolean> {
  const first = columns.find(({ kind }) => kind === "partition_key")!;
  const statement = `SELECT ${quoted(first.name)} FROM ${quoted(keyspace)}.${quoted(name)} LIMIT ${tinyRows + 1}`;
  try {
    return (await cluster.rows(statement, [], routing)).length <= tinyRows;
  } catch (thrown) {
    // The server may abort such a query, for example among many tombstones.
    if (thrown instanceof CqlServerError) return false;
    throw thrown;
  }
}

/**
 * The tokens where a table's data changes its owner: those of the ring, or for tablets (ScyllaDB) the tablets' ends.
 */
export async function boundariesOf(
  cluster: Cluster,
  topology: Topology,
  tableId: string,
  routing: Routing,
): Promise<readonly bigint[]> {
  if (!topology.scylla) return topology.ring.tokens;
  try {
    const id = Buffer.from(tableId.replaceAll("-", ""), "hex");
    const rows = await cluster.rows("SELECT last_token FROM system.tablets WHERE table_id = ?", [id], routing);
    if (rows.length > 0) return rows.map((row) => BigInt(textValue(row["last_token"])!));
  } catch (thrown) {
    // Releases before tablets do not have this table; the ring is used instead.
    if (!(thrown instanceof CqlServerError)) throw thrown;
  }
  return topology.ring.tokens;
}
