import { HeadwatersError } from "../../protocol/errors.ts";
import type { Pass } from "../../protocol/pass.ts";
import type { Rows } from "../../protocol/rows.ts";
import type { Settlement, Transaction } from "../../protocol/transaction.ts";
import type { Reading } from "../../protocol/source.ts";
import type { Table } from "../../protocol/table.ts";
import { rowsBytes } from "../../toolkit/vectors.ts";
import { settingsOf } from "../connection.ts";
import type { SyncContext } from "./context.ts";
import { abandonPass } from "./passes.ts";
import type { Writer } from "./writer.ts";

/** Rows that a sweep may find missing or changed, and their part of the copy, before reading all is the shorter way. */
const mostLookups = { rows: 10_000, part: 0.25 };

/**
 * Prepares the closing of a pass over every key: rows that a sweep found missing or changed are read by key, and every
 * candidate for deletion is read once more. What is found is written; the destination's `close` deletes the rest.
 *
 * Resolves to `false` where a sweep found so much that a full pass is due instead: nothing was prepared then. Throws
 * `DELETES_STOPPED` before a wipe.
 */
export async function settle(pass: Pass, table: Table, how: Reading, context: SyncContext): Promise<boolean> {
  if (pass.kind !== "full" && pass.kind !== "keys") return true;
  const settlement = (): Promise<Settlement> =>
    context.writer.run(table.id, (transaction) => transaction.settlement(pass, table));
  const { missing, gone, live } = await settlement();
  if (pass.kind === "keys" && missing > mostLookups.rows && missing > live * mostLookups.part) return false;
  if (missing > 0) await copy((transaction) => transaction.missing(pass, table), pass, table, how, context);
  if (gone === 0) return true;
  if (table.key.length > 0 && !pass.replace)
    await copy((transaction) => transaction.gone(pass, table), pass, table, how, context);
  if (!context.flags.acceptDeletes) await checkDeleteLimit(await settlement(), pass, table, context);
  return true;
}

/** Looks keys up in the source and writes the rows that exist. */
async function copy(
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

/** Takes each batch inside the writer's turn: the destination does one thing at a time. */
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

async function checkDeleteLimit(
  { live, gone }: Settlement,
  pass: Pass,
  table: Table,
  { connection, writer }: SyncContext,
): Promise<void> {
  const most = settingsOf(connection, table.id).maxDeleteFraction;
  if (gone === 0 || (gone < live && gone <= live * most)) return;
  // It starts over: what was set aside must not be settled once the source has its rows again.
  await abandonPass(pass, table.id, writer);
  throw new HeadwatersError(
    "DELETES_STOPPED",
    gone === live
      ? `table "${table.id}": the source has none of the ${live} rows that the copy has; nothing was deleted`
      : `table "${table.id}": ${gone} of ${live} rows of the copy are no longer in the source, more than maxDeleteFraction (${most}) allows; nothing was deleted`,
    { hint: "If that is right, run sync with --accept-deletes; if not, look at the source and sync again." },
  );
}
