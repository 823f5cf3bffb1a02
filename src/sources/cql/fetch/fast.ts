import type { Table } from "../../../protocol/table.ts";
import type { Cluster } from "../../../wire/cql/cluster.ts";
import { PageDecoder, TypeChanged } from "../../../wire/cql/decode-page.ts";
import { BodyReader } from "../../../wire/cql/body-reader.ts";
import type { Consistency, Page, Prepared } from "../../../wire/cql/messages.ts";
import { murmur3Token, partitionKeyBytes } from "../../../wire/cql/murmur3.ts";
import type { FetchPage } from "../read.ts";
import type { Work } from "../work.ts";
import { columnNames, type CqlTable, keyPlaces } from "../catalog.ts";

/** One way of reading a table: the statement, and the columns of its rows. */
export interface Fetching {
  readonly cluster: Cluster;
  readonly table: Table;
  /** The columns of the batches, in their order. */
  readonly columns: Table["columns"];
  readonly native: CqlTable;
  readonly statement: string;
  readonly consistency: Consistency;
}

/** The values of a range's bounds, in the order of the statement. */
function boundValues({ tokens, window }: Work): Buffer[] {
  const longs = [
    ...(tokens === null ? [] : [tokens.low, tokens.high]),
    ...(window === null ? [] : [BigInt(window.low)]),
    ...(window === null || window.high === null ? [] : [BigInt(window.high)]),
  ];
  return longs.map((value) => {
    const bytes = Buffer.allocUnsafe(8);
    bytes.writeBigInt64BE(value);
    return bytes;
  });
}

/**
 * Decodes the pages of a statement. On {@link TypeChanged}, the prepared statement is forgotten, so that the next plan
 * prepares it again: the table may have been dropped and made again since.
 */
export function decoderOf(
  cluster: Cluster,
  statement: string,
  columns: Table["columns"],
  native: CqlTable,
  prepared: Prepared,
): PageDecoder {
  try {
    return new PageDecoder(columns, keyPlaces(native), prepared.columns);
  } catch (thrown) {
    if (thrown instanceof TypeChanged) cluster.forget(statement);
    throw thrown;
  }
}

/** The fast path: cells go from the frames of the wire into vectors, and never become JavaScript values. */
export async function fetchFast(fetching: Fetching, signal: AbortSignal): Promise<FetchPage> {
  const { cluster, table, columns, native, statement, consistency } = fetching;
  const prepared = await cluster.prepare(statement, { signal, table: table.id });
  const decoder = decoderOf(cluster, statement, columns, native, prepared);
  const partition = columnNames(native, "partition_key").map((name) =>
    prepared.columns.findIndex((column) => column.name === name),
  );
  return async (work, { rows, state, batchBytes }, signal) => {
    const routing = { signal, token: work.tokens?.high ?? null, table: table.id };
    const values = boundValues(work);
    const page = await cluster.page(statement, { consistency, values, pageSize: rows, pageState: state }, routing);
    return {
      rows: page.rows,
      bytes: page.body.length - page.start,
      next: page.next,
      batches: () => decoder.decode(page, batchBytes),
      lastToken: () => (page.rows === 0 ? null : tokenAt(page, decoder.lastRow, partition)),
    };
  };
}

/** The token of the row at `start`, from the partition key's cells at `partition`. */
function tokenAt({ body, columnCount }: Page, start: number, partition: readonly number[]): bigint | null {
  if (partition.includes(-1)) return null;
  const reader = new BodyReader(body, start);
  const cells = Array.from({ length: columnCount }, () => reader.bytes());
  return murmur3Token(partitionKeyBytes(partition.map((index) => cells[index]!)));
}
