import { HeadwatersError } from "../../protocol/errors.ts";
import type { Pass } from "../../protocol/pass.ts";
import type { Rows } from "../../protocol/rows.ts";
import type { Settlement, Transaction } from "../../protocol/transaction.ts";
import type { Reading } from "../../protocol/source.ts";
import type { HeldDeletes, Table, TableState } from "../../protocol/table.ts";
import { rowsBytes } from "../../toolkit/vectors.ts";
import { settingsOf } from "../connection.ts";
import { exceeds } from "../plan/decide.ts";
import type { SyncContext } from "./context.ts";
import { keyTexts, sweepAgain } from "./second-sweep.ts";
import type { Writer } from "./writer.ts";

/** If a sweep finds more rows missing or changed than this, in number and as a part of the copy, a full pass is faster. */
const mostLookups = { rows: 10_000, part: 0.25 };

/** The most keys that a look-up may leave unmet: they are held in memory. */
const mostUnmet = 100_000;

/** How a pass over every key goes on. */
export interface Settled {
  /**
   * `reread`: the table must be read whole instead, because a sweep found so much that a full pass is faster, or sees rows
   * that are not met by their keys. Otherwise the pass can be closed: with the deletes that the destination finds, with
   * none, or with these held back.
   */
  readonly how: "reread" | "find" | "none" | HeldDeletes;
  /**
   * The pass as it is closed. It no longer gives each key once if look-ups found rows: `'1 mon'` is met by `'30 days'`,
   * which the pass has read already.
   */
  readonly pass: Pass;
}

/**
 * Prepares the closing of a pass over every key. Rows that a sweep found missing or changed are looked up by key, and so
 * is every candidate for deletion. Rows that exist are written; the destination's `close` deletes the rest.
 */
export async function settle(
  pass: Pass,
  table: Table,
  state: TableState | null,
  how: Reading,
  context: SyncContext,
): Promise<Settled> {
  const asRead = (how: Settled["how"]): Settled => ({ how, pass });
  if (pass.kind !== "full" && pass.kind !== "keys") return asRead("none");
  const settlement = (): Promise<Settlement> =>
    context.writer.run(table.id, (transaction) => transaction.settlement(pass, table));
  const first = await settlement();
  const { missing, gone, empty } = first;
  const looksUp = table.key.length > 0 && !pass.replace;
  // Without keys the number of rows does not show which ones differ.
  const whole = asRead(looksUp ? "none" : "find");
  if (missing === 0 && gone === 0) return whole;
  const copyRows = pass.copyRows ?? (await context.writer.run(table.id, (transaction) => transaction.count(table)));
  if (pass.kind === "keys" && missing > mostLookups.rows && missing > copyRows * mostLookups.part)
    return asRead("reread");
  if (missing > 0 && !(await lookUpMissing(pass, table, how, context))) return asRead("reread");
  if (gone === 0) return whole;
  let found = 0;
  if (looksUp) {
    const candidates = oneByOne((transaction) => transaction.gone(pass, table), table, context.writer);
    const confirming: Reading = { ...how, confirms: true };
    for await (const batch of candidates)
      await lookUp(batch, pass, table, confirming, context, ({ length }) => (found += length));
  }
  const { distinct: _, ...repeating } = pass;
  const settled = (how: Settled["how"]): Settled => ({ how, pass: found > 0 ? repeating : pass });
  const { acceptDeletes } = context.flags;
  if (acceptDeletes === true) return settled("find");
  // Expired rows count on neither side of the limit.
  const { gone: left, expired = 0 } = looksUp ? await settlement() : first;
  const of = Math.min(copyRows - expired, state?.held?.of ?? copyRows);
  const most = settingsOf(context.connection, table.id).maxDeleteFraction;
  const held = { gone: left - expired, of };
  const agreed = acceptDeletes !== false && held.gone <= acceptDeletes;
  if (held.gone === 0 || most === 1 || agreed || (!empty && !exceeds(held, most))) return settled("find");
  return settled(held);
}

/**
 * Looks up what a sweep found. A key that is not found was deleted since, or the look-up can't see its row; only another
 * sweep shows which. If it sees the key, the key is looked up once more, for the row may have been inserted again.
 * Resolves to `false` if sweeps see a key that look-ups don't.
 */
async function lookUpMissing(pass: Pass, table: Table, how: Reading, context: SyncContext): Promise<boolean> {
  const unmet = new Set<string>();
  for await (const batch of oneByOne((transaction) => transaction.missing(pass, table), table, context.writer)) {
    for (const key of await unmetOf(batch, pass, table, how, context)) unmet.add(key);
    if (unmet.size > mostUnmet) return false;
  }
  if (unmet.size === 0) return true;
  const seen = await sweepAgain(unmet, pass, table, how, context);
  const unseen = seen.length === 0 ? [] : await unmetOf(seen, pass, table, how, context);
  if (unseen.length === 0) return true;
  context.connection.log.warn(
    `table "${table.id}": a sweep sees ${unseen.length} rows that are not found by their keys, such as ${unseen[0]!.slice(0, 200)}; all rows are read instead`,
  );
  return false;
}

/** Looks keys up like {@link lookUp}. Resolves to those that were not found. */
async function unmetOf(
  keys: Rows,
  pass: Pass,
  table: Table,
  how: Reading,
  context: SyncContext,
): Promise<readonly string[]> {
  const left = new Set(keyTexts(keys, table));
  await lookUp(keys, pass, table, how, context, (rows) => {
    for (const key of keyTexts(rows, table)) left.delete(key);
  });
  return [...left];
}

/** Looks keys up in the source and writes the rows that exist. */
async function lookUp(
  keys: Rows,
  pass: Pass,
  table: Table,
  how: Reading,
  { connection, writer, statistics, report }: SyncContext,
  onMet: (rows: Rows) => void,
): Promise<void> {
  for await (const rows of connection.source.lookup(table, keys, how)) {
    const bytes = rowsBytes(rows);
    onMet(rows);
    statistics.get(table.id)!.addRead(rows.length, bytes);
    report({ kind: "read", table: table.id, rows: rows.length, bytes, splitsDone: pass.splits.length });
    await writer.run(table.id, async (transaction) =>
      transaction.write(pass, null, { kind: "upsert", table: table.id, rows }),
    );
  }
  how.signal.throwIfAborted();
}

/** Writes each batch when the writer is free: the destination does one thing at a time. */
async function* oneByOne(
  keys: (transaction: Transaction) => AsyncIterable<Rows>,
  table: Table,
  writer: Writer,
): AsyncGenerator<Rows> {
  let iterator: AsyncIterator<Rows> | undefined;
  try {
    for (;;) {
      const next = await writer.run(table.id, async (transaction) => {
        iterator ??= keys(transaction)[Symbol.asyncIterator]();
        return iterator.next();
      });
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    await writer.run(table.id, async () => iterator?.return?.(undefined));
  }
}

export function deletesStopped(id: string, { gone, of }: HeldDeletes, most: number): HeadwatersError {
  const found =
    gone >= of
      ? `the source has none of the ${of} rows that the copy had`
      : `${gone} of ${of} rows of the copy are no longer in the source, more than maxDeleteFraction (${most}) allows`;
  return new HeadwatersError("DELETES_STOPPED", `table "${id}": ${found}; nothing was deleted`, {
    hint: "If that is right, run sync with --accept-deletes. Otherwise check the source and sync again.",
  });
}
