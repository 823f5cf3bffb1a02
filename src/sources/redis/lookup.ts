import type { Rows } from "../../protocol/rows.ts";
import type { Reading } from "../../protocol/source.ts";
import type { Table } from "../../protocol/table.ts";
import { Commands } from "../../wire/resp/commands.ts";
import { RespError } from "../../wire/resp/errors.ts";
import { replyKind } from "../../wire/resp/replies.ts";
import { cell, project } from "../../toolkit/vectors.ts";
import { type EntryKind, EntryRows } from "./entries/entries.ts";
import { globs } from "./scan/glob.ts";
import { keyOf } from "./expanded/key-pattern.ts";
import { isKeyKind, type KeyKind, type Kind } from "./kinds.ts";
import { isElsewhere, isGone } from "./errors.ts";
import { KeyReader } from "./keys/key-reader.ts";
import { keyRows } from "./keys/key-rows.ts";
import type { ReadContext } from "./read-context.ts";
import { KeyBatch } from "./scan/scan.ts";
import { bytesOf } from "./values/text.ts";
import { askKeys } from "./scan/walk-keys.ts";

/** Keys that are requested at the same time. */
const atOnce = 512;

/** Rows by key, as they are now. */
export function lookupRows(
  context: ReadContext,
  table: Table,
  kind: Kind,
  keys: Rows,
  how: Reading,
): AsyncGenerator<Rows> {
  return isKeyKind(kind) ? lookupKeys(context, table, kind, keys, how) : lookupEntries(context, table, kind, keys, how);
}

/** Reads rows of keys. A key that does not match `key_pattern` (any more) is not in the table, even if it exists. */
async function* lookupKeys(
  context: ReadContext,
  table: Table,
  kind: KeyKind,
  keys: Rows,
  how: Reading,
): AsyncGenerator<Rows> {
  const { pool, signal, configuration } = context;
  const columns = project(keys, table.key).values;
  const rows = keyRows(context, table, kind, "known columns", Date.now());
  const reader = new KeyReader(context, how.batchBytes);
  // An expanded table checks the form of its keys where rows are made.
  const belongs = kind.kind === "keys" ? globs(configuration.key_pattern) : () => true;
  const connection = await pool.take(signal);
  try {
    for (let first = 0; first < keys.length; first += atOnce) {
      const batch = new KeyBatch();
      for (let row = first; row < Math.min(keys.length, first + atOnce); row++) {
        const parts = columns.map((column) => bytesOf(Buffer.from(cell(column, row) as string)));
        const key = kind.kind === "keys" ? parts[0]! : keyOf(kind.expanded.parts, parts);
        if (belongs(key)) batch.add(key, 0, key.length);
      }
      for await (const read of reader.read(await askKeys(connection, batch, rows.questions, null), rows)) {
        if (read.kind === "rows") yield read.rows;
      }
    }
    if (rows.length > 0) yield rows.finish();
  } finally {
    pool.give(connection);
  }
}

/** Reads samples or stream entries of keys that match `key_pattern`. */
async function* lookupEntries(
  context: ReadContext,
  table: Table,
  kind: EntryKind,
  keys: Rows,
  how: Reading,
): AsyncGenerator<Rows> {
  const { pool, signal, configuration } = context;
  const belongs = globs(configuration.key_pattern);
  const columns = project(keys, table.key).values;
  const entries = new EntryRows(table, kind, table.columns);
  const connection = await pool.take(signal);
  try {
    for (let first = 0; first < keys.length; first += atOnce) {
      const commands = new Commands();
      const texts: Buffer[] = [];
      for (let row = first; row < Math.min(keys.length, first + atOnce); row++) {
        const cells = columns.map((column) => cell(column, row));
        const text = Buffer.from(cells[0] as string);
        const key = bytesOf(text);
        if (!belongs(key)) continue;
        const position = kind.one(cells);
        texts.push(text);
        commands.add(kind.command, key, position, position);
      }
      connection.send(commands);
      for (const text of texts) {
        while (!connection.complete()) await connection.more();
        const { replies } = connection;
        const error = replies.next() === replyKind.error ? new RespError(replies.text()) : null;
        if (error === null && replies.value > 0) entries.take(replies, text);
        connection.done();
        if (error !== null && !isGone(error) && !isElsewhere(error)) throw error;
        if (entries.rows.bytes >= how.batchBytes) yield entries.rows.finish();
      }
    }
    if (entries.rows.length > 0) yield entries.rows.finish();
  } finally {
    pool.give(connection);
  }
}
