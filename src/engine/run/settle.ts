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

/** If a sweep finds more rows missing or changed than this, in number and as a part of the copy, a full pass is faster. */
const mostLookups = { rows: 10_000, part: 0.25 };

/**
 * Prepares the closing of a pass over every key. Rows that a sweep found missing or changed are looked up by key, and so
 * is every candidate for deletion. Rows that exist are written; the destination's `close` deletes the rest.
 *
 * Resolves to `false`, without having done anything, if a sweep found so much that a full pass is faster. Throws
 * `DELETES_STOPPED` if more would be deleted than the delete limit allows.
 */
export async function settle(pass: Pass, table: Table, how: Reading, context: SyncContext): Promise<boolean> {
  if (pass.kind !== "full" && pass.kind !== "keys") return true;
  const settlement = (): Promise<Settlement> =>
    context.writer.run(table.id, (transaction) => transaction.settlement(pass, table));
  const { missing, gone, live } = await settlement();
  if (pass.kind === "keys" && missing > mostLookups.rows && missing > live * mostLookups.part) return false;
  if (missing > 0) await lookUp((transaction) => transaction.missing(pass, table), pass, table, how, context);
  if (gone === 0) return true;
  if (table.key.length > 0 && !pass.replace)
    await lookUp((transaction) => transaction.gone(pass, table), pass, table, how, context);
  if (!context.flags.acceptDeletes) await checkDeleteLimit(await settlement(), pass, table, context);
  return true;
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

async function checkDeleteLimit(
  { live, gone }: Settlement,
  pass: Pass,
  table: Table,
  { connection, writer }: SyncContext,
): Promise<void> {
  const most = settingsOf(connection, table.id).maxDeleteFraction;
  if (gone === 0 || (gone < live && gone <= live * most)) return;
  // The pass starts over: what it set aside must not be settled once the source has its rows again.
  await abandonPass(pass, table.id, writer);
  throw new HeadwatersError(
    "DELETES_STOPPED",
    gone === live
      ? `table "${table.id}": the source has none of the ${live} rows that the copy has; nothing was deleted`
      : `table "${table.id}": ${gone} of ${live} rows of the copy are no longer in the source, more than maxDeleteFraction (${most}) allows; nothing was deleted`,
    { hint: "If that is right, run sync with --accept-deletes; otherwise check the source and sync again." },
  );
}
