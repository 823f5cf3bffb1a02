import type { Operation } from "../../../protocol/operation.ts";
import type { PassKind } from "../../../protocol/pass.ts";
import type { Reading } from "../../../protocol/source.ts";
import type { Table } from "../../../protocol/table.ts";
import type { KeyKind } from "../kinds.ts";
import { keyRows } from "./key-rows.ts";
import type { ReadContext } from "../read-context.ts";
import { KeyReader } from "./key-reader.ts";
import { walkKeys } from "../scan/walk-keys.ts";
import { cursorJson, type ScanWork } from "../work.ts";

/** Keys that are read together: few if values are large, because a checkpoint can stand only between two batches. */
const [fewestKeys, mostKeys] = [16, 1_024];
/** Batches of keys with few rows, after which there is a checkpoint anyway. */
const quietBatches = 16;

/** Reads a table with one row per key: all columns, or only keys and versions. */
export async function* readKeys(
  context: ReadContext,
  table: Table,
  kind: KeyKind,
  pass: PassKind,
  work: ScanWork,
  cursor: string,
  now: number,
  how: Reading,
): AsyncGenerator<Operation> {
  const { pool, configuration, signal } = context;
  const operation = pass === "keys" ? "keys" : "upsert";
  const rows = keyRows(context, table, kind, pass === "keys" ? "keys" : "rows", now);
  const reader = new KeyReader(context, how.batchBytes);
  let [readKeys, readBytes, quiet] = [0, 0, 0];
  // At first, the size of the values is unknown.
  const atLeast = (): number =>
    readBytes === 0
      ? fewestKeys * 4
      : Math.min(mostKeys, Math.max(fewestKeys, Math.ceil((2 * how.batchBytes * readKeys) / readBytes)));
  const batch = { scanned: configuration.batch_size, atLeast };
  for await (const asked of walkKeys(pool, work, cursor, rows.questions, batch, signal)) {
    for await (const read of reader.read(asked, rows)) {
      if (read.kind === "schema") {
        yield read;
        continue;
      }
      yield { kind: operation, table: table.id, rows: read.rows };
    }
    readKeys += asked.keys.count;
    readBytes += reader.takeBytes();
    quiet += 1;
    if (asked.keys.cursor === null || (rows.bytes < how.batchBytes / 2 && quiet < quietBatches)) continue;
    quiet = 0;
    if (rows.length > 0) yield { kind: operation, table: table.id, rows: rows.finish() };
    yield { kind: "checkpoint", state: cursorJson(asked.keys.cursor) };
  }
  if (rows.length > 0) yield { kind: operation, table: table.id, rows: rows.finish() };
}
