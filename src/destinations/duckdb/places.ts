import type { Session, Target } from "../sql/dialect.ts";

/** Rows that a transaction has not committed yet have their places from here on (DuckDB's `MAX_ROW_ID`). */
const firstUncommitted = 36_028_797_018_960_000n;

/** Rows of a table, by their places (`rowid`), from the first to the last. */
export interface Range {
  readonly from: bigint;
  readonly to: bigint;
}

/** A range whose rows take about `rowBytes` each. */
interface Region extends Range {
  readonly rowBytes: number;
}

/**
 * The most bytes that the long values of a row take, by DuckDB's statistics, which also count rows that are gone; `null`:
 * they don't tell. `columns`: those that may hold long values. Reads no value.
 */
export async function longestRow(
  session: Session,
  relation: string,
  columns: readonly Target[],
): Promise<number | null> {
  const stats = columns.map(({ sql }, place) => `stats(${sql}) AS c${place}`).join(", ");
  const [row] = await session.rows(`SELECT ${stats} FROM ${relation} LIMIT 1`);
  let bytes = 0;
  for (const text of Object.values(row ?? {})) {
    // While the table has uncommitted rows, it says "?".
    const found = /Max String Length: (\d+)/.exec(String(text));
    if (found === null) return null;
    bytes += Number(found[1]);
  }
  return bytes;
}

/** The places of a table's committed rows, and those of the others; as far as there are any. Reads no value. */
export async function placesOf(session: Session, relation: string): Promise<readonly Range[]> {
  const [row] = await session.rows(
    `SELECT min(rowid) AS first, max(rowid) AS last, max(rowid) FILTER (rowid < ${firstUncommitted}) AS committed
      FROM ${relation}`,
  );
  const number = (name: string): bigint | null => (row![name] === null ? null : BigInt(row![name] as bigint));
  const [first, committed, last] = [number("first"), number("committed"), number("last")];
  const ranges: Range[] = [];
  if (committed !== null) ranges.push({ from: first!, to: committed });
  if (last !== null && last >= firstUncommitted) ranges.push({ from: firstUncommitted, to: last });
  return ranges;
}

/** The number of regions of a range. */
const regionsOf = 16n;

/**
 * Cuts ranges into regions, and estimates their rows by one at both ends of each. `size`: the bytes of a row. If a row in
 * the middle of every range has less than `enough` bytes, and nothing else is known, the ranges are not cut.
 */
export async function sampled(
  session: Session,
  relation: string,
  ranges: readonly Range[],
  size: string,
  enough: number | null,
): Promise<readonly Region[]> {
  // One by one: where DuckDB can't read single values, each statement reads thousands.
  const bytesAt = (place: bigint): Promise<number> =>
    session.number(
      `SELECT coalesce(max(${size}), 0)::DOUBLE AS bytes FROM ${relation} WHERE rowid >= ${place} AND rowid <= ${place}`,
    );
  if (enough !== null) {
    const regions: Region[] = [];
    for (const range of ranges) regions.push({ ...range, rowBytes: await bytesAt((range.from + range.to) / 2n) });
    if (regions.every(({ rowBytes }) => rowBytes < enough)) return regions;
  }
  const regions: Region[] = [];
  for (const { from, to } of ranges) {
    const rows = to - from + 1n;
    const count = rows < regionsOf ? rows : regionsOf;
    let start = from;
    let bytes = await bytesAt(from);
    for (let index = 1n; index <= count; index++) {
      const next = from + (rows * index) / count;
      const nextBytes = await bytesAt(next > to ? to : next);
      regions.push({ from: start, to: next - 1n, rowBytes: (bytes + nextBytes) / 2 });
      [start, bytes] = [next, nextBytes];
    }
  }
  return regions;
}

/** Cuts regions into ranges that hold about so many bytes each. */
export function slices(regions: readonly Region[], bytes: number): readonly Range[] {
  const cut: Range[] = [];
  let from: bigint | null = null;
  let held = 0;
  let end = 0n;
  for (const region of regions) {
    // Uncommitted places do not follow the others.
    if (from !== null && region.from !== end + 1n) {
      cut.push({ from, to: end });
      [from, held] = [null, 0];
    }
    for (let at = region.from; at <= region.to; at = end + 1n) {
      from ??= at;
      const room = Math.max(1, Math.floor((bytes - held) / Math.max(1, region.rowBytes)));
      const rows = Math.min(room, Number(region.to - at) + 1);
      end = at + BigInt(rows) - 1n;
      held += rows * region.rowBytes;
      if (rows < room) continue;
      cut.push({ from, to: end });
      [from, held] = [null, 0];
    }
  }
  if (from !== null) cut.push({ from, to: end });
  return cut;
}

/** The last so many places. */
export function tail(ranges: readonly Range[], rows: number): readonly Range[] {
  const last: Range[] = [];
  let left = BigInt(rows);
  for (const { from, to } of ranges.toReversed()) {
    const start = to - left + 1n > from ? to - left + 1n : from;
    if (left > 0n) last.push({ from: start, to });
    left -= to - start + 1n;
  }
  return last;
}

/** Few enough that their long values fit into memory at once. */
const rowsAtOnce = 16n;

/** The exact number and bytes of the rows in these ranges. */
export async function totalBytes(
  session: Session,
  relation: string,
  ranges: readonly Range[],
  size: string,
): Promise<{ readonly rows: number; readonly bytes: number }> {
  const total = { rows: 0, bytes: 0 };
  for (const { from, to } of ranges) {
    for (let at = from; at <= to; at += rowsAtOnce) {
      const end = at + rowsAtOnce - 1n < to ? at + rowsAtOnce - 1n : to;
      const [row] = await session.rows(
        `SELECT count(*) AS n, coalesce(sum(${size}), 0)::DOUBLE AS bytes FROM ${relation} WHERE rowid >= ${at} AND rowid <= ${end}`,
      );
      total.rows += Number(row!["n"]);
      total.bytes += Number(row!["bytes"]);
    }
  }
  return total;
}
