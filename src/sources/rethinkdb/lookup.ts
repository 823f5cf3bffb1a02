import { HeadwatersError } from "../../protocol/errors.ts";
import type { Json } from "../../protocol/json.ts";
import type { Rows } from "../../protocol/rows.ts";
import type { Reading } from "../../protocol/source.ts";
import type { Table } from "../../protocol/table.ts";
import { Scanner } from "../../wire/reql/scanner.ts";
import { unite } from "../../toolkit/types.ts";
import { type Cell, cell, project } from "../../toolkit/vectors.ts";
import { byKeys, checked, keysAtOnce, rowsShape, type TableReader } from "./read.ts";
import { DocumentRows } from "./documents/rows.ts";
import { microsecondsOfText, timeTerm } from "./timestamps/timestamps.ts";

/**
 * Reads documents by key, as a majority has them. If documents need columns that the table does not have, the columns
 * are noted. Once all documents are read, `TABLE_CHANGED` is thrown, and the table is planned again with these columns.
 */
export async function* lookupRows(
  reader: TableReader,
  table: Table,
  keys: Rows,
  skipped: readonly string[],
  how: Reading,
): AsyncGenerator<Rows, void> {
  const type = table.columns.find(({ name }) => name === table.key[0])!.type.kind;
  const vector = project(keys, [table.key[0]!]).values[0]!;
  const rows = new DocumentRows(table, rowsShape(reader, table, "rows", skipped));
  const documents = new Scanner();
  let wider: Table | null = null;
  for (let first = 0; first < keys.length; first += keysAtOnce) {
    const wanted: Json[] = [];
    for (let row = first; row < Math.min(keys.length, first + keysAtOnce); row++)
      wanted.push(keyOf(cell(vector, row), type));
    const query = byKeys(reader, table, wanted);
    for await (const answer of reader.connection.answers(query, { min_batch_rows: 1 }, how.signal)) {
      documents.load(checked(answer, table));
      while (documents.next()) {
        const needed = rows.append(documents);
        if (needed !== null) wider = wider === null ? needed : unite(wider, needed);
        if (rows.bytes >= how.batchBytes) yield* rows.finish();
      }
    }
  }
  yield* rows.finish();
  if (wider === null) return;
  reader.onWider(wider);
  throw new HeadwatersError("TABLE_CHANGED", `table "${table.id}": documents have new fields`, {
    hint: "It is planned again, with columns for them.",
  });
}

type KeyKind = Table["columns"][number]["type"]["kind"];

/** A key in the server's type. The copy may hold it as text, if keys of the table once had another type. */
function keyOf(value: Cell, kind: KeyKind): Json {
  switch (kind) {
    case "BINARY":
      return { $reql_type$: "BINARY", data: Buffer.from(value as Uint8Array).toString("base64") };
    case "UTC_DATETIME":
      return timeTerm((typeof value === "string" ? microsecondsOfText(value)! : Number(value)) / 1_000);
    case "JSON":
      return JSON.parse(value as string) as Json;
    case "INT":
    case "DOUBLE":
      return Number(value);
    case "BOOLEAN":
      return value === true || value === "true";
    default:
      return value as string;
  }
}
