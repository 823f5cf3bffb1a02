import { createHash } from "node:crypto";
import type { Operation } from "../../../protocol/operation.ts";
import type { Reading } from "../../../protocol/source.ts";
import type { Table } from "../../../protocol/table.ts";
import { Commands } from "../../../wire/resp/commands.ts";
import type { RespConnection } from "../../../wire/resp/connection.ts";
import { RespError } from "../../../wire/resp/errors.ts";
import type { ReplyValue } from "../../../wire/resp/replies.ts";
import { appendCell, type Cell, cell, RowsBuilder, VectorBuilder } from "../../../toolkit/vectors.ts";
import { canonicalJson } from "../values/canonical-json.ts";
import { documentMembers } from "../expanded/document.ts";
import { isWrongType } from "../errors.ts";
import type { Expanded } from "../expanded/expanded.ts";
import { fieldTypes } from "../expanded/field-values.ts";
import { matchKey } from "../expanded/key-pattern.ts";
import type { KeyKind } from "../kinds.ts";
import { Members } from "../values/members.ts";
import { microsecondsOf } from "../values/moments.ts";
import { failureOf, tooLarge } from "./key-reader.ts";
import { keyRows } from "./key-rows.ts";
import type { ReadContext } from "../read-context.ts";
import { Scanner } from "../scan/scan.ts";
import { cursorJson, type ScanWork } from "../work.ts";
import { shortestNumber } from "../values/shortest-number.ts";
import { textOf } from "../values/text.ts";
import { type NativeType, nativeType } from "../types.ts";
import { versionColumn } from "../values/version-column.ts";

const keysAtOnce = 100;
const most = 2_147_483_647;

/** The command that reads a whole value, by type; DUMP reads all other types. */
const commands: Readonly<Record<string, (key: Buffer) => readonly [string, ...(string | Buffer)[]]>> = {
  string: (key) => ["GET", key],
  hash: (key) => ["HGETALL", key],
  list: (key) => ["LRANGE", key, "0", "-1"],
  set: (key) => ["SMEMBERS", key],
  zset: (key) => ["ZRANGE", key, "0", "-1", "WITHSCORES"],
  json: (key) => ["JSON.GET", key],
};

/** A key as JavaScript values. */
interface Found {
  readonly key: Buffer;
  readonly type: NativeType;
  readonly ttl: number;
  readonly expires: number;
  /** One piece for a string, a document or a dump; otherwise members, alternating with values or scores. */
  readonly pieces: readonly Buffer[];
  /** Why the key can't be read. */
  readonly failure: string | null;
}

/**
 * Reads keys as one would by hand: whole values with one command each (HGETALL, SMEMBERS, …), as JavaScript values, put
 * in order and written by JavaScript's own JSON. For `verify`, which must not trust the decoder that it checks.
 */
export async function* readKeysIndependently(
  context: ReadContext,
  table: Table,
  kind: KeyKind,
  work: ScanWork,
  cursor: string,
  now: number,
  how: Reading,
): AsyncGenerator<Operation> {
  const { pool, signal, configuration } = context;
  const { questions } = keyRows(context, table, kind, "known columns", now);
  let current = table;
  let rows = new RowsBuilder(table.columns);
  const connection = await pool.take(signal);
  try {
    const scanner = new Scanner(connection, work, cursor, configuration.batch_size);
    for (let batch = await scanner.next(keysAtOnce); batch !== null; batch = await scanner.next(keysAtOnce)) {
      const keys = Array.from({ length: batch.count }, (_, index) => Buffer.from(batch!.key(index)));
      for await (const found of readWhole(connection, keys, questions.wants, context)) {
        const made =
          kind.kind === "keys"
            ? { table: current, cells: keyCells(found, context, now) }
            : fieldCells(found, current, kind.expanded);
        if (made === null) continue;
        const { cells } = made;
        if (made.table !== current) {
          if (rows.length > 0) yield { kind: "upsert", table: table.id, rows: rows.finish() };
          current = made.table;
          rows = new RowsBuilder(current.columns);
          yield { kind: "schema", table: current };
        }
        current.columns.forEach(({ name }, column) => appendCell(rows.builders[column]!, cells[name] ?? null));
        if (rows.bytes >= how.batchBytes) yield { kind: "upsert", table: table.id, rows: rows.finish() };
      }
      if (batch.cursor === null || rows.bytes < how.batchBytes / 2) continue;
      yield { kind: "upsert", table: table.id, rows: rows.finish() };
      yield { kind: "checkpoint", state: cursorJson(batch.cursor) };
    }
    if (rows.length > 0) yield { kind: "upsert", table: table.id, rows: rows.finish() };
  } finally {
    pool.give(connection);
  }
}

