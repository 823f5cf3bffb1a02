import { HeadwatersError } from "../../../protocol/errors.ts";
import type { Cluster, Routing } from "../../../wire/cql/cluster.ts";
import { type ControlRow, controlRows, textList, textValue } from "../../../wire/cql/control-rows.ts";
import type { Consistency } from "../../../wire/cql/messages.ts";
import { CqlServerError, serverErrors } from "../../../wire/cql/server-error.ts";
import type { CqlTable } from "../catalog.ts";

/** The moment since which a set of streams is written to: for all tables of the cluster, or for one table on tablets. */
export interface Generation {
  /** In milliseconds since 1970. */
  readonly at: number;
  readonly tablets: boolean;
}

/** Streams that are requested together, since the same nodes have them. */
export type StreamGroup = readonly Buffer[];

/** Servers refuse longer lists of keys in one statement. */
const mostTogether = 100;
/** The limit for streams whose owners may differ. */
const mostScattered = 16;
const pageRows = 1_000;

/** Generations whose streams are remembered: with vnodes there are few, with tablets each table has its own. */
const mostKept = 256;

/** Asks for generations and their streams. A source keeps one instance: the streams of a generation are always the same. */
export class Generations {
  readonly #cluster: Cluster;
  readonly #streams = new Map<string, readonly StreamGroup[]>();

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  /**
   * The generations of a table, the newest first. A new one is announced before it is written to. Throws
   * `SERVER_UNAVAILABLE` if none is known: nothing could be read then, and that would look like no changes.
   */
  async all(table: Pick<CqlTable, "keyspace" | "name">, routing: Routing): Promise<readonly Generation[]> {
    const own = await this.#onTablets(table, routing);
    if (own.length > 0) return own;
    const statement = "SELECT time FROM system_distributed.cdc_generation_timestamps WHERE key = ?";
    const rows = await asked(this.#cluster, statement, [Buffer.from("timestamps")], routing);
    if (rows.length === 0) throw noStreams(table.name);
    return sorted(rows.map((row) => ({ at: momentOf(row["time"]), tablets: false })));
  }

  async #onTablets(table: Pick<CqlTable, "keyspace" | "name">, routing: Routing): Promise<readonly Generation[]> {
    try {
      const statement = "SELECT timestamp FROM system.cdc_timestamps WHERE keyspace_name = ? AND table_name = ?";
      const rows = await asked(this.#cluster, statement, namesOf(table), routing);
      return sorted(rows.map((row) => ({ at: momentOf(row["timestamp"]), tablets: true })));
    } catch (thrown) {
      // Releases before tablets with logs do not have this table.
      if (thrown instanceof CqlServerError && thrown.code === serverErrors.invalid) return [];
      throw thrown;
    }
  }

  /** The streams that a generation writes to. */
  async streams(table: CqlTable, generation: Generation, routing: Routing): Promise<readonly StreamGroup[]> {
    const key = `${generation.at} ${generation.tablets ? table.id : ""}`;
    const known = this.#streams.get(key);
    if (known !== undefined) return known;
    const streams = await streamsOf(this.#cluster, table, generation, routing);
    if (this.#streams.size >= mostKept) this.#streams.delete(this.#streams.keys().next().value!);
    if (streams.length === 0) throw noStreams(table.name);
    this.#streams.set(key, streams);
    return streams;
  }
}

function noStreams(table: string): HeadwatersError {
  return new HeadwatersError("SERVER_UNAVAILABLE", `table "${table}": the cluster reports no streams of its CDC log`, {
    hint: "Wait about a minute if the cluster is new. Otherwise run nodetool checkAndRepairCdcStreams.",
  });
}

async function streamsOf(
  cluster: Cluster,
  table: CqlTable,
  { at, tablets }: Generation,
  routing: Routing,
): Promise<readonly StreamGroup[]> {
  const time = timestampBytes(at);
  if (!tablets) {
    const statement = "SELECT streams FROM system_distributed.cdc_streams_descriptions_v2 WHERE time = ?";
    const rows = await asked(cluster, statement, [time], routing);
    return rows.flatMap((row) => chunked(textList(row["streams"]).map(blobOf), mostTogether));
  }
  const statement = "SELECT * FROM system.cdc_streams WHERE keyspace_name = ? AND table_name = ? AND timestamp = ?";
  const rows = await asked(cluster, statement, [...namesOf(table), time], routing);
  // The list has the streams of this moment (0), and also those that it closed (1) and opened (2).
  const current = rows.filter((row) => Number(row["stream_state"] ?? row["stream_kind"]) === 0);
  const streams = current.map((row) => blobOf(textValue(row["stream_id"])!));
  return chunked(streams, mostScattered);
}

/** The part of a time range in which one generation is written to. */
export interface LogPart {
  readonly generation: Generation;
  readonly from: number;
  readonly to: number;
}

/**
 * The generations that entries of a time range may be in, each with its part of the range. Both ends may be off by `margin`.
 */
export function generationsWithin(
  all: readonly Generation[],
  range: { readonly from: number; readonly to: number },
  margin: number,
): readonly LogPart[] {
  return all.flatMap((generation, index) => {
    const until = index === 0 ? Infinity : all[index - 1]!.at;
    const [from, to] = [Math.max(range.from, generation.at - margin), Math.min(range.to, until + margin)];
    return from < to ? [{ generation, from, to }] : [];
  });
}

async function asked(
  cluster: Cluster,
  statement: string,
  values: readonly Buffer[],
  routing: Routing,
): Promise<readonly ControlRow[]> {
  const { nodes, dataCenters } = await cluster.topology(routing.signal);
  const consistency: Consistency = nodes.length > 1 || dataCenters.length > 1 ? "QUORUM" : "ONE";
  const rows: ControlRow[] = [];
  for (let pageState: Buffer | null = null; ;) {
    const page = await cluster.page(statement, { consistency, values, pageSize: pageRows, pageState }, routing);
    for (const row of controlRows(page)) rows.push(row);
    pageState = page.next;
    if (pageState === null) return rows;
  }
}

function namesOf({ keyspace, name }: Pick<CqlTable, "keyspace" | "name">): readonly Buffer[] {
  return [Buffer.from(keyspace), Buffer.from(name)];
}

function sorted(generations: readonly Generation[]): readonly Generation[] {
  return [...generations].sort((a, b) => b.at - a.at);
}

function momentOf(value: ControlRow[string] | undefined): number {
  return Date.parse(textValue(value)!);
}

/** A timestamp as it is sent. */
export function timestampBytes(milliseconds: number): Buffer {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeBigInt64BE(BigInt(milliseconds));
  return bytes;
}

function blobOf(text: string): Buffer {
  return Buffer.from(text.slice(2), "hex");
}

function chunked<Item>(items: readonly Item[], size: number): Item[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) =>
    items.slice(index * size, (index + 1) * size),
  );
}
