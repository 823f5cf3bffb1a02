import assert from "node:assert/strict";
import { HeadwatersError, type ErrorCode } from "../../../src/protocol/errors.ts";
import type { Pass, PassKind, Split } from "../../../src/protocol/pass.ts";
import type { Rows } from "../../../src/protocol/rows.ts";
import type { DestinationContext, Warehouse } from "../../../src/protocol/destination.ts";
import type { Holder } from "../../../src/protocol/state-store.ts";
import type { Change, Changes, Transaction } from "../../../src/protocol/transaction.ts";
import type { Column, Table, TableState } from "../../../src/protocol/table.ts";
import type { Type } from "../../../src/protocol/types.ts";
import { parseType } from "../../../src/toolkit/types.ts";
import { type Cell, rowsOf } from "../../../src/toolkit/vectors.ts";

/** What the suite needs of a destination: a place of its own, empty at first, that goes when it is disposed. */
export interface DestinationHarness extends AsyncDisposable {
  /** Names that differ only by case are two to the destination. */
  readonly tellsCase?: true;
  /** The destination keeps the sign of a zero. Others store -0 as 0. */
  readonly signsZeros?: true;
  /** The destination, opened as another process would; what is given replaces the defaults of {@link context}. */
  open(context?: Partial<DestinationContext>, how?: { readonly create: boolean }): Promise<Warehouse>;
  /**
   * All rows of a table with all its columns, by a client that is not ours, as `cell` gives them; `null`: there is no
   * such table. Called only while no warehouse is open.
   */
  readBack(schema: string, table: string): Promise<Readonly<Record<string, Cell>>[] | null>;
  /** The comments of a table and of its columns; that of the table is under "". Without a comment, there is no entry. */
  comments(schema: string, table: string): Promise<Readonly<Record<string, string>>>;
  /** Runs a plain SQL statement by that client: somebody tampers with the copy. Rejects where the destination refuses it. */
  tamper(sql: string): Promise<void>;
}

/** One thing that every destination must do; rejects where it does not. */
export interface DestinationCheck {
  readonly name: string;
  run(harness: DestinationHarness): Promise<void>;
}

export const schema = "s";
export const holder: Holder = { host: "somewhere", pid: 42, since: "2024-05-17T00:00:00.000Z" };

export function context(given: Partial<DestinationContext> = {}): DestinationContext {
  const log = { debug: () => {}, info: () => {}, warn: () => {} };
  const defaults = {
    connection: "c",
    schema,
    systemColumnPrefix: "_headwaters",
    deletion: "soft",
    rename: {},
  } as const;
  return { log, ...defaults, ...given };
}

/** The start of sync number `n`: a day after the one before. */
export function syncAt(n: number): string {
  return new Date(Date.UTC(2024, 4, n)).toISOString();
}

function microseconds(iso: string): bigint {
  return BigInt(Date.parse(iso)) * 1_000n;
}

/** A type by its name: `LONG`, `DECIMAL(10,2)`. */
function type(name: string): Type {
  return parseType(name)!;
}

export function tableOf(
  id: string,
  columns: Readonly<Record<string, string>>,
  key: readonly string[],
  more: Partial<Table> & { readonly volatile?: readonly string[] } = {},
): Table {
  const { volatile = [], ...rest } = more;
  return {
    id,
    columns: Object.entries(columns).map(([name, typed]): Column => {
      const column = { name, type: type(typed), nullable: !key.includes(name) };
      return volatile.includes(name) ? { ...column, volatile: true } : column;
    }),
    key,
    identity: "1",
    cursor: null,
    version: null,
    estimatedRows: null,
    notes: [],
    ...rest,
  };
}

/** `id` is the key, `name` a text, `at` the version. */
export const things = tableOf("things", { id: "LONG", name: "STRING", at: "INT" }, ["id"], { version: "at" });

/** Rows of {@link things}. */
export const three = [
  [1n, "one", 1],
  [2n, "two", 1],
  [3n, "three", 1],
] as const;

/** Rows of a table, or of those of its columns that are named. */
export function rows(table: Table, cells: readonly (readonly Cell[])[], names?: readonly string[]): Rows {
  const columns = (names ?? table.columns.map(({ name }) => name)).map((name) =>
    table.columns.find((column) => column.name === name)!,
  );
  return rowsOf(columns, cells);
}

type Written = Change;

export function upsert(table: Table, ...cells: readonly (readonly Cell[])[]): Written {
  return { kind: "upsert", table: table.id, rows: rows(table, cells) };
}

/** Key columns, and with them those that are named. */
export function some(
  kind: "upsert" | "update" | "delete" | "keys",
  table: Table,
  names: readonly string[],
  ...cells: readonly (readonly Cell[])[]
): Written {
  return { kind, table: table.id, rows: rows(table, cells, names) };
}

export function passOf(
  id: string,
  kind: PassKind,
  tables: readonly Table[],
  opened: string,
  more: Partial<Pass> = {},
): Pass {
  return {
    id,
    kind,
    tables,
    opened,
    splits: [
      { id: "left", tables: tables.map((table) => table.id), work: { from: 0 } },
      { id: "right", tables: tables.map((table) => table.id), work: { from: 1 } },
    ],
    next: Object.fromEntries(tables.map((table) => [table.id, opened])),
    asOf: opened,
    snapshot: null,
    scope: "everything",
    replace: false,
    ...more,
  };
}

export function stateOf(table: Table, pass: Pass): TableState {
  return {
    table,
    next: pass.next[table.id] ?? null,
    asOf: pass.asOf,
    scope: pass.scope,
    readAt: pass.asOf,
    sweptAt: pass.asOf,
    sweepMilliseconds: 12,
  };
}

