import { HeadwatersError } from "../../protocol/errors.ts";
import type { Table } from "../../protocol/table.ts";
import type { Row, Session, Slicing, Target } from "../sql/dialect.ts";
import { chunkRows } from "./fill.ts";
import { longestRow, placesOf, type Range, sampled, slices, tail, totalBytes } from "./places.ts";

/** The bytes that a part of a table holds. */
const partBytes = 16 << 20;
/** If a table takes less than this even if all rows are as long as its longest, no rows are sampled. */
const fewBytes = 512 << 20;
/** If `chunkRows` rows take less than this, every statement may read them at once. */
const shortBytes = 16 << 20;
/** The bytes of a block of DuckDB. */
const blockBytes = 256 << 10;
/** More runs of places than this make a condition that takes too long to evaluate. */
const mostRuns = 1_000;

/**
 * The part of `memory_limit` that the values of {@link chunkRows} rows may take. (Seen in DuckDB 1.5.5: with 88 % and more
 * a checkpoint fails, and with it every later statement.)
 */
const safePart = 0.85;

/**
 * Keeps statements over long values within `memory_limit`. DuckDB works on {@link chunkRows} rows at a time, whatever
 * their size, and reads the long values of all of them. It reads fewer only if constants bound the place of a row.
 * (Measured, 2,500 rows of 40 KiB: the sum of their lengths takes 173 MiB; that of 40 rows by place takes 3.)
 *
 * Only tables of a DuckDB file are cut: rows of a lake have no places.
 */
export class Sizes implements Slicing {
  /** `null`: tables are not cut. */
  readonly #memoryLimit: string | null;
  /** The bytes that `chunkRows` rows of a table may take. */
  readonly #safeBytes: number;
  /** By table, as far as it is known: whether all of its rows are short. */
  readonly #short = new Map<string, boolean>();
  /** By table with rows too long for a full chunk: at most so many bytes are in its last rows. */
  readonly #lastBytes = new Map<string, number>();

  constructor(memoryLimit: string | null) {
    this.#memoryLimit = memoryLimit;
    this.#safeBytes = memoryLimit === null ? Infinity : bytesOf(memoryLimit) * safePart;
  }

  created(relation: string): void {
    this.#short.set(relation, true);
    this.#lastBytes.delete(relation);
  }

