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
import type { Writer } from "./writer.ts";

/** If a sweep finds more rows missing or changed than this, in number and as a part of the copy, a full pass is faster. */
const mostLookups = { rows: 10_000, part: 0.25 };

/**
 * How a pass over every key goes on. `close`: it can be closed. `reread`: nothing was done, because a sweep found so much
 * that a full pass is faster. Otherwise it can be closed with these deletes held back.
 */
export type Settled = "close" | "reread" | HeldDeletes;

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
  if (pass.kind !== "full" && pass.kind !== "keys") return "close";
  const settlement = (): Promise<Settlement> =>
    context.writer.run(table.id, (transaction) => transaction.settlement(pass, table));
  const copyRows = pass.copyRows ?? (await context.writer.run(table.id, (transaction) => transaction.count(table)));
  const { missing, gone, empty } = await settlement();
  if (pass.kind === "keys" && missing > mostLookups.rows && missing > copyRows * mostLookups.part) return "reread";
  if (missing > 0) await lookUp((transaction) => transaction.missing(pass, table), pass, table, how, context);
  if (gone === 0) return "close";
  const looksUp = table.key.length > 0 && !pass.replace;
  if (looksUp) await lookUp((transaction) => transaction.gone(pass, table), pass, table, how, context);
  if (context.flags.acceptDeletes) return "close";
  const left = looksUp ? (await settlement()).gone : gone;
  const of = Math.min(copyRows, state?.held?.of ?? copyRows);
  const most = settingsOf(context.connection, table.id).maxDeleteFraction;
  const held = { gone: left, of };
  if (left === 0 || most === 1 || (!empty && !exceeds(held, most))) return "close";
  return held;
}

/** Looks keys up in the source and writes the rows that exist. */
async function lookUp(
  keys: (transaction: Transaction) => AsyncIterable<Rows>,
  pass: Pass,
  table: Table,
  how: Reading,
  context: SyncContext,
): Promise<void> {
  const { connection, writer, statistics, report } = context;
  for await (const batch of oneByOne(keys, table, writer)) {
    for await (const rows of connection.source.lookup(table, batch, how)) {
      const bytes = rowsBytes(rows);
      statistics.get(table.id)!.addRead(rows.length, bytes);
      report({ kind: "read", table: table.id, rows: rows.length, bytes, splitsDone: pass.splits.length });
      await writer.run(table.id, async (transaction) =>
        transaction.write(pass, null, { kind: "upsert", table: table.id, rows }),
      );
    }
    how.signal.throwIfAborted();
  }
}

/** Takes each batch when it is the writer's turn: the destination does one thing at a time. */
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
    hint: "If that is right, run sync with --accept-deletes; otherwise check the source and sync again.",
  });
}
