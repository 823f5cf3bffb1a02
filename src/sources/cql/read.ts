import type { Json } from "../../protocol/json.ts";
import type { Rows } from "../../protocol/rows.ts";
import { asksForLess, CqlServerError, serverErrors } from "../../wire/cql/server-error.ts";
import { greatestToken, leastToken } from "./splits.ts";
import type { Work } from "./work.ts";

/** A page that was received. */
interface FetchedPage {
  readonly rows: number;
  readonly bytes: number;
  /** Where the next page starts; `null`: the range is read to its end. */
  readonly next: Buffer | null;
  batches(): Iterable<Rows>;
  /** The token of the page's last row, once all batches were taken; `null`: unknown. */
  lastToken(): bigint | null;
}

/** Fetches one page of a statement for a range. */
export type FetchPage = (
  work: Work,
  page: { readonly rows: number; readonly state: Buffer | null; readonly batchBytes: number },
  signal: AbortSignal,
) => Promise<FetchedPage>;

/** The approximate length of rows, for all splits of one table: the mean of a page. Long rows count for a while. */
export interface RowSize {
  bytes: number | null;
}

export interface RangeReading {
  readonly fetch: FetchPage;
  readonly rowSize: RowSize;
  readonly mostPageRows: number;
  readonly batchBytes: number;
  /** Each partition is one row, so no partition is ever read in part. */
  readonly singleRows: boolean;
  readonly signal: AbortSignal;
}

/** Rows of the first page of a split: the rows of other splits do not predict the length of these. */
const firstPageRows = 100;
/** Pages grow step by step, because a page after small rows may hold large ones. */
const pageGrowth = 8;
/** Shorter rows lower the known length by this part of the difference; longer rows raise it at once. */
const sizeDecay = 1 / 8;
/** A range is halved at most this often at one place, down to a 4096th of it; then the error is thrown. */
const mostHalvings = 12;
/** Limits the size of states: a page state holds the last key, so it is as long as that key. */
const mostPageState = 2_000;

/** The place in a split: tokens above `from` up to `to`, at the page that follows a row with `token`. */
interface Position {
  readonly from: bigint;
  readonly to: bigint;
  readonly page: Buffer | null;
  /** `null`: no row of this range was received yet, or its token is unknown. */
  readonly token: bigint | null;
}

export type RangeStep =
  | { readonly kind: "rows"; readonly rows: Rows }
  | { readonly kind: "checkpoint"; readonly state: Json };

/**
 * Reads a split page by page; the next page is requested while one is decoded. If the server can't answer in time, it
 * is asked for less: shorter pages, and half of the range. The range grows back afterwards. A partition whose rows were
 * read in part is then read from its start, so only this part comes twice. If a checkpoint of an older release does not
 * say which partition that is, the range starts over.
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
    // The error is thrown when this page is awaited.
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
      // Pages without rows count too: a range of tombstones has no other pages.
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

/** The place after a page. After the last page of a part comes the next part, twice as large. `null`: all is read. */
function following(position: Position, page: FetchedPage, high: bigint): Position | null {
  if (page.next !== null) return { ...position, page: page.next };
  if (position.to === high) return null;
  const to = position.to + 2n * (position.to - position.from);
  return { from: position.to, to: to < high ? to : high, page: null, token: null };
}

/**
 * The lower half of the remaining range. It starts at the partition that was read in part (the one of the position's
 * token). A second time at the same partition, the range is this partition alone; after that only the pages get
 * shorter.
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

/** After an upgrade of the server or its protocol, an earlier page state may not be valid any more. */
function isPageStateRefused(thrown: unknown): boolean {
  if (!(thrown instanceof CqlServerError)) return false;
  const codes: readonly number[] = [serverErrors.protocol, serverErrors.invalid, serverErrors.server];
  return codes.includes(thrown.code) && /paging|page state|pagingstate/i.test(thrown.message);
}