/** Keys that exist and are wanted. Only one value is in memory at a time. */
async function* readWhole(
  connection: RespConnection,
  keys: readonly Buffer[],
  wants: (type: NativeType) => boolean,
  context: ReadContext,
): AsyncGenerator<Found> {
  const { expires_at: expiresAt, max_value_bytes: most } = context.configuration;
  const questions = new Commands();
  for (const key of keys) {
    questions.add("TYPE", key);
    questions.add("PTTL", key);
    if (expiresAt) questions.add("PEXPIRETIME", key);
  }
  connection.send(questions);
  const wanted: Found[] = [];
  for (const key of keys) {
    const type = nativeType(String(await answer(connection)));
    const ttl = Number(await answer(connection));
    const expires = expiresAt ? Number(await answer(connection)) : -1;
    if (type !== null && wants(type)) wanted.push({ key, type, ttl, expires, pieces: [], failure: null });
  }
  const values = new Commands();
  for (const { key, type } of wanted) values.add(...(commands[type.dataType]?.(key) ?? ["DUMP", key]));
  connection.send(values);
  const changed: Buffer[] = [];
  for (const found of wanted) {
    const reply = await connection.reply();
    if (reply instanceof RespError) {
      // The value changed its type in between, so it is read once more.
      if (isWrongType(reply)) changed.push(found.key);
      else yield { ...found, failure: failureOf(reply) };
      continue;
    }
    const pieces = (Array.isArray(reply) ? reply : [reply]) as readonly (Buffer | null)[];
    if (pieces.length === 0 || pieces[0] === null) continue;
    const bytes = pieces.reduce((sum, piece) => sum + piece!.length, 0);
    const failure = bytes > most ? tooLarge(most) : null;
    yield { ...found, pieces: pieces as readonly Buffer[], failure };
  }
  if (changed.length > 0) yield* readWhole(connection, changed, wants, context);
}

async function answer(connection: RespConnection): Promise<ReplyValue> {
  const reply = await connection.reply();
  if (reply instanceof RespError) throw reply;
  return reply;
}

function keyCells(found: Found, { configuration }: ReadContext, now: number): Record<string, Cell> {
  const { key, ttl, expires, failure } = found;
  const { value, size } =
    failure === null ? valueOf(found, configuration.binary) : { value: `Error: ${failure}`, size: 0 };
  const dataType = failure === null ? found.type.dataType : "error";
  const prefix = failure === null && configuration.expires_at ? `${dataType} ${expires}` : dataType;
  return {
    key: textOf(key),
    value: typeof value === "string" ? value : null,
    value_binary: typeof value === "string" ? null : value,
    data_type: dataType,
    ttl: failure === null ? (ttl < 0 ? ttl : Math.min(most, Math.floor((ttl + 500) / 1_000))) : -2,
    expires_at: failure === null && expires >= 0 ? microsecondsOf(BigInt(expires)) : null,
    last_modified: BigInt(now) * 1_000n,
    size,
    [versionColumn.name]: createHash("md5").update(`${prefix}\0`).update(value).digest(),
  };
}

