import { isUtf8 } from "node:buffer";
import { ProtocolBroken } from "../../net/broken.ts";
import { HeadwatersError } from "../../protocol/errors.ts";
import type { Json } from "../../protocol/json.ts";
import type { Operation } from "../../protocol/operation.ts";
import type { PassKind } from "../../protocol/pass.ts";
import type { Rows } from "../../protocol/rows.ts";
import type { Reading, Selection, SourceContext } from "../../protocol/source.ts";
import type { Table } from "../../protocol/table.ts";
import { selects } from "../../toolkit/patterns.ts";
import { unite } from "../../toolkit/types.ts";
import type { Answer, ReqlConnection } from "../../wire/reql/connection.ts";
import { ParsedDocuments } from "../../wire/reql/parsed.ts";
import { Scanner } from "../../wire/reql/scanner.ts";
import { datum, lambda, type Term, term } from "../../wire/reql/terms.ts";
import { keysBetween, tableTerm } from "./catalog.ts";
import type { FieldNames } from "./documents/fields.ts";
import { type Condition, projected } from "./filter.ts";
import { DocumentRows, type RowsShape } from "./documents/rows.ts";
import { keyText } from "./keys.ts";
import { filtered, madeFields, notOlder, stretches, tellsMoment } from "./timestamps/timestamps.ts";
import { timestampOf, type Work } from "./work.ts";

/** What is needed to read the splits of a table. */
export interface TableReader {
  readonly connection: ReqlConnection;
  readonly database: string;
  readonly readMode: string;
  readonly names: FieldNames;
  readonly context: SourceContext;
  /** Only documents that meet this condition are read; `null`: all. */
  readonly filter: Condition | null;
  /** The columns that the user selected; `undefined`: all. */
  readonly columns: Selection | undefined;
  /** Called if documents need columns that the table did not have. */
  onWider(table: Table): void;
  /** Called for a whole number beyond 2^53, which RethinkDB has rounded. */
  onRounded(table: string, column: string): void;
}

/** Keys that one query looks up. */
export const keysAtOnce = 1_000;

/** By default the server waits for eight documents, even if the first one is huge. */
const batchOptions = { min_batch_rows: 1 } as const;

/**
 * Reads a split. The documents of a split by key come in the order of keys, so the split resumes after the last key.
 * The documents of a stretch of an index have no order, so such a split resumes from its start.
 */
export async function* readSplit(
  reader: TableReader,
  { kind, table, work }: { readonly kind: PassKind; readonly table: Table; readonly work: Work },
  state: Json,
  how: Reading,
): AsyncGenerator<Operation, void> {
  const query = work.index === null ? byKey(reader, kind, table, work, state) : byIndex(reader, table, work);
  const { skip } = work;
  yield* readDocuments(reader, { kind, table, skip, ordered: work.index === null }, query, how);
}

/** What {@link readDocuments} reads. */
interface Asked {
  readonly kind: PassKind;
  readonly table: Table;
  /** Fields whose columns are not selected. */
  readonly skip: readonly string[];
  /** Whether the documents come in the order of keys. Then each batch ends at a position. */
  readonly ordered: boolean;
}

/** Reads the documents of a query. Returns the table, with the columns that the documents needed. */
async function* readDocuments(
  reader: TableReader,
  { kind, table, skip, ordered }: Asked,
  query: Term,
  how: Reading,
  onKey: (key: Json) => void = () => {},
): AsyncGenerator<Operation, Table> {
  const key = table.key[0]!;
  const operation = kind === "keys" ? "keys" : "upsert";
  const rows = new DocumentRows(table, rowsShape(reader, table, kind === "keys" ? "keys" : "rows", skip));
  const documents = how.path === "independent" ? new ParsedDocuments() : new Scanner();
  for await (const answer of reader.connection.answers(query, batchOptions, how.signal)) {
    documents.load(checked(answer, table));
    while (documents.next()) {
      const wider = rows.append(documents);
      if (wider !== null) {
        if (mustRestart(kind, rows.table, wider, how)) throw restart(reader, rows, documents, wider);
        for (const batch of rows.finish()) yield { kind: operation, table: table.id, rows: batch };
        reader.onWider(wider);
        yield { kind: "schema", table: wider };
        rows.widen(wider);
        if (rows.append(documents) !== null) throw stillTooNarrow(table, key);
      }
      if (kind === "stream") onKey(rows.keyOf(documents));
      if (rows.bytes < how.batchBytes) continue;
      const position: Json = { after: rows.keyOf(documents) };
      for (const batch of rows.finish()) yield { kind: operation, table: table.id, rows: batch };
      if (ordered) yield { kind: "checkpoint", state: position };
      how.signal.throwIfAborted();
    }
  }
  for (const batch of rows.finish()) yield { kind: operation, table: table.id, rows: batch };
  return rows.table;
}

