import { createHash } from "node:crypto";
import { nativeCode } from "../../net/errors.ts";
import type { Pool } from "../../net/pool.ts";
import { HeadwatersError } from "../../protocol/errors.ts";
import type { Json } from "../../protocol/json.ts";
import type { Operation } from "../../protocol/operation.ts";
import type { PassKind } from "../../protocol/pass.ts";
import type { Reading } from "../../protocol/source.ts";
import type { Table } from "../../protocol/table.ts";
import { passColumns } from "../../toolkit/passes.ts";
import type { PostgresConnection } from "../../wire/postgres/connection.ts";
import { BinaryRows } from "../../wire/postgres/copy-binary.ts";
import { escapeLiteral } from "../../wire/postgres/literals.ts";
import { TextRows } from "../../wire/postgres/text-decode.ts";
import { type Batch, Result } from "./statement/result.ts";
import { type HashColumns, partOf, selectSql, termsOf } from "./statement/select.ts";
import type { Server } from "./server.ts";
import { relationOf } from "./catalog/catalog.ts";
import type { Shape } from "./catalog/shape.ts";
import { frameOf, type Snapshot, type Snapshots } from "./snapshot/snapshots.ts";
import { type Position, positionOf, type Work } from "./work.ts";

/** What is needed to read a split. */
export interface SplitReader {
  readonly pool: Pool<PostgresConnection>;
  readonly snapshots: Snapshots;
  readonly server: Server;
  readonly shape: Shape;
  readonly hashColumns: HashColumns;
  /** Staleness of follower reads, in milliseconds; `null`: leaders are read. */
  readonly staleness: number | null;
  readonly way: "copy" | "cursor";
  readonly fetchRows: number;
}

/** One split of a pass, with its parts parsed. */
export interface SplitOf {
  readonly id: string;
  readonly kind: PassKind;
  readonly table: Table;
  readonly work: Work;
  readonly snapshot: Snapshot;
  /** The digest of `CatalogTable.storage` when the pass was planned. */
  readonly storage: string;
}

/** Rows of the first FETCH, when the width of rows is not yet known. */
const firstFetch = 16;

/** Reads a split from a position on. If the order has positions, a checkpoint follows every batch. */
export async function* readSplit(
  reader: SplitReader,
  split: SplitOf,
  state: Json,
  how: Reading,
): AsyncGenerator<Operation, void> {
  const { table, work } = split;
  const kind = split.kind === "keys" ? "keys" : "upsert";
  let position = positionOf(state);
  for (;;) {
    const part = partOf(work, position);
    let rows = 0;
    try {
      for await (const batch of readPart(reader, split, position, how)) {
        rows += batch.rows.length;
        yield { kind, table: table.id, rows: batch.rows };
        if (work.order === "none") continue;
        position = { ...position, after: batch.last, from: null };
        yield { kind: "checkpoint", state: { ...position } };
      }
    } catch (thrown) {
      position = halved(thrown, work, position);
      continue;
    }
    if (part.limit !== null && rows >= part.limit) continue;
    if (part.next === null) break;
    position = { ...position, after: null, from: part.next };
  }
  await reader.snapshots.finished(split.snapshot, split.id);
}

/** Halves a part that takes too long, so that it is tried again. A part that can't be halved fails. */
function halved(thrown: unknown, work: Work, position: Position): Position {
  const span = Math.floor((position.span ?? work.span) / 2);
  const tooLong = thrown instanceof HeadwatersError && thrown.code === "READ_TIMEOUT";
  if (!tooLong || work.order === "none" || span < 1) throw thrown;
  return { ...position, span };
}