  async parts(session: Session, relation: string, columns: readonly Target[]): Promise<readonly string[]> {
    const size = sizeOf(columns);
    if (this.#memoryLimit === null || size === null || this.#short.get(relation) === true) return [relation];
    const longest = await longestRow(session, relation, longColumns(columns));
    if (longest === null || longest * chunkRows > shortBytes) {
      const places = await placesOf(session, relation);
      const rows = places.reduce((sum, { from, to }) => sum + Number(to - from) + 1, 0);
      // Nothing long was loaded in this process, as far as `short` says.
      const enough = this.#short.has(relation) ? null : shortBytes / chunkRows;
      const regions =
        longest !== null && rows * longest <= fewBytes
          ? places.map((range) => ({ ...range, rowBytes: longest }))
          : await sampled(session, relation, places, size, enough);
      if (regions.some(({ rowBytes }) => rowBytes * chunkRows > shortBytes)) {
        const ranges = slices(regions, partBytes);
        return ranges.length === 1 ? [relation] : ranges.map((range) => within(relation, [range]));
      }
    }
    this.#short.set(relation, true);
    return [relation];
  }

  async pick(session: Session, relation: string, which: string): Promise<string> {
    const rows = await session.rows(`SELECT t.rowid AS place FROM ${relation} t ${which} ORDER BY place`);
    const runs = runsOf(rows);
    return runs.length > mostRuns ? `(SELECT t.* FROM ${relation} t ${which})` : within(relation, runs);
  }

  async moved(session: Session, table: Table, from: string, into: string, columns: readonly Target[]): Promise<void> {
    if (this.#memoryLimit === null || this.#short.get(from) === true) return;
    this.#short.set(into, false);
    const size = sizeOf(columns);
    if (size === null) return;
    const regions = await sampled(session, into, await placesOf(session, into), size, Infinity);
    if (regions.some(({ rowBytes }) => rowBytes * chunkRows > this.#safeBytes))
      await this.#measure(session, table, into, columns);
  }

  /** Must be called after rows of so many bytes were loaded into a table. Throws as `moved` does. */
  async loaded(
    session: Session,
    table: Table,
    into: { readonly relation: string; readonly columns: readonly Target[]; readonly isTemporary: boolean },
    { rows, bytes }: { readonly rows: number; readonly bytes: number },
  ): Promise<void> {
    if (this.#memoryLimit === null) return;
    const { relation, columns, isTemporary } = into;
    const rowBytes = bytes / rows;
    const chunkBytes = rowBytes * chunkRows;
    if (chunkBytes > shortBytes) this.#short.set(relation, false);
    // Whoever loads into a temporary table has also created it.
    else if (isTemporary && !this.#short.has(relation)) this.#short.set(relation, true);
    // A block may be half empty.
    if (isTemporary || chunkBytes * 2 <= this.#safeBytes) return;
    const last = (this.#lastBytes.get(relation) ?? Infinity) + bytes * (rowBytes > blockBytes ? 1 : 2);
    if (last <= this.#safeBytes) this.#lastBytes.set(relation, last);
    else await this.#measure(session, table, relation, columns);
  }

  /** Throws if the last rows of a table are too long: DuckDB could not write its log into the file any more. */
  async #measure(session: Session, table: Table, relation: string, columns: readonly Target[]): Promise<void> {
    const last = tail(await placesOf(session, relation), chunkRows);
    const { rows, bytes } = await totalBytes(session, relation, last, sizeOf(columns)!);
    if (bytes <= this.#safeBytes) return void this.#lastBytes.set(relation, bytes);
    const enough = Math.ceil(((bytes / rows) * chunkRows * 2) / 100_000_000) * 100;
    throw new HeadwatersError(
      "DESTINATION_UNUSABLE",
      `table "${table.id}": memory_limit: ${this.#memoryLimit} is not enough for rows that take ${Math.round(bytes / rows / 1_000)} KB each, because DuckDB stores ${chunkRows} rows at a time`,
      { hint: `Set memory_limit to ${enough}MB, and sync again. The other tables are not affected.` },
    );
  }
}

/** The columns that may hold long values. */
function longColumns(columns: readonly Target[]): readonly Target[] {
  return columns.filter(({ type: { kind } }) => ["BINARY", "STRING", "XML", "JSON"].includes(kind));
}

/** The bytes of a row's long values in memory; `null`: the table has no column that could hold one. */
function sizeOf(columns: readonly Target[]): string | null {
  const sizes = longColumns(columns).map(({ sql, type: { kind } }) => {
    const length = kind === "BINARY" ? `octet_length(${sql})` : `strlen(CAST(${sql} AS VARCHAR))`;
    return `coalesce(${inBlocks(length)}, 0)`;
  });
  return sizes.length === 0 ? null : sizes.join(" + ");
}

/** The bytes of a value in memory. No value begins in one block of DuckDB and ends in another. */
function inBlocks(length: string): string {
  return `CASE WHEN ${length} BETWEEN 4096 AND ${blockBytes} THEN ${blockBytes} / (${blockBytes} // ${length}) ELSE ${length} END`;
}

/** The rows of a table at these places. */
function within(relation: string, ranges: readonly Range[]): string {
  const list = ranges.map(({ from, to }) => `(rowid >= ${from} AND rowid <= ${to})`).join(" OR ") || "false";
  return `(SELECT *, rowid FROM ${relation} WHERE ${list})`;
}

function runsOf(rows: readonly Row[]): readonly Range[] {
  const runs: { from: bigint; to: bigint }[] = [];
  for (const row of rows) {
    const place = BigInt(row["place"] as string | number | bigint);
    const run = runs.at(-1);
    if (run?.to === place - 1n) run.to = place;
    else runs.push({ from: place, to: place });
  }
  return runs;
}

const units: Readonly<Record<string, number>> = { K: 1, M: 2, G: 3, T: 4 };

/** A size as DuckDB reads it: `MB` is 10⁶ bytes, and `MiB` is 2²⁰. */
function bytesOf(size: string): number {
  const [, number, unit, binary] = /^([\d.]+)\s*([KMGT])(i?)B$/i.exec(size)!;
  return Number(number) * (binary === "" ? 1_000 : 1_024) ** units[unit!.toUpperCase()]!;
}
