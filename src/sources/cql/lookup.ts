import type { Log } from "../../protocol/log.ts";
import type { Rows, Vector } from "../../protocol/rows.ts";
import type { Reading } from "../../protocol/source.ts";
import type { Table } from "../../protocol/table.ts";
import { type Cell, cell, project } from "../../toolkit/vectors.ts";
import type { Cluster } from "../../wire/cql/cluster.ts";
import { emptyKey, versionColumn } from "../../wire/cql/decode-page.ts";
import { decoderOf } from "./fetch/fast.ts";
import { keyBytes } from "../../wire/cql/keys.ts";
import { type Consistency, type Page, readPageCell } from "../../wire/cql/messages.ts";
import { murmur3Token, partitionKeyBytes } from "../../wire/cql/murmur3.ts";
import type { KeyPlace } from "../../wire/cql/text.ts";
import type { CqlType } from "../../wire/cql/types.ts";
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

  /** `filter`: rows that don't meet it are left out. */
  async *find(
    table: Table,
    native: CqlTable,
    dialect: Dialect,
    filter: readonly string[],
    keys: Rows,
    how: Reading,
  ): AsyncGenerator<Rows> {
    const cells = selection(table.columns, table, native, dialect);
    const row = lookupStatement(cells, native, "row", filter);
    const partition = lookupStatement(cells, native, "partition", filter);
    const prepared = await this.#cluster.prepare(row, { signal: how.signal, table: table.id });
    const decoder = decoderOf(this.#cluster, row, table.columns, native, prepared);
    const levels = how.confirms === true ? ladder : levelsFrom(this.#consistency);
    const finder = new Finder(this.#cluster, table, native, { row, partition }, levels, how.signal, (level, reason) =>
      this.#tell(level, reason),
    );
    const vectors = project(keys, table.key).values;
    let atOnce = mostAtOnce;
    for (let from = 0; from < keys.length;) {
      const size = Math.min(atOnce, keys.length - from);
      const asked = Array.from({ length: size }, (_, index) => finder.find(vectors, from + index));
      const pages = (await Promise.all(asked)).filter((page) => page !== null);
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

  #tell(level: Consistency, reason: string): void {
    if (this.#told.has(level)) return;
    this.#told.add(level);
    this.#log.warn(`rows are confirmed by key at ${level}, since a stronger consistency can't be had: ${reason}`);
  }
}

/** Finds rows of one table. */
class Finder {
  readonly #cluster: Cluster;
  readonly #table: Table;
  readonly #native: CqlTable;
  readonly #row: string;
  readonly #partition: string;
  readonly #levels: readonly Consistency[];
  readonly #signal: AbortSignal;
  readonly #fall: (level: Consistency, reason: string) => void;
  readonly #partitionSize: number;
  readonly #key: readonly { readonly type: CqlType; readonly place: KeyPlace }[];
  readonly #hasStatics: boolean;
  #level = 0;

  constructor(
    cluster: Cluster,
    table: Table,
    native: CqlTable,
    statements: { readonly row: string; readonly partition: string },
    levels: readonly Consistency[],
    signal: AbortSignal,
    fall: (level: Consistency, reason: string) => void,
  ) {
    this.#cluster = cluster;
    this.#table = table;
    this.#native = native;
    this.#row = statements.row;
    this.#partition = statements.partition;
    this.#levels = levels;
    this.#signal = signal;
    this.#fall = fall;
    const partition = columnNames(native, "partition_key");
    this.#partitionSize = partition.length;
    const places = keyPlaces(native);
    this.#key = table.key.map((name) => ({
      type: native.columns.find((column) => column.name === name)!.type,
      place: places.get(name)!,
    }));
    this.#hasStatics = columnNames(native, "static").length > 0 && table.key.length > partition.length;
  }

  /** A page with one row; `null`: no row has this key. */
  async find(vectors: readonly Vector[], row: number): Promise<Page | null> {
    const values = vectors.map((vector, index) => {
      const { type, place } = this.#key[index]!;
      const value = cell(vector, row);
      // The copy may have a column as text that once had another type.
      return { bytes: keyBytes(type, place, vector.type, value), isEmpty: isEmptyKey(value, vector.type) };
    });
    const partition = values.slice(0, this.#partitionSize).map(({ bytes }) => bytes);
    if (partition.includes(null)) return null;
    const token = murmur3Token(partitionKeyBytes(partition as Buffer[]));
    if (values.every(({ bytes }) => bytes !== null)) {
      const page = await this.#ask(
        this.#row,
        values.map(({ bytes }) => bytes!),
        token,
      );
      if (page.rows > 0) return page;
    }
    if (!this.#hasStatics || !values.slice(this.#partitionSize).every(({ isEmpty }) => isEmpty)) return null;
    // The key may stand for a partition that has only static columns.
    const page = await this.#ask(this.#partition, partition as Buffer[], token);
    const clustering = columnNames(this.#native, "clustering")[0]!;
    const data = this.#table.columns.filter(({ name }) => name !== versionColumn);
    const at = data.findIndex(({ name }) => name === clustering);
    return page.rows > 0 && readPageCell(page, at) === null ? page : null;
  }

  async #ask(statement: string, values: readonly Buffer[], token: bigint): Promise<Page> {
    const routing = { signal: this.#signal, token, table: this.#table.id };
    for (;;) {
      const level = this.#level;
      try {
        return await this.#cluster.page(statement, { consistency: this.#levels[level]!, values }, routing);
      } catch (thrown) {
        if (!isTooStrong(thrown) || level === this.#levels.length - 1) throw thrown;
        if (this.#level === level) this.#level = level + 1;
        this.#fall(this.#levels[level + 1]!, thrown.message);
      }
    }
  }
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