function valueOf({ type, pieces }: Found, binary: "base64" | "column"): { value: string | Buffer; size: number } {
  const [first] = pieces as readonly [Buffer];
  const texts = pieces.map(textOf);
  const everyOther = (from: number): string[] => texts.filter((_, index) => index % 2 === from);
  switch (type.dataType) {
    case "string": {
      const marked = binary === "column" && texts[0] !== first.toString();
      return { value: marked ? first : texts[0]!, size: first.length };
    }
    case "list":
      return { value: JSON.stringify(texts), size: texts.length };
    case "set":
      return { value: JSON.stringify(pieces.toSorted(Buffer.compare).map(textOf)), size: texts.length };
    case "hash": {
      const names = pieces.filter((_, index) => index % 2 === 0);
      const order = names.map((_, index) => index).toSorted((a, b) => Buffer.compare(names[a]!, names[b]!));
      const members = order.map((at) => `${JSON.stringify(texts[at * 2])}:${JSON.stringify(texts[at * 2 + 1])}`);
      return { value: `{${members.join(",")}}`, size: names.length };
    }
    case "zset": {
      const scores = everyOther(1).map((score) =>
        Number.isFinite(Number(score)) ? shortestNumber(Number(score)) : JSON.stringify(score),
      );
      const pairs = everyOther(0).map((member, index) => `[${JSON.stringify(member)},${scores[index]}]`);
      return { value: `[${pairs.join(",")}]`, size: pairs.length };
    }
    case "json":
      return { value: canonicalJson(first.toString()), size: first.length };
    default:
      return { value: binary === "column" ? first : `base64:${first.toString("base64")}`, size: first.length };
  }
}

/** A row of an expanded table, and the table with the row's columns; `null`: the key is not of the table's form. */
function fieldCells(
  found: Found,
  known: Table,
  expanded: Expanded,
): { readonly table: Table; readonly cells: Record<string, Cell> } | null {
  const { key, type, failure } = found;
  if (failure !== null) throw new RespError(failure);
  const positions = matchKey(expanded.parts, key, 0, key.length);
  if (positions === null) return null;
  const fields = new Map<string, Buffer>();
  if (type.dataType === "json") {
    const [source, made] = [new Members(), new Members()];
    source.gather(1);
    source.copy(found.pieces[0]!, 0, found.pieces[0]!.length);
    documentMembers(source, expanded, made);
    for (let piece = 0; piece < made.pieces; piece += 2)
      fields.set(made.piece(piece).toString(), Buffer.from(made.piece(piece + 1)));
  } else if (type.dataType === "hash") {
    found.pieces.forEach((piece, index) => index % 2 === 0 && fields.set(textOf(piece), found.pieces[index + 1]!));
  } else fields.set("value", found.pieces[0]!);
  const table = expanded.open ? withColumns(known, expanded, [...fields.keys()], type) : known;
  const cells: Record<string, Cell> = {};
  const hash = createHash("md5").update(`${type.dataType}\0`);
  for (const column of table.columns.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const part = expanded.keyColumns.indexOf(column.name);
    const value = fields.get(expanded.fieldOf(column.name));
    if (part >= 0) cells[column.name] = textOf(Buffer.from(key.subarray(positions[part * 2], positions[part * 2 + 1])));
    else if (value !== undefined && column.name !== versionColumn.name) {
      hash.update(`${column.name}\0${value.length}\0`).update(value);
      cells[column.name] = column.type.kind === "STRING" ? textOf(value) : typedCell(column.type, value);
    }
  }
  cells[versionColumn.name] = hash.digest();
  return { table, cells };
}

/** The table with a column for each field that the user selected; the same table if it has them all. */
function withColumns(table: Table, expanded: Expanded, fields: readonly string[], type: NativeType): Table {
  const missing = fields
    .map((field) => expanded.column(field, type))
    .filter(({ name }) => expanded.isChosen(name) && !table.columns.some((column) => column.name === name));
  return missing.length === 0 ? table : { ...table, columns: [...table.columns, ...missing] };
}

function typedCell(type: Table["columns"][number]["type"], value: Buffer): Cell {
  const builder = new VectorBuilder(type);
  if (!fieldTypes[type.kind]!(builder, value, 0, value.length)) return null;
  return cell(builder.finish(), 0);
}