/** How documents become rows of a table. */
export function rowsShape(
  reader: TableReader,
  { id, cursor }: Table,
  what: RowsShape["what"],
  skip: readonly string[],
): RowsShape {
  const { names, context } = reader;
  const onRounded = (column: string): void => reader.onRounded(id, column);
  return { names, what, timestamp: timestampOf({ cursor }), isSkipped: skipping(reader, skip), context, onRounded };
}

/**
 * Looks up changed keys with read mode `majority`. Documents that exist are written; the rows of the other keys are deleted.
 * `state`: how many of the keys were looked up before.
 */
export async function* readChanged(
  reader: TableReader,
  table: Table,
  keys: readonly Json[],
  skip: readonly string[],
  state: Json,
  how: Reading,
): AsyncGenerator<Operation, void> {
  let current = table;
  for (let first = Number(state ?? 0); first < keys.length; first += keysAtOnce) {
    const some = keys.slice(first, first + keysAtOnce);
    const gone = new Map(some.map((key) => [keyText(key), key]));
    const query = byKeys(reader, table, some);
    current = yield* readDocuments(
      reader,
      { kind: "stream", table: current, skip, ordered: false },
      query,
      how,
      (key) => gone.delete(keyText(key)),
    );
    if (gone.size > 0) {
      for (const rows of keyRows(reader, current, [...gone.values()])) yield { kind: "delete", table: table.id, rows };
    }
    yield { kind: "checkpoint", state: first + some.length };
  }
}

/** Documents by key, with read mode `majority`. */
export function byKeys(reader: TableReader, table: Table, keys: readonly Json[]): Term {
  const from = tableTerm(reader.database, table.id, "majority");
  return chosen(reader, table, term("GET_ALL", [from, ...keys.map(datum)]));
}

/** Rows that have only the key. A key that does not fit the key column is left out: the copy has no row for it. */
function keyRows(reader: TableReader, table: Table, keys: readonly Json[]): readonly Rows[] {
  const [key] = table.key;
  const columns = table.columns.filter(({ name }) => name === key);
  const only = { ...table, columns, cursor: null, version: null };
  const rows = new DocumentRows(only, rowsShape(reader, only, "rows", []));
  const documents = new Scanner();
  documents.load(Buffer.from(JSON.stringify({ r: keys.map((value) => ({ [key!]: value })) })));
  while (documents.next()) {
    try {
      rows.append(documents);
    } catch (thrown) {
      if (!(thrown instanceof HeadwatersError) || thrown.code !== "TABLE_CHANGED") throw thrown;
    }
  }
  return rows.finish();
}

/**
 * In a DOUBLE column, a whole number of 32 bits becomes another text than in an INT column: `36.0`, not `36`. If such a
 * column turns out to hold text, a full pass starts over with a text column, so that all its numbers have one form.
 */
function mustRestart(kind: PassKind, before: Table, after: Table, how: Reading): boolean {
  if (kind !== "full" || how.path === "independent") return false;
  return before.columns.some(
    ({ type }, index) => type.kind === "DOUBLE" && after.columns[index]!.type.kind === "STRING",
  );
}

