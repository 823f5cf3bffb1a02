import type { Operation } from "../../../protocol/operation.ts";
import type { PassKind } from "../../../protocol/pass.ts";
import type { Reading } from "../../../protocol/source.ts";
import type { Table } from "../../../protocol/table.ts";
import { ProtocolBroken } from "../../../net/broken.ts";
import { passColumns } from "../../../toolkit/passes.ts";
import { Commands } from "../../../wire/resp/commands.ts";
import type { RespConnection } from "../../../wire/resp/connection.ts";
import { replyKind } from "../../../wire/resp/replies.ts";
import { isGone } from "../errors.ts";
import { type EntryKind, EntryRows } from "./entries.ts";
import type { ReadContext } from "../read-context.ts";
import { Scanner } from "../scan/scan.ts";
import { takeError } from "../scan/take.ts";
import { cursorJson, type Work } from "../work.ts";
import { textOf } from "../values/text.ts";

/** Entries that are requested with one command. */
const pageEntries = 2_000;
/** Keys whose first pages are requested at the same time. */
const keysAtOnce = 16;

/** Reads samples of series or entries of streams: all, those of a window, or only their keys and versions. */
export async function* readEntries(
  context: ReadContext,
  table: Table,
  kind: EntryKind,
  pass: PassKind,
  work: Work,
  cursor: string,
  how: Reading,
): AsyncGenerator<Operation> {
  const entries = new EntryRows(table, kind, passColumns(table, pass));
  const operation = pass === "keys" ? "keys" : "upsert";
  const { pool, signal, configuration } = context;
  const scanConnection = await pool.take(signal);
  const connection = await pool.take(signal).catch((thrown: unknown) => {
    pool.give(scanConnection);
    throw thrown;
  });
  try {
    const scanner = new Scanner(scanConnection, work, cursor, configuration.batch_size);
    for (let batch = await scanner.next(keysAtOnce); batch !== null; batch = await scanner.next(keysAtOnce)) {
      for (let first = 0; first < batch.count; first += keysAtOnce) {
        const keys = Array.from({ length: Math.min(keysAtOnce, batch.count - first) }, (_, index) =>
          batch!.key(first + index),
        );
        for await (const _ of readPages(connection, kind, keys, work.from, entries)) {
          if (entries.rows.bytes >= how.batchBytes)
            yield { kind: operation, table: table.id, rows: entries.rows.finish() };
        }
      }
      if (batch.cursor === null || entries.rows.bytes < how.batchBytes / 2) continue;
      yield { kind: operation, table: table.id, rows: entries.rows.finish() };
      yield { kind: "checkpoint", state: cursorJson(batch.cursor) };
    }
    if (entries.rows.length > 0) yield { kind: operation, table: table.id, rows: entries.rows.finish() };
  } finally {
    pool.give(scanConnection);
    pool.give(connection);
  }
}

/** Reads all pages of keys into rows; yields wherever the caller may take these rows. */
async function* readPages(
  connection: RespConnection,
  kind: EntryKind,
  keys: readonly Buffer[],
  from: number | null,
  into: EntryRows,
): AsyncGenerator<void> {
  let open = keys.map((key) => ({ key, text: Buffer.from(textOf(key)), start: kind.first(from) }));
  while (open.length > 0) {
    const commands = new Commands();
    for (const { key, start } of open) commands.add(kind.command, key, start, "+", "COUNT", String(pageEntries));
    connection.send(commands);
    const more: typeof open = [];
    for (const { key, text, start } of open) {
      while (!connection.complete()) await connection.more();
      const { replies } = connection;
      const reply = replies.next();
      if (reply === replyKind.error) {
        const error = takeError(connection, kind.command);
        if (!isGone(error)) throw error;
        continue;
      }
      if (reply !== replyKind.array) throw new ProtocolBroken(`the answer to ${kind.command} is no array`);
      const length = replies.value;
      let last = start;
      for (let left = length; left > 0; left--) last = into.take(replies, text);
      connection.done();
      if (length === pageEntries) more.push({ key, text, start: kind.after(last) });
      yield;
    }
    open = more;
  }
}
