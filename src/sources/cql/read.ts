import type { Json } from "../../protocol/json.ts";
import type { Rows } from "../../protocol/rows.ts";
import { asksForLess, CqlServerError, serverErrors } from "../../wire/cql/server-error.ts";
import { greatestToken, leastToken } from "./splits.ts";
import type { Work } from "./work.ts";

/** A page that has come. */
interface FetchedPage {
  readonly rows: number;
  readonly bytes: number;
  /** Where the next page goes on; `null`: the range is read. */
  readonly next: Buffer | null;
  batches(): Iterable<Rows>;
  /** The token of its last row, once all batches were taken; `null`: unknown. */
  lastToken(): bigint | null;
}

/** Fetches one page of a statement for a range. */
export type FetchPage = (
  work: Work,
  page: { readonly rows: number; readonly state: Buffer | null; readonly batchBytes: number },
  signal: AbortSignal,
) => Promise<FetchedPage>;

/** About how long rows are, for all splits of one table: the mean of a page, of the longest ones for a while. */
export interface RowSize {
  bytes: number | null;
}

export interface RangeReading {
  readonly fetch: FetchPage;
  readonly rowSize: RowSize;
  readonly mostPageRows: number;
  readonly batchBytes: number;
  /** A partition is one row: one that was read is whole. */
  readonly singleRows: boolean;
  readonly signal: AbortSignal;
}

/** Rows of the first page of a split: what other splits have says nothing of how long these are. */
const firstPageRows = 100;
/** A page after small rows may hold large ones: it grows step by step. */
const pageGrowth = 8;
/** By which part of the difference shorter rows lower what is known of their length; longer ones raise it at once. */
const sizeDecay = 1 / 8;
/** A range is halved so often at one place before the error is thrown: to the 4096th part of it. */
const mostHalvings = 12;
/** States are small: a page state holds the last key, and is as long as that. */
const mostPageState = 2_000;

/** Where a split is: within tokens above `from` up to `to`, at a page of them that follows a row of `token`. */
interface Position {
  readonly from: bigint;
  readonly to: bigint;
  readonly page: Buffer | null;
  /** `null`: no row of this range came yet, or it is not known which one. */
  readonly token: bigint | null;
}

export type RangeStep =
  | { readonly kind: "rows"; readonly rows: Rows }
  | { readonly kind: "checkpoint"; readonly state: Json };

/**
 * Reads a split page by page, the next page under way while one is decoded. Where the server can't answer in time, it
 * asks for less: shorter pages, and half of the range, whose size grows back after that. A partition whose rows were
 * read in part is then read from its start: no more of it than that comes twice. Where a checkpoint of an older release
 * does not tell which partition that is, the range begins again.
 */
export async function* readRange(work: Work, state: Json, reading: RangeReading): AsyncGenerator<RangeStep> {
  const whole = work.tokens ?? { low: leastToken, high: greatestToken };
  const abort = new AbortController();
  const signal = AbortSignal.any([reading.signal, abort.signal]);
  let position = parsePosition(state) ?? { from: whole.low, to: whole.high, page: null, token: null };
  let fromState = position.page !== null;
  let halvings = 0;
  let mostRows = firstPageRows;
  let stuck: bigint | null = null;
  const fetch = (at: Position): Promise<FetchedPage> => {
    const tokens = work.tokens === null ? null : { low: at.from, high: at.to };
    const rows = pageRows(reading, mostRows, halvings);
    const coming = reading.fetch({ ...work, tokens }, { rows, state: at.page, batchBytes: reading.batchBytes }, signal);
    // Its error is thrown when its turn comes.
    coming.catch(() => {});
    return coming;
  };
  try {
    let coming = fetch(position);
    for (;;) {
      let page: FetchedPage;
      try {
        page = await coming;
      } catch (thrown) {
        reading.signal.throwIfAborted();
        if (fromState && isPageStateRefused(thrown)) position = { ...position, page: null, token: null };
        else if (!asksForLess(thrown) || halvings === mostHalvings) throw thrown;
        else {
          halvings += 1;
          const { token } = position;
          if (work.tokens !== null) position = halved(position, token !== null && token === stuck, reading.singleRows);
          stuck = token;
        }
        fromState = false;
        coming = fetch(position);
        continue;
      }
      fromState = false;
      learnSize(reading.rowSize, page);
      const next = following(position, page, whole.high);
      // Also of a page without rows: where there is nothing but tombstones no other comes.
      halvings = Math.max(0, halvings - 1);
      mostRows = Math.min(reading.mostPageRows, mostRows * pageGrowth);
      if (next !== null) coming = fetch(next);
      for (const rows of page.batches()) {
        yield { kind: "rows", rows };
        reading.signal.throwIfAborted();
      }
      if (next === null) return;
      position = next.page === null ? next : { ...next, token: page.lastToken() ?? position.token };
      if ((position.page?.length ?? 0) <= mostPageState) yield { kind: "checkpoint", state: positionJson(position) };
      reading.signal.throwIfAborted();
    }
  } finally {
    abort.abort(new Error("the reading was left"));
  }
}

function learnSize(rowSize: RowSize, { rows, bytes }: FetchedPage): void {
  if (rows === 0) return;
  const mean = bytes / rows;
  const known = rowSize.bytes ?? mean;
  rowSize.bytes = Math.max(mean, known + (mean - known) * sizeDecay);
}

function pageRows({ rowSize, batchBytes, mostPageRows }: RangeReading, mostRows: number, halvings: number): number {
  const known = rowSize.bytes === null ? firstPageRows : batchBytes / Math.max(1, rowSize.bytes);
  return Math.max(1, Math.min(mostPageRows, Math.floor(Math.min(known, mostRows) / 2 ** halvings)));
}

/** After the last page of a part of the range comes the next part, twice as large. `null`: all is read. */
function following(position: Position, page: FetchedPage, high: bigint): Position | null {
  if (page.next !== null) return { ...position, page: page.next };
  if (position.to === high) return null;
  const to = position.to + 2n * (position.to - position.from);
  return { from: position.to, to: to < high ? to : high, page: null, token: null };
}

/**
 * The lower half of what is left, from the partition on that was read in part (that of the position's token); a second
 * time at the same partition, that alone. Then only the pages become shorter.
 */
function halved(position: Position, again: boolean, singleRows: boolean): Position {
  const { from: low, to, token } = position;
  const from = token === null ? low : singleRows ? token : token - 1n;
  if (to - from <= 1n) return position;
  return { from, to: again ? from + 1n : from + (to - from) / 2n, page: null, token: null };
}

function positionJson({ from, to, page, token }: Position): Json {
  return {
    from: from.toString(),
    to: to.toString(),
    page: page === null ? null : page.toString("base64"),
    token: token === null ? null : token.toString(),
  };
}

function parsePosition(state: Json): Position | null {
  if (state === null) return null;
  const { from, to, page, token } = state as { from: string; to: string; page: string | null; token?: string | null };
  return {
    from: BigInt(from),
    to: BigInt(to),
    page: page === null ? null : Buffer.from(page, "base64"),
    token: token === undefined || token === null ? null : BigInt(token),
  };
}

/** After an upgrade of the server, or of its protocol, a page state of before may mean nothing any more. */
function isPageStateRefused(thrown: unknown): boolean {
  if (!(thrown instanceof CqlServerError)) return false;
  const codes: readonly number[] = [serverErrors.protocol, serverErrors.invalid, serverErrors.server];
  return codes.includes(thrown.code) && /paging|page state|pagingstate/i.test(thrown.message);
}