export function statesOf(pass: Pass): ReadonlyMap<string, TableState> {
  return new Map(pass.tables.map((table) => [table.id, stateOf(table, pass)]));
}

/** A warehouse with its lease, for as long as `work` takes. */
export async function holding<Result>(
  harness: DestinationHarness,
  work: (warehouse: Warehouse, lease: number) => Promise<Result>,
  given: Partial<DestinationContext> = {},
): Promise<Result> {
  await using warehouse = await harness.open(given);
  return await work(warehouse, await warehouse.acquire(holder));
}

/** One transaction, from begin to commit. */
export async function transact(
  warehouse: Warehouse,
  lease: number,
  start: string,
  work: (transaction: Transaction) => Promise<void>,
): Promise<ReadonlyMap<string, Changes>> {
  await using transaction = await warehouse.begin(lease, start);
  await work(transaction);
  return await transaction.commit([]);
}

let passes = 0;

interface Sync {
  readonly tables: readonly Table[];
  readonly kind: PassKind;
  /** Which sync it is: {@link syncAt}. */
  readonly sync: number;
  readonly given?: Partial<DestinationContext>;
  readonly replace?: boolean;
}

/**
 * A sync of one pass, in a destination that is opened for it and closed after it: the pass is stored, then written and
 * closed in a transaction of its own. Resolves to what the last of them changed.
 */
export function sync(
  harness: DestinationHarness,
  { tables, kind, sync: n, given = {}, replace = false }: Sync,
  operations: readonly Written[],
): Promise<ReadonlyMap<string, Changes>> {
  const start = syncAt(n);
  const pass = passOf(`pass ${++passes}`, kind, tables, start, { replace });
  return holding(
    harness,
    async (warehouse, lease) => {
      await transact(warehouse, lease, start, (transaction) => transaction.open(pass));
      return transact(warehouse, lease, start, async (transaction) => {
        for (const operation of operations) await transaction.write(pass, pass.splits[0]!, operation);
        await transaction.close(pass, statesOf(pass));
      });
    },
    given,
  );
}

/** A first full pass over one table. */
export async function fill(
  harness: DestinationHarness,
  table: Table,
  cells: readonly (readonly Cell[])[],
  given: Partial<DestinationContext> = {},
): Promise<void> {
  const operations = cells.length === 0 ? [] : [upsert(table, ...cells)];
  await sync(harness, { tables: [table], kind: "full", sync: 1, given }, operations);
}

/** A copied row without its system columns, and those by themselves. */
export interface CopiedRow {
  readonly row: Readonly<Record<string, Cell>>;
  /** Microseconds since 1970. */
  readonly synced: bigint;
  readonly deleted: boolean;
}

export async function copied(harness: DestinationHarness, table: string, prefix = "_headwaters"): Promise<CopiedRow[]> {
  const found = await harness.readBack(schema, table);
  assert.ok(found !== null, `there is a copy of ${table}`);
  return found.map((all) => {
    const { [`${prefix}_synced`]: synced, [`${prefix}_deleted`]: deleted, [`${prefix}_id`]: _, ...row } = all;
    assert.equal(typeof synced, "bigint", "every row is stamped");
    assert.equal(typeof deleted, "boolean", "every row says whether it is deleted");
    return { row, synced: synced as bigint, deleted: deleted as boolean };
  });
}

/** Rows that are not deleted, as arrays of the given columns, in the order of their text. */
export async function live(harness: DestinationHarness, table: Table, names?: readonly string[]): Promise<Cell[][]> {
  const wanted = names ?? table.columns.map(({ name }) => name);
  const all = await copied(harness, table.id);
  return inOrder(all.filter(({ deleted }) => !deleted).map(({ row }) => wanted.map((name) => row[name] ?? null)));
}

export function inOrder<Row extends readonly Cell[]>(cells: readonly Row[]): Row[] {
  return [...cells].sort((a, b) => (show(a) < show(b) ? -1 : 1));
}

function show(cells: readonly Cell[]): string {
  return JSON.stringify(cells, (_, value: unknown) =>
    typeof value === "bigint" ? `${value}n` : value instanceof Uint8Array ? Buffer.from(value).toString("hex") : value,
  );
}

/** `id` → stamp as the number of the sync and the deleted flag: `1`, `2 deleted`. */
export async function stamps(harness: DestinationHarness, table: string, key = "id"): Promise<Record<string, string>> {
  const all = await copied(harness, table);
  const started = (synced: bigint): number => Number((synced - microseconds(syncAt(0))) / 86_400_000_000n);
  return Object.fromEntries(
    all.map(({ row, synced, deleted }) => [String(row[key]), `${started(synced)}${deleted ? " deleted" : ""}`]),
  );
}

export async function rejectsWith(code: ErrorCode, work: Promise<unknown>, words = ""): Promise<HeadwatersError> {
  try {
    await work;
  } catch (thrown) {
    assert.ok(thrown instanceof HeadwatersError, `a HeadwatersError, not ${String(thrown)}`);
    assert.equal(thrown.code, code, thrown.message);
    assert.ok(thrown.message.includes(words), `"${thrown.message}" names ${words}`);
    return thrown;
  }
  throw new assert.AssertionError({ message: `it is refused with ${code}` });
}

export async function gather(pages: AsyncIterable<Rows>, take: (page: Rows) => Cell[][]): Promise<Cell[][]> {
  const all: Cell[][] = [];
  for await (const page of pages) all.push(...take(page));
  return all;
}

/** The split of a pass that is read. */
export function left(pass: Pass): Split {
  return pass.splits[0]!;
}
