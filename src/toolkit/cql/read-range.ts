import type { Json } from "../../protocol/json.ts";
import type { Rows } from "../../protocol/rows.ts";
import { asksForLess, CqlServerError, serverErrors } from "./server-error.ts";
import { type CursorWindow, greatestToken, leastToken, type TokenRange } from "./splits.ts";

/** What a split reads: tokens, where the ring can be cut, and perhaps a part of the cursor's values. */
export interface RangeWork {
  readonly tokens: TokenRange | null;
  readonly window: CursorWindow | null;
}

export function rangeWorkJson({ tokens, window }: RangeWork): Json {
  return {
    tokens: tokens === null ? null : [tokens.low.toString(), tokens.high.toString()],
    window: window === null ? null : [window.low, window.high],
  };
}

export function parseRangeWork(json: Json): RangeWork {
  const { tokens, window } = json as { tokens: [string, string] | null; window: [number, number | null] | null };
  return {
    tokens: tokens === null ? null : { low: BigInt(tokens[0]), high: BigInt(tokens[1]) },
    window: window === null ? null : { low: window[0], high: window[1] },
  };
}

/** A page that has come. */
interface FetchedPage {
  readonly rows: number;
  readonly bytes: number;
  /** Where the next page goes on; `null`: the range is read. */
  readonly next: Buffer | null;
  batches(batchBytes: number): Generator<Rows>;
  /** The token of its last row; `null`: unknown. */
  lastToken(): bigint | null;
}

/** Fetches one page of a statement for a range. */
export type FetchPage = (
  work: RangeWork,
  page: { readonly rows: number; readonly state: Buffer | null },
  signal: AbortSignal,
) => Promise<FetchedPage>;

/** About how long rows are, for all splits of one table. */
export interface RowSize {
  bytes: number | null;
}

export interface RangeReading {
  readonly fetch: FetchPage;
  readonly rowSize: RowSize;
  readonly mostPageRows: number;
  readonly batchBytes: number;
  readonly signal: AbortSignal;
}

/** Rows of the first page of a table, before it is known how long they are. */
const firstPageRows = 100;
/** A page after small rows may hold large ones: it grows step by step. */
const pageGrowth = 8;
/** A range is halved so often at one place before the error is thrown: to the 4096th part of it. */
const mostHalvings = 12;
/** States are small: a page state holds the last key, and is as long as that. */
const mostPageState = 2_000;

/** Where a split is: within tokens above `from` up to `to`, at a page of them. */
interface Position {
  readonly from: bigint;
  readonly to: bigint;
  readonly page: Buffer | null;
}

export type RangeStep =
  | { readonly kind: "rows"; readonly rows: Rows }
  | { readonly kind: "checkpoint"; readonly state: Json };

/**
 * Reads a split page by page, the next page under way while one is decoded. Where the server can't answer in time, it
 * asks for less: shorter pages, and half of the range, whose size grows back after that. A partition whose rows were
 * read in part is then read from its start: no more of it than that comes twice.
 */
export async function* readRange(work: RangeWork, state: Json, reading: RangeReading): AsyncGenerator<RangeStep> {
  const whole = work.tokens ?? { low: leastToken, high: greatestToken };
  const abort = new AbortController();
  const signal = AbortSignal.any([reading.signal, abort.signal]);
  let position = parsePosition(state) ?? { from: whole.low, to: whole.high, page: null };
  let fromState = position.page !== null;
  let halvings = 0;
  let last: FetchedPage | null = null;
  let stuck: bigint | null = null;
  const fetch = (at: Position): Promise<FetchedPage> => {
    const tokens = work.tokens === null ? null : { low: at.from, high: at.to };
    const coming = reading.fetch(
      { ...work, tokens },
      { rows: pageRows(reading, last, halvings), state: at.page },
      signal,
    );
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
        if (fromState && isPageStateRefused(thrown)) position = { ...position, page: null };
        else if (!asksForLess(thrown) || halvings === mostHalvings) throw thrown;
        else {
          halvings += 1;
          const token = position.page === null ? null : (last?.lastToken() ?? null);
          if (work.tokens !== null) position = halved(position, token, token !== null && token === stuck);
          stuck = token;
        }
        fromState = false;
        last = null;
        coming = fetch(position);
        continue;
      }
      fromState = false;
      if (page.rows > 0) reading.rowSize.bytes = page.bytes / page.rows;
      const next = following(position, page, whole.high);
      last = page;
      if (page.rows > 0) halvings = Math.max(0, halvings - 1);
      if (next !== null) coming = fetch(next);
      for (const rows of page.batches(reading.batchBytes)) {
        yield { kind: "rows", rows };
        reading.signal.throwIfAborted();
      }
      if (next === null) return;
      if (next.page === null) last = null;
      position = next;
      if ((position.page?.length ?? 0) <= mostPageState) yield { kind: "checkpoint", state: positionJson(position) };
      reading.signal.throwIfAborted();
    }
  } finally {
    abort.abort(new Error("the reading was left"));
  }
}

function pageRows(
  { rowSize, batchBytes, mostPageRows }: RangeReading,
  last: FetchedPage | null,
  halvings: number,
): number {
  const known = rowSize.bytes === null ? firstPageRows : batchBytes / Math.max(1, rowSize.bytes);
  const grown = last === null || last.rows === 0 ? known : Math.min(known, last.rows * pageGrowth);
  return Math.max(1, Math.min(mostPageRows, Math.floor(grown / 2 ** halvings)));
}

/** After the last page of a part of the range comes the next part, twice as large. `null`: all is read. */
function following(position: Position, page: FetchedPage, high: bigint): Position | null {
  if (page.next !== null) return { ...position, page: page.next };
  if (position.to === high) return null;
  const to = position.to + 2n * (position.to - position.from);
  return { from: position.to, to: to < high ? to : high, page: null };
}

/**
 * The lower half of what is left, from the partition on that was read in part (that of `token`); a second time at the
 * same partition, that alone. Then only the pages become shorter.
 */
function halved(position: Position, token: bigint | null, again: boolean): Position {
  if (position.page !== null && token === null) return position;
  const from = token === null ? position.from : token - 1n;
  if (position.to - from <= 1n) return position;
  return { from, to: again ? from + 1n : from + (position.to - from) / 2n, page: null };
}

function positionJson({ from, to, page }: Position): Json {
  return { from: from.toString(), to: to.toString(), page: page === null ? null : page.toString("base64") };
}

function parsePosition(state: Json): Position | null {
  if (state === null) return null;
  const { from, to, page } = state as { from: string; to: string; page: string | null };
  return { from: BigInt(from), to: BigInt(to), page: page === null ? null : Buffer.from(page, "base64") };
}

/** After an upgrade of the server, or of its protocol, a page state of before may mean nothing any more. */
function isPageStateRefused(thrown: unknown): boolean {
  if (!(thrown instanceof CqlServerError)) return false;
  const codes: readonly number[] = [serverErrors.protocol, serverErrors.invalid, serverErrors.server];
  return codes.includes(thrown.code) && /paging|page state|pagingstate/i.test(thrown.message);
}
