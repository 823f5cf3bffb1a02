import type { Log } from "../../protocol/log.ts";
import type { Rows } from "../../protocol/rows.ts";
import type { Reading } from "../../protocol/source.ts";
import type { Table } from "../../protocol/table.ts";
import { type Cell, cell, project } from "../../toolkit/vectors.ts";
import type { Cluster } from "../../wire/cql/cluster.ts";
import { emptyKey, versionColumn } from "../../wire/cql/decode-page.ts";
import { decoderOf } from "./fetch/fast.ts";
import { keyBytes } from "../../wire/cql/keys.ts";
import { type Consistency, type Page, readPageCell } from "../../wire/cql/messages.ts";
import { murmur3Token, partitionKeyBytes } from "../../wire/cql/murmur3.ts";
import { columnNames, type CqlTable, keyPlaces } from "./catalog.ts";
import { CqlServerError, isLevelRefused, serverErrors } from "../../wire/cql/server-error.ts";
import { type Dialect, lookupStatement, selection } from "./statements.ts";

/** From the strongest on. If one level can't be reached, the next is tried. */
const ladder: readonly Consistency[] = ["ALL", "QUORUM", "LOCAL_QUORUM"];

function levelsFrom(level: Consistency): readonly Consistency[] {
  const at = ladder.indexOf(level);
  return at < 0 ? [level] : ladder.slice(at);
}

/** Keys that are requested at the same time. */
const mostAtOnce = 64;

/** A value of a key as it goes over the wire; `null`: no row has such a value. */
interface KeyCell {
  readonly bytes: Buffer | null;
  /** It may stand for the lack of a clustering column, in a partition that holds only static columns. */
  readonly isEmpty: boolean;
}

/** How the rows of one table are found. */
export interface Finding {
  readonly table: Table;
  readonly native: CqlTable;
  readonly dialect: Dialect;
  /** Rows that don't meet it are left out. */
  readonly filter: readonly string[];
}

/** Finds rows by key. A source keeps one instance, which remembers the warnings that the user has seen. */
export class Lookups {
  readonly #cluster: Cluster;
  readonly #log: Log;
  readonly #consistency: Consistency;
  readonly #told = new Set<Consistency>();

  /** `consistency`: of rows that are not about to be deleted. */
  constructor(cluster: Cluster, consistency: Consistency, log: Log) {
    this.#cluster = cluster;
    this.#consistency = consistency;
    this.#log = log;
  }

  async *find(finding: Finding, keys: Rows, how: Reading): AsyncGenerator<Rows> {
    const { table, native } = finding;
    const vectors = project(keys, table.key).values;
    const places = keyPlaces(native);
    const types = table.key.map((name) => native.columns.find((column) => column.name === name)!.type);
    const cellsOf = (row: number): readonly KeyCell[] =>
      vectors.map((vector, index) => {
        const value = cell(vector, row);
        // The copy may have a column as text that once had another type.
        const bytes = keyBytes(types[index]!, places.get(table.key[index]!)!, vector.type, value);
        return { bytes, isEmpty: isEmptyKey(value, vector.type) };
      });
    yield* this.#find(finding, keys.length, cellsOf, how, () => {});
  }

  /** Keys in the server's own form: `null` stands for the lack of a clustering column. `onUnmet`: the index of a key. */
  async *findCells(
    finding: Finding,
    keys: readonly (readonly (Buffer | null)[])[],
    how: Reading,
    onUnmet: (index: number) => void,
  ): AsyncGenerator<Rows> {
    const cellsOf = (index: number): readonly KeyCell[] =>
      keys[index]!.map((bytes) => ({ bytes, isEmpty: bytes === null }));
    yield* this.#find(finding, keys.length, cellsOf, how, onUnmet);
  }