/** One statement in a transaction of its own. */
async function* readPart(
  reader: SplitReader,
  split: SplitOf,
  position: Position,
  how: Reading,
): AsyncGenerator<Batch, void> {
  const { pool, shape, hashColumns, server } = reader;
  const { work, table } = split;
  const { signal } = how;
  const terms = termsOf(work.order, shape, hashColumns, work.window?.column ?? null);
  const result = new Result(shape, passColumns(table, split.kind), terms);
  const sql = selectSql(shape, work, terms, position, partOf(work, position), result.expressions);
  const connection = await pool.acquire(signal);
  const seen = snapshotFor(reader, split, how);
  const frame = frameOf(seen, reader.staleness);
  const begin = `${frame.begin}; ${plannerSql(server, work)}${lookSql(reader, split, result)}`;
  const copies = reader.way === "copy" && how.path === "fast";
  // A snapshot of another session may be gone, which only a statement of its own tells from other errors.
  const atOnce = copies && seen.mode !== "exported";
  const check = (rows: readonly (readonly (string | null)[])[]): void => checkStorage(rows, split);
  let clean = false;
  try {
    if (!atOnce) check(await beginSplit(connection, reader, split, begin, signal));
    try {
      if (atOnce) yield* copyRows(connection, sql, shape, result, how, { begin, end: frame.end, check });
      else if (copies) yield* copyRows(connection, sql, shape, result, how);
      else yield* cursorRows(connection, sql, shape, result, how, reader.fetchRows);
    } catch (thrown) {
      await loseIfTooOld(reader, split, thrown);
      // In an ordered read, the rows before a timeout are complete.
      const whole = thrown instanceof HeadwatersError && thrown.code === "READ_TIMEOUT" && work.order !== "none";
      if (whole && result.length > 0) yield result.finish();
      throw thrown;
    }
    signal.throwIfAborted();
    if (!atOnce) await connection.simple(frame.end, signal, shape.catalog);
    clean = true;
  } finally {
    if (!clean && frame.sticky) connection.destroy();
    await pool.release(connection);
  }
}

/**
 * The snapshot of the pass. If that snapshot is lost, a read in the order of values goes on under a snapshot of its
 * own: the next window starts before the pass, so it reads again what changed meanwhile. A row's place in the file
 * means nothing in another snapshot.
 */
function snapshotFor({ snapshots }: SplitReader, { snapshot, work, table }: SplitOf, { elsewhere }: Reading): Snapshot {
  if (snapshots.holds(snapshot, elsewhere === true)) return snapshot;
  if (work.order !== "ctid") return { mode: "none" };
  throw new HeadwatersError("TABLE_CHANGED", `table "${table.id}": the snapshot in which it was read is gone`, {
    hint: "The session that kept it was closed. The table is planned again.",
  });
}

/** Opens the transaction. Resolves to the rows of {@link lookSql}. */
async function beginSplit(
  connection: PostgresConnection,
  { shape, snapshots }: SplitReader,
  { snapshot, table }: SplitOf,
  begin: string,
  signal: AbortSignal,
): Promise<(string | null)[][]> {
  try {
    return await connection.simple(begin, signal, shape.catalog);
  } catch (thrown) {
    const native = thrown instanceof HeadwatersError ? nativeCode(thrown.cause) : null;
    if (snapshot.mode !== "exported" || (native !== "22023" && native !== "42704")) throw thrown;
    await snapshots.lose(snapshot);
    throw new HeadwatersError("READ_CONFLICT", `table "${table.id}": the snapshot in which it is read is gone`, {
      hint: "The table is read in another snapshot.",
      cause: thrown,
    });
  }
}

/**
 * Selects no rows from the table to lock it against ALTER TABLE, then asks for its storage. The catalogs are read as they
 * are now, not as in the snapshot: PostgreSQL's lookup functions ignore snapshots.
 */
function lookSql({ shape }: SplitReader, { work }: SplitOf, result: Result): string {
  const { oid, partitioned } = shape.catalog;
  const id = `${escapeLiteral(oid)}::oid`;
  const tree = `
WITH RECURSIVE tree AS (
  SELECT ${id} AS oid
  UNION ALL
  SELECT i.inhrelid FROM tree JOIN pg_class c ON c.oid = tree.oid AND c.relkind = 'p' JOIN pg_inherits i ON i.inhparent = tree.oid
)
SELECT c.oid || ':' || coalesce(pg_relation_filenode(c.oid)::text, 'null') FROM tree JOIN pg_class c ON c.oid = tree.oid
WHERE c.relkind <> 'p' ORDER BY c.oid`;
  const storage = partitioned ? tree : `SELECT ${id} || ':' || coalesce(pg_relation_filenode(${id})::text, 'null')`;
  return `SELECT ${result.expressions.join(", ")} FROM ${relationOf(shape, work.heap)} LIMIT 0; ${storage}`;
}

