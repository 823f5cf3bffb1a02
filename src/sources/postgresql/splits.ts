import type { PostgresConnection } from "../../wire/postgres/connection.ts";
import { escapeIdentifier, qualifiedName } from "../../wire/postgres/literals.ts";
import { type CatalogHeap, relationOf } from "./catalog/catalog.ts";
import { estimateRows } from "./catalog/estimate.ts";
import { hashCodes, type HashColumns } from "./statement/select.ts";
import type { Server } from "./server.ts";
import { columnOf, hasIndexOn, type Shape } from "./catalog/shape.ts";
import type { Bound, Window, Work } from "./work.ts";

/**
 * Small enough that a table of some 30 MB is read in parallel; large enough that a split's own round trips do not
 * count. Measured, milliseconds of CPU here for 1 M rows: 850 with splits of 2 MiB, 640 with 8, 620 with 16.
 */
const splitBytes = 8 << 20;
const splitRows = 100_000;
/** State is kept for each split, so a large table has larger splits instead of more. */
const mostSplits = 512;
const unknownSplits = 16;
const blockBytes = 8192;
/** From this correlation on (Spearman's, absolute), a walk of the key's index reads the file roughly in its order. */
const leastCorrelation = 0.9;
/** How many blocks are sampled for bounds, and how many places in each block are tried for a row. */
const sampleBlocks = 1_024;
const samplePlaces = 4;

/** How a table can be cut. */
export interface Cutting {
  readonly shape: Shape;
  readonly server: Server;
  readonly hashColumns: HashColumns;
  /** Only rows of this window are read. */
  readonly window: Window | null;
}

/** Cuts a table into splits. It reads no more of the table than a sample of its pages. */
export async function cutTable(
  connection: PostgresConnection,
  cutting: Cutting,
  signal: AbortSignal,
): Promise<readonly Work[]> {
  const { shape, server, hashColumns, window } = cutting;
  const { catalog } = shape;
  const whole = { heap: null, from: null, to: null, window };
  const rows = estimateRows(catalog, server);
  if (window !== null && hasIndexOn(shape, window.column) && isOrdered(shape, [window.column, ...shape.key])) {
    return [{ ...whole, order: "cursor", span: splitRows }];
  }
  const keyed = shape.key.length > 0 && isOrdered(shape, shape.key);
  if (keyed && hashColumns.length > 0) return cutHash(rows, bytesOf(shape), window);
  if (server.yugabyte) {
    if (!keyed) return [{ ...whole, order: "none", span: rows ?? splitRows }];
    const bounds = await histogramBounds(connection, shape, countOf(rows, 0), signal);
    return between(bounds, { ...whole, order: "key", span: splitRows });
  }
  // PostgreSQL 14 and later scan only a range of ctid; before, each range would read the whole file.
  const ranged = server.versionNumber >= 140_000;
  const apart = catalog.heaps.every((heap) => heap.kind === "r" && heap.readable) && !catalog.secured;
  if (!apart || !ranged) return [{ ...whole, order: keyed ? "key" : "none", span: rows ?? splitRows }];
  const works: Work[] = [];
  for (const heap of catalog.heaps) {
    const place: Work["heap"] = catalog.partitioned ? [heap.schema, heap.name] : null;
    works.push(...(await cutHeap(connection, cutting, heap, place, keyed, signal)));
  }
  return works;
}

/** Cuts by key if the file lies roughly in the key's order, else by places in the file. */
async function cutHeap(
  connection: PostgresConnection,
  { shape, window }: Cutting,
  heap: CatalogHeap,
  place: Work["heap"],
  keyed: boolean,
  signal: AbortSignal,
): Promise<Work[]> {
  const blocks = Math.ceil(heap.bytes / blockBytes);
  const count = countOf(null, heap.bytes);
  const base = { heap: place, from: null, to: null, window };
  if (keyed && count === 1) return [{ ...base, order: "key", span: splitRows }];
  if (keyed) {
    const sample = await sampleKeys(connection, shape, place, blocks, signal);
    if (Math.abs(correlation(sample.map((row) => row.block))) >= leastCorrelation) {
      const keys = sample.map((row) => row.key);
      return between(quantiles(keys, count), { ...base, order: "key", span: splitRows });
    }
  }
  const size = Math.ceil(blocks / count);
  return Array.from({ length: count }, (_, index) => ({
    ...base,
    order: "ctid" as const,
    from: index === 0 ? null : [`(${index * size},0)`],
    // Without an end, because the file may grow until the snapshot is taken.
    to: index === count - 1 ? null : [`(${(index + 1) * size},0)`],
    span: Math.max(1, size),
  }));
}

function cutHash(rows: number | null, bytes: number, window: Window | null): Work[] {
  // If the size is unknown: as many splits as a cluster of some nodes can read at the same time.
  const count = rows === null && bytes === 0 ? unknownSplits : countOf(rows, bytes);
  const size = Math.ceil(hashCodes / count);
  return Array.from({ length: Math.ceil(hashCodes / size) }, (_, index) => ({
    order: "hash" as const,
    heap: null,
    from: [String(index * size)],
    to: [String(Math.min(hashCodes, (index + 1) * size))],
    span: size,
    window,
  }));
}

