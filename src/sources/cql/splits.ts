/** Tokens of Murmur3Partitioner: above the least, which no row has, up to the greatest. */
export const leastToken = -(2n ** 63n);
export const greatestToken = 2n ** 63n - 1n;
const ringSize = 2n ** 64n;

/** Tokens above `low`, up to `high`. */
export interface TokenRange {
  readonly low: bigint;
  readonly high: bigint;
}

/** What a part of the ring holds, as a node estimates it. */
export interface SizeEstimate {
  /** As in `system.size_estimates`: above `start`, up to `end`, perhaps over the end of the ring. */
  readonly start: bigint;
  readonly end: bigint;
  readonly partitions: number;
  readonly meanPartitionBytes: number;
}

/** About what a table holds. */
export interface TableSize {
  readonly partitions: number;
  readonly bytes: number;
}

/**
 * From the ranges of some nodes to the whole ring. `null` where they say nothing: the estimates are made every five
 * minutes, of what was flushed to disk, and some servers have none.
 */
export function estimateSize(estimates: readonly SizeEstimate[]): TableSize | null {
  let [width, partitions, bytes] = [0, 0, 0];
  for (const estimate of estimates) {
    width += Number(BigInt.asUintN(64, estimate.end - estimate.start) || ringSize);
    partitions += estimate.partitions;
    bytes += estimate.partitions * estimate.meanPartitionBytes;
  }
  if (width === 0 || partitions === 0) return null;
  const scale = Math.max(1, Number(ringSize) / width);
  return { partitions: Math.round(partitions * scale), bytes: Math.round(bytes * scale) };
}

/** A split that a minute reads, and that is a small part of what is lost when it must be read again. */
const splitPartitions = 50_000;
const splitBytes = 32 << 20;
const unknownSplits = 32;
/** Passes are stored with all their splits. */
const mostSplits = 4_096;

/** How many splits a table is cut into. */
export function splitCount(size: TableSize | null): number {
  if (size === null) return unknownSplits;
  const wanted = Math.max(
    size.partitions / splitPartitions,
    size.bytes / splitBytes,
    size.partitions < 10_000 ? 4 : 16,
  );
  return Math.min(mostSplits, Math.ceil(wanted));
}

/**
 * Cuts the ring into about `count` ranges, none of which crosses a boundary between two owners where there are fewer
 * owners' ranges than splits; else whole neighbouring ones are taken together.
 */
export function cutRing(boundaries: readonly bigint[], count: number): TokenRange[] {
  const inner = [...new Set(boundaries)].filter((token) => token > leastToken && token < greatestToken);
  const edges = [leastToken, ...inner.sort((a, b) => (a < b ? -1 : 1)), greatestToken];
  const owned = edges.slice(1).map((high, index) => ({ low: edges[index]!, high }));
  if (owned.length >= count) return grouped(owned, count);
  return owned.flatMap((range) => {
    const parts = Math.max(1, Math.round((Number(range.high - range.low) / Number(ringSize)) * count));
    return cutRange(range, parts);
  });
}

function grouped(ranges: readonly TokenRange[], count: number): TokenRange[] {
  return Array.from({ length: count }, (_, index) => ({
    low: ranges[Math.floor((index * ranges.length) / count)]!.low,
    high: ranges[Math.floor(((index + 1) * ranges.length) / count) - 1]!.high,
  }));
}

function cutRange({ low, high }: TokenRange, parts: number): TokenRange[] {
  const edge = (index: number): bigint => low + ((high - low) * BigInt(index)) / BigInt(parts);
  return Array.from({ length: parts }, (_, index) => ({ low: edge(index), high: edge(index + 1) }));
}

/** In any order, so that neighbours, which one node owns, are not read at the same time. */
export function shuffled<Item>(items: readonly Item[], random: () => number = Math.random): Item[] {
  const all = [...items];
  for (let last = all.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    [all[last], all[other]] = [all[other]!, all[last]!];
  }
  return all;
}

/** A part of the cursor's values: from `low` on, and below `high` where there is one. Milliseconds since 1970. */
export interface CursorWindow {
  readonly low: number;
  readonly high: number | null;
}

/** Cuts what lies after `low` into parts of `hours`, at most `most` of them; the last has no end. */
export function cutWindow(low: number, now: number, hours: number | null, most: number): CursorWindow[] {
  if (hours === null) return [{ low, high: null }];
  const size = Math.max(hours * 3_600_000, Math.ceil((now - low) / most));
  const windows: CursorWindow[] = [];
  let from = low;
  for (; from + size < now; from += size) windows.push({ low: from, high: from + size });
  return [...windows, { low: from, high: null }];
}