  /** Every row whose key begins with these values, at the strongest consistency. */
  async *findAll(finding: Finding, prefix: readonly Buffer[], pageSize: number, how: Reading): AsyncGenerator<Rows> {
    const { table, native, dialect, filter } = finding;
    const cells = selection(table.columns, table, native, dialect);
    const statement = lookupStatement(cells, native, prefix.length, filter);
    const prepared = await this.#cluster.prepare(statement, { signal: how.signal, table: table.id });
    const decoder = decoderOf(this.#cluster, statement, table.columns, native, prepared);
    const finder = this.#finder(finding, { row: "", partition: "" }, { ...how, confirms: true });
    const partition = columnNames(native, "partition_key").length;
    const token = murmur3Token(partitionKeyBytes(prefix.slice(0, partition)));
    for (let pageState: Buffer | null = null; ;) {
      const page = await finder.ask(statement, prefix, token, { pageSize, pageState });
      yield* decoder.decode(page, how.batchBytes);
      pageState = page.next;
      if (pageState === null) return;
      how.signal.throwIfAborted();
    }
  }

  async *#find(
    finding: Finding,
    count: number,
    cellsOf: (index: number) => readonly KeyCell[],
    how: Reading,
    onUnmet: (index: number) => void,
  ): AsyncGenerator<Rows> {
    const { table, native, dialect, filter } = finding;
    const cells = selection(table.columns, table, native, dialect);
    const row = lookupStatement(cells, native, "row", filter);
    const partition = lookupStatement(cells, native, "partition", filter);
    const prepared = await this.#cluster.prepare(row, { signal: how.signal, table: table.id });
    const decoder = decoderOf(this.#cluster, row, table.columns, native, prepared);
    const finder = this.#finder(finding, { row, partition }, how);
    let atOnce = mostAtOnce;
    for (let from = 0; from < count;) {
      const size = Math.min(atOnce, count - from);
      const asked = Array.from({ length: size }, (_, index) => finder.find(cellsOf(from + index)));
      const answers = await Promise.all(asked);
      const pages = answers.filter((page) => page !== null);
      for (const [index, page] of answers.entries()) if (page === null) onUnmet(from + index);
      for (const page of pages) decoder.append(page);
      if (decoder.bytes >= how.batchBytes) yield decoder.finish();
      how.signal.throwIfAborted();
      from += size;
      // Rows may be large: no more are requested at a time than a few batches hold.
      const bytes = pages.reduce((sum, page) => sum + page.body.length, 0);
      atOnce = Math.max(1, Math.min(mostAtOnce, Math.floor((4 * how.batchBytes * size) / Math.max(1, bytes))));
    }
    if (decoder.length > 0) yield decoder.finish();
  }

  #finder({ table, native }: Finding, statements: Statements, how: Reading): Finder {
    const levels = how.confirms === true ? ladder : levelsFrom(this.#consistency);
    return new Finder(this.#cluster, table, native, statements, levels, how.signal, (level, reason) =>
      this.#tell(level, reason),
    );
  }

  #tell(level: Consistency, reason: string): void {
    if (this.#told.has(level)) return;
    this.#told.add(level);
    this.#log.warn(`rows are confirmed by key at ${level}, since a stronger consistency is not available: ${reason}`);
  }
}

interface Statements {
  readonly row: string;
  readonly partition: string;
}

/** Finds rows of one table. */
class Finder {
  readonly #cluster: Cluster;
  readonly #table: Table;
  readonly #native: CqlTable;
  readonly #statements: Statements;
  readonly #levels: readonly Consistency[];
  readonly #signal: AbortSignal;
  readonly #fall: (level: Consistency, reason: string) => void;
  readonly #partitionSize: number;
  readonly #hasStatics: boolean;
  #level = 0;

  constructor(
    cluster: Cluster,
    table: Table,
    native: CqlTable,
    statements: Statements,
    levels: readonly Consistency[],
    signal: AbortSignal,
    fall: (level: Consistency, reason: string) => void,
  ) {
    this.#cluster = cluster;
    this.#table = table;
    this.#native = native;
    this.#statements = statements;
    this.#levels = levels;
    this.#signal = signal;
    this.#fall = fall;
    const partition = columnNames(native, "partition_key");
    this.#partitionSize = partition.length;
    this.#hasStatics = columnNames(native, "static").length > 0 && table.key.length > partition.length;
  }

  /** A page with one row; `null`: no row has this key. */
  async find(key: readonly KeyCell[]): Promise<Page | null> {
    const values = key.map(({ bytes }) => bytes);
    const partition = values.slice(0, this.#partitionSize);
    if (!isWhole(partition)) return null;
    const token = murmur3Token(partitionKeyBytes(partition));
    if (isWhole(values)) {
      const page = await this.ask(this.#statements.row, values, token);
      if (page.rows > 0) return page;
    }
    if (!this.#hasStatics || !key.slice(this.#partitionSize).every(({ isEmpty }) => isEmpty)) return null;
    // The key may stand for a partition that has only static columns.
    const page = await this.ask(this.#statements.partition, partition, token);
    const clustering = columnNames(this.#native, "clustering")[0]!;
    const data = this.#table.columns.filter(({ name }) => name !== versionColumn);
    const at = data.findIndex(({ name }) => name === clustering);
    return page.rows > 0 && readPageCell(page, at) === null ? page : null;
  }

  async ask(
    statement: string,
    values: readonly Buffer[],
    token: bigint,
    paging: { readonly pageSize?: number; readonly pageState?: Buffer | null } = {},
  ): Promise<Page> {
    const routing = { signal: this.#signal, token, table: this.#table.id };
    for (;;) {
      const level = this.#level;
      try {
        return await this.#cluster.page(statement, { consistency: this.#levels[level]!, values, ...paging }, routing);
      } catch (thrown) {
        if (!isTooStrong(thrown) || level === this.#levels.length - 1) throw thrown;
        if (this.#level === level) this.#level = level + 1;
        this.#fall(this.#levels[level + 1]!, thrown.message);
      }
    }
  }
}

function isWhole(values: readonly (Buffer | null)[]): values is readonly Buffer[] {
  return !values.includes(null);
}

/** Whether a read with fewer replicas may succeed. Too many tombstones fail on every replica, so they don't count. */
export function isTooStrong(thrown: unknown): thrown is CqlServerError {
  const codes: readonly number[] = [serverErrors.unavailable, serverErrors.readTimeout, serverErrors.readFailure];
  if (!(thrown instanceof CqlServerError)) return false;
  return isLevelRefused(thrown) || (codes.includes(thrown.code) && !/tombstone/i.test(thrown.message));
}

function isEmptyKey(value: Cell, type: Table["columns"][number]["type"]): boolean {
  const empty = emptyKey(type);
  if (value instanceof Uint8Array) return value.length === 0;
  return typeof value === "bigint" ? value === 0n : value === empty;
}