/**
 * Throws if the rows are no longer those of the plan: TRUNCATE, and an ALTER TABLE that rewrites the table, leave no rows
 * for older snapshots.
 */
function checkStorage(rows: readonly (readonly (string | null)[])[], { storage, table }: SplitOf): void {
  if (storageDigest(rows.map(([heap]) => heap).join(" ")) === storage) return;
  throw new HeadwatersError("TABLE_CHANGED", `table "${table.id}": it was truncated, altered or rewritten`, {
    hint: "It is planned again.",
  });
}

/** The digest is kept instead of the storage, which is long for a table with many partitions. */
export function storageDigest(storage: string): string {
  return createHash("md5").update(storage).digest("hex");
}

/**
 * Makes the server read in the order of the index or the file, so that the first row comes at once and LIMIT saves
 * work. No sort, no parallel workers (they mix the rows, and the source's own work comes first), no scan that starts in
 * the middle of the file.
 */
function plannerSql({ yugabyte }: Server, { order }: Work): string {
  const off = ["jit"];
  if (!yugabyte && order !== "none") off.push("enable_seqscan", "enable_bitmapscan", "enable_sort");
  if (!yugabyte) off.push("synchronize_seqscans");
  return `SET LOCAL max_parallel_workers_per_gather = 0; ${off.map((name) => `SET LOCAL ${name} = off; `).join("")}`;
}

async function loseIfTooOld({ snapshots }: SplitReader, { snapshot }: SplitOf, thrown: unknown): Promise<void> {
  const conflict = thrown instanceof HeadwatersError && thrown.code === "READ_CONFLICT";
  if (conflict && /too old/i.test(thrown.message)) await snapshots.lose(snapshot);
}

/** Statements around a COPY that take no round trip of their own. `check` is given the rows of the first ones. */
interface Around {
  readonly begin: string;
  readonly end: string;
  check(rows: readonly (readonly (string | null)[])[]): void;
}

/** The fast path: binary COPY, decoded from the chunks of the socket. */
export async function* copyRows(
  connection: PostgresConnection,
  sql: string,
  shape: Shape,
  result: Result,
  { signal, batchBytes }: Pick<Reading, "signal" | "batchBytes">,
  around: Around | null = null,
): AsyncGenerator<Batch, void> {
  const decoder = new BinaryRows(shape.catalog.name, result.columns);
  const copy = `COPY (${sql}) TO STDOUT (FORMAT binary)`;
  const text = around === null ? copy : `${around.begin}; ${copy}; ${around.end}`;
  for await (const chunk of connection.copy(text, signal, shape.catalog, around?.check)) {
    for (let position = 0; position < chunk.length;) {
      position = decoder.decode(chunk, position, Math.max(1, batchBytes - result.bytes));
      if (result.bytes >= batchBytes) yield result.finish();
    }
  }
  decoder.end();
  if (result.length > 0) yield result.finish();
}

/** The other path: a cursor with results as text. Once the width of rows is known, a FETCH asks for about one batch. */
export async function* cursorRows(
  connection: PostgresConnection,
  sql: string,
  shape: Shape,
  result: Result,
  { signal, batchBytes }: Pick<Reading, "signal" | "batchBytes">,
  fetchRows: number,
): AsyncGenerator<Batch, void> {
  const decoder = new TextRows(shape.catalog.name, result.columns);
  let count = Math.min(firstFetch, fetchRows);
  let declare = `DECLARE headwaters NO SCROLL CURSOR FOR ${sql}; `;
  for (;;) {
    const rows = await connection.simple(`${declare}FETCH ${count} FROM headwaters`, signal, shape.catalog);
    declare = "";
    const before = result.bytes;
    for (const row of rows) decoder.decode(row);
    const bytes = result.bytes - before;
    if (result.bytes >= batchBytes || (rows.length < count && result.length > 0)) yield result.finish();
    if (rows.length < count) return;
    count = Math.max(1, Math.min(fetchRows, Math.floor(batchBytes / Math.max(1, bytes / rows.length))));
  }
}
