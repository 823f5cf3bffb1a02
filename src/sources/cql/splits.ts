/** Tokens of Murmur3Partitioner: above the least, which no row has, up to the greatest. */
export const leastToken = -(2n ** 63n);
export const greatestToken = 2n ** 63n - 1n;
const ringSize = 2n ** 64n;

/** Tokens above `low`, up to `high`. */
export interface TokenRange {
  readonly low: bigint;
  readonly high: bigint;
}

/** A node's estimate of the size of a part of the ring. */
export interface SizeEstimate {
  /** As in `system.size_estimates`: above `start`, up to `end`. The range may wrap around the end of the ring. */
  readonly start: bigint;
  readonly end: bigint;
  readonly partitions: number;
  readonly meanPartitionBytes: number;
}

/** The approximate size of a table. */
export interface TableSize {
  readonly partitions: number;
  readonly bytes: number;
}

/**
 * Scales estimates of some nodes' ranges up to the whole ring. `null` if there are no estimates: servers make them
 * every five minutes from what was flushed to disk, and some servers have none.
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

/** A split takes about a minute, so little is lost if it must be read again. */
const splitPartitions = 50_000;
const splitBytes = 32 << 20;
const unknownSplits = 32;
/** Limits the splits, because passes are stored with all of them. */
const mostSplits = 4_096;

/** The number of splits for a table. */
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
 * Cuts the ring into about `count` ranges. If there are fewer owners' ranges than splits, no split crosses a boundary
 * between two owners. Otherwise each split is a group of whole neighbouring ranges.
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

/** Random order, so that neighbouring ranges, which one node owns, are not read at the same time. */
export function shuffled<Item>(items: readonly Item[], random: () => number = Math.random): Item[] {
  const all = [...items];
  for (let last = all.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    [all[last], all[other]] = [all[other]!, all[last]!];
  }
  return all;
}

/** A range of the cursor's values, in milliseconds since 1970: from `low` on, and below `high` unless it is `null`. */
export interface CursorWindow {
  readonly low: number;
  readonly high: number | null;
}

/** Cuts the time after `low` into windows of `hours`, at most `most` of them. The last window has no end. */
export function cutWindow(low: number, now: number, hours: number | null, most: number): CursorWindow[] {
  if (hours === null) return [{ low, high: null }];
  const size = Math.max(hours * 3_600_000, Math.ceil((now - low) / most));
  const windows: CursorWindow[] = [];
  let from = low;
  for (; from + size < now; from += size) windows.push({ low: from, high: from + size });
  return [...windows, { low: from, high: null }];
}