/** The error that makes the pass start over. The rest of the answer is examined first, because it may need more columns. */
function restart(
  reader: TableReader,
  rows: DocumentRows,
  documents: Scanner | ParsedDocuments,
  wider: Table,
): HeadwatersError {
  let all = wider;
  while (documents.next()) {
    const more = rows.append(documents);
    if (more !== null) all = unite(all, more);
  }
  reader.onWider(all);
  return new HeadwatersError("TABLE_CHANGED", `table "${wider.id}": a column of numbers holds other values as well`, {
    hint: "It is read again, with that column as text.",
  });
}

function byKey(reader: TableReader, kind: PassKind, table: Table, work: Work, state: Json): Term {
  const { low, high } = work.keys!;
  const after = (state as { readonly after: Json } | null)?.after ?? null;
  // A sweep deletes the rows that it does not find, so it reads what a majority agrees on.
  const from = tableTerm(reader.database, table.id, kind === "keys" ? "majority" : reader.readMode);
  const bounds = { low: after ?? low, lowOpen: after !== null, high };
  const timestamp = timestampOf(table);
  const documents = chosen(reader, table, keysBetween(from, table.key[0]!, bounds));
  if (kind === "keys") return keysOnly(documents, table, timestamp);
  return work.since === null ? documents : filtered(documents, notOlder(timestamp!, work.since));
}

/** The documents that the user's filter selects, with the fields that are copied. */
function chosen({ filter, columns }: TableReader, table: Table, documents: Term): Term {
  const timestamp = timestampOf(table);
  const kept = [...table.key, ...(timestamp === null ? [] : [timestamp])];
  return projected(filter === null ? documents : filtered(documents, filter), columns, kept);
}

/** Which fields are skipped: those known to be excluded, and excluded fields that were not seen before. */
function skipping({ columns }: TableReader, known: readonly string[]): (field: string) => boolean {
  const skipped = new Set(known);
  return (field) => skipped.has(field) || (columns !== undefined && !selects(columns, field));
}

/**
 * Keys and timestamps. If a document's timestamp does not say when the document changed, the whole document is read,
 * because its version is a digest.
 */
function keysOnly(documents: Term, table: Table, timestamp: string | null): Term {
  const key = table.key[0]!;
  if (table.version === null || timestamp === null) return term("PLUCK", [documents, key]);
  if (madeFields.has(timestamp)) return documents;
  const short = (document: Term): Term => term("PLUCK", [document, key, timestamp]);
  const choose = (document: Term): Term =>
    term("BRANCH", [tellsMoment(timestamp)(document), short(document), document]);
  return term("MAP", [documents, lambda(choose)]);
}

function byIndex(reader: TableReader, table: Table, { index, since }: Work): Term {
  const from = tableTerm(reader.database, table.id, reader.readMode);
  const { low, high, condition } = stretches(since!)[index!.stretch]!;
  const documents = chosen(reader, table, term("BETWEEN", [from, low, high], { index: index!.name }));
  if (condition === null) return documents;
  const field = timestampOf(table)!;
  return filtered(documents, (document) => condition(term("BRACKET", [document, field])));
}

/**
 * The text of an answer. Throws if the answer does not belong to a stream, since only the end of a stream may end a pass; or if
 * the text is not UTF-8, since it is passed on unchanged.
 */
export function checked({ type, text }: Answer, table: Table): Buffer {
  if (type !== 2 && type !== 3) throw new ProtocolBroken(`a stream is answered by one value (type ${type})`);
  if (isUtf8(text)) return text;
  throw new HeadwatersError(
    "VALUE_OUT_OF_RANGE",
    `table "${table.id}": the document of key ${damagedKey(text, table.key[0]!)} has text that is not UTF-8`,
    { hint: "Store such a value as binary; or leave the table out." },
  );
}

/** The key of the first document that is not UTF-8, as JSON. */
function damagedKey(text: Buffer, key: string): string {
  const documents = new Scanner();
  documents.load(text);
  while (documents.next()) {
    const document = text.subarray(documents.start, documents.end);
    if (!isUtf8(document)) return JSON.stringify((JSON.parse(document.toString()) as Record<string, Json>)[key]);
  }
  return "unknown";
}

function stillTooNarrow(table: Table, key: string): HeadwatersError {
  return new HeadwatersError("DEFECT", `table "${table.id}" (${key}): a document does not fit the columns made for it`);
}