function bytesOf({ catalog }: Shape): number {
  return catalog.heaps.reduce((sum, heap) => sum + heap.bytes, 0);
}

function countOf(rows: number | null, bytes: number): number {
  const wanted = rows === null ? bytes / splitBytes : rows / splitRows;
  return Math.min(mostSplits, Math.max(1, Math.round(wanted)));
}

/** Literals of these columns compare in the order of their indexes. */
function isOrdered(shape: Shape, columns: readonly string[]): boolean {
  return columns.every((name) => columnOf(shape, name).ordered);
}

/** Splits between bounds; the bounds are distinct and in order. */
function between(bounds: readonly Bound[], base: Work): Work[] {
  return [null, ...bounds].map((from, index) => ({ ...base, from, to: bounds[index] ?? null }));
}

/**
 * Keys of rows from evenly spaced pages, in the order of the key, with the page of each. This reads only the sampled
 * pages, needs no statistics, and works for any type of key.
 */
async function sampleKeys(
  connection: PostgresConnection,
  shape: Shape,
  heap: Work["heap"],
  blocks: number,
  signal: AbortSignal,
): Promise<{ readonly key: Bound; readonly block: number }[]> {
  const count = Math.min(blocks, sampleBlocks);
  const places = Array.from({ length: count }, (_, index) => Math.floor((index * blocks) / count)).flatMap((block) =>
    Array.from({ length: samplePlaces }, (_, offset) => `(${block},${offset + 1})`),
  );
  const key = shape.key.map(escapeIdentifier);
  const rows = await connection.query(
    `SELECT json_build_array(${key.map((name) => `concat(${name})`).join(", ")})::text AS key, ctid::text AS place
     FROM ${relationOf(shape, heap)} WHERE ctid = ANY ($1::tid[]) ORDER BY ${key.join(", ")}`,
    [places],
    signal,
    shape.catalog,
  );
  return rows.map((row) => ({
    key: JSON.parse(row["key"]!) as string[],
    block: Number(row["place"]!.slice(1).split(",")[0]),
  }));
}

/** Spearman's rank correlation of numbers with their positions in the list. */
export function correlation(numbers: readonly number[]): number {
  const count = numbers.length;
  if (count < 3) return 1;
  const sorted = numbers
    .map((value, index) => ({ value, index }))
    .sort((a, b) => a.value - b.value || a.index - b.index);
  const squares = sorted.reduce((sum, { index }, rank) => sum + (rank - index) ** 2, 0);
  return 1 - (6 * squares) / (count * (count ** 2 - 1));
}

/** `count − 1` distinct values that cut a sorted list into parts of equal length. */
export function quantiles(sorted: readonly Bound[], count: number): Bound[] {
  const bounds: Bound[] = [];
  for (let index = 1; index < count; index++) {
    const bound = sorted[Math.floor((index * sorted.length) / count)];
    if (bound !== undefined && JSON.stringify(bound) !== JSON.stringify(bounds.at(-1))) bounds.push(bound);
  }
  // If the first bound is the least key, the split before it is empty. That is harmless and rare.
  return bounds;
}

/** Bounds for a table that YugabyteDB keeps in key order, from ANALYZE's histogram of the first key column. */
async function histogramBounds(
  connection: PostgresConnection,
  shape: Shape,
  count: number,
  signal: AbortSignal,
): Promise<Bound[]> {
  if (count === 1) return [];
  const { schema, name } = shape.catalog;
  const first = columnOf(shape, shape.key[0]!);
  const rows = await connection.query(
    `SELECT concat(b.bound) AS bound
     FROM pg_stats s, unnest(s.histogram_bounds::text::${first.sql}[]) WITH ORDINALITY AS b(bound, position)
     WHERE s.schemaname = $1 AND s.tablename = $2 AND s.attname = $3 ORDER BY b.position`,
    [schema, name, first.name],
    signal,
    shape.catalog,
  );
  return quantiles(
    rows.map((row) => [row["bound"]!]),
    count,
  );
}

/**
 * Key columns that YugabyteDB shards by. `yb_table_properties()` says how many of the first ones; without this
 * function, the index says it. Empty: the table is not sharded by hash.
 */
export async function hashColumnsOf(
  connection: PostgresConnection,
  shape: Shape,
  server: Server,
  signal: AbortSignal,
): Promise<HashColumns> {
  if (!server.hashCode || shape.keyIsIndex || shape.catalog.partitioned) return [];
  const primary = shape.catalog.indexes.find((index) => index.primary);
  if (primary === undefined) return [];
  if (!server.tableProperties) return primary.columns.slice(0, primary.hashed);
  const { schema, name } = shape.catalog;
  const [row] = await connection.query(
    "SELECT num_hash_key_columns::text AS count FROM yb_table_properties($1::regclass)",
    [qualifiedName(schema, name)],
    signal,
    shape.catalog,
  );
  return primary.columns.slice(0, Number(row?.["count"] ?? 0));
}
