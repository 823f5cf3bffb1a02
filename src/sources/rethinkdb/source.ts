import { Pool } from "../../net/pool.ts";
import { HeadwatersError } from "../../protocol/errors.ts";
import type { Json } from "../../protocol/json.ts";
import type { Operation } from "../../protocol/operation.ts";
import type { Pass, PassKind, Plan, Split } from "../../protocol/pass.ts";
import type { Rows } from "../../protocol/rows.ts";
import type { CheckResult, KeptStream, Reading, Source, SourceContext } from "../../protocol/source.ts";
import type { Table } from "../../protocol/table.ts";
import type { ReqlAddress } from "../../wire/reql/address.ts";
import { ReqlConnection } from "../../wire/reql/connection.ts";
import { ReqlQueryError } from "../../wire/reql/failures.ts";
import { tableOfSplit } from "../../toolkit/passes.ts";
import { refusedTable } from "../../toolkit/refused-table.ts";
import { ofTable } from "../../toolkit/settings.ts";
import { hasColumnsOf, unite } from "../../toolkit/types.ts";
import { warnOnce } from "../../toolkit/warn-once.ts";
import { type Described, describeTable, keyRange, listTables, plainIndexes, serverTime, tableTerm } from "./catalog.ts";
import { checkSource } from "./check.ts";
import type { Configuration } from "./config.ts";
import { discoverTable, unseenTable } from "./discover.ts";
import { explain } from "./errors.ts";
import { Feeds } from "./feed/feeds.ts";
import { FieldNames, fieldOf } from "./documents/fields.ts";
import { type Condition, conditionOf } from "./filter.ts";
import { emptyClass, identityOf, keyClass } from "./keys.ts";
import { lookupRows } from "./lookup.ts";
import { readChanged, readSplit, type TableReader } from "./read.ts";
import { cutKeys, splitCount } from "./splits.ts";
import { stretches } from "./timestamps/timestamps.ts";
import { feedPositionOf, nextOf, sinceOf, timestampOf, type Work, workJson, workOf } from "./work.ts";

/** Tables that are examined at the same time. */
const looksAtOnce = 8;

/** A RethinkDB database. Connections are opened when they are needed. */
export class RethinkdbSource implements Source {
  readonly #configuration: Configuration;
  readonly #context: SourceContext;
  readonly #pool: Pool<ReqlConnection>;
  /** By table, if it has a filter. */
  readonly #filters: ReadonlyMap<string, Condition>;
  /** By table: the columns that `discover` showed. If a pass lacks one of these, the column was not selected. */
  readonly #shown = new Map<string, ReadonlySet<string>>();
  /** By table: its last description, from its documents. */
  readonly #seen = new Map<string, Table>();
  /** By table: the columns that documents needed besides the shown ones. */
  readonly #wider = new Map<string, Table>();
  /** By table, because splits that are read at the same time must agree on names. */
  readonly #names = new Map<string, FieldNames>();
  readonly #warnOnce: (message: string) => void;
  /** `null`: nothing is followed. */
  readonly #feeds: Feeds | null;
  readonly changed?: NonNullable<Source["changed"]>;
  /** The keys that the stream pass of a table looks up. */
  readonly #looksUp = new Map<string, readonly Json[]>();

  constructor(configuration: Configuration, address: ReqlAddress, context: SourceContext) {
    this.#configuration = configuration;
    this.#context = context;
    this.#warnOnce = warnOnce(context.log);
    this.#pool = new Pool((signal) =>
      ReqlConnection.connect(address, signal).catch((thrown: unknown) => {
        signal.throwIfAborted();
        throw explain(thrown, configuration);
      }),
    );
    const follows = context.follows === true && configuration.changes !== "cursor";
    this.#feeds = follows ? new Feeds(configuration, address, context.log) : null;
    const hints = this.#feeds?.hints;
    if (hints !== undefined) this.changed = (within, among, signal) => hints.changed(within, among, signal);
    const filters = Object.entries(context.tables).map(([id, { filter }]) => [id, conditionOf(id, filter)] as const);
    this.#filters = new Map(filters.filter((entry): entry is [string, Condition] => entry[1] !== null));
  }

  check(signal: AbortSignal): AsyncIterable<CheckResult> {
    return checkSource(this.#pool, this.#configuration, this.#context, signal);
  }

  async discover(signal: AbortSignal, known: readonly Table[] = []): Promise<readonly Table[]> {
    const { database } = this.#configuration;
    return this.#use(undefined, signal, async (connection) => {
      const names = await listTables(connection, database, signal);
      const tables: (Table | HeadwatersError | null)[] = [];
      for (let first = 0; first < names.length; first += looksAtOnce) {
        const some = names.slice(first, first + looksAtOnce);
        tables.push(...(await Promise.all(some.map((name) => this.#look(connection, name, known, signal)))));
      }
      const failed = tables.filter((table) => table instanceof HeadwatersError);
      // If every table fails, the problem is the server.
      if (failed.length === names.length && failed.length > 0) throw failed[0];
      return tables.flatMap((table, index) => {
        if (table === null) return [];
        if (!(table instanceof HeadwatersError)) return [table];
        return [known.find(({ id }) => id === names[index]) ?? unseenTable(names[index]!, table)];
      });
    });
  }

  async plan(
    tables: readonly Table[],
    kind: PassKind,
    previous: Readonly<Record<string, Json>>,
    signal: AbortSignal,
  ): Promise<Plan> {
    if (kind === "stream") return this.#planStream(tables, previous, signal);
    const planned = await Promise.all(
      tables.map((table) =>
        this.#use(table.id, signal, async (connection) => {
          // The feed is opened before the time is taken, and both before a document is read.
          const reads = kind !== "keys" && table.streamed === true;
          const stream = reads ? await this.#feeds?.start(table, signal) : undefined;
          const now = await serverTime(connection, signal);
          const works = await this.#cut(connection, table, kind, previous[table.id], signal);
          return { table, now, works, next: nextOf(table, now, this.#configuration.lag, stream) };
        }),
      ),
    );
    const oldest = Math.min(...planned.map(({ now }) => now));
    return {
      splits: planned.flatMap(({ table, works }) =>
        works.map((work, index): Split => ({ id: `${table.id}/${index}`, tables: [table.id], work: workJson(work) })),
      ),
      next: Object.fromEntries(planned.map(({ table, next }) => [table.id, next] as const)),
      asOf: new Date(oldest).toISOString(),
      unseenFrom: new Date(oldest - this.#configuration.lag * 1_000).toISOString(),
      snapshot: null,
    };
  }

  /**
   * Key ranges are valid in every process. Resuming is unsound if documents need more columns than the pass has, or if
   * an index is gone that a window is read through.
   */
  async resume(pass: Pass, signal: AbortSignal): Promise<Pass | null> {
    for (const table of pass.tables) {
      const same = await this.#use(table.id, signal, (connection) => this.#isSame(connection, table, signal));
      const wider = this.#wider.get(table.id);
      if (!same || !(await this.#hasIndexes(pass, table, signal))) return null;
      if (wider !== undefined && !hasColumnsOf(table, unite(table, wider))) return null;
    }
    return pass;
  }

  async *read(pass: Pass, split: Split, state: Json, how: Reading): AsyncGenerator<Operation, void> {
    const table = tableOfSplit(pass, split);
    yield* this.#reading(table, how.signal, (reader) =>
      pass.kind === "stream"
        ? readChanged(reader, table, this.#looksUp.get(table.id) ?? [], this.#skipped(table), state, how)
        : readSplit(reader, { kind: pass.kind, table, work: workOf(split) }, state, how),
    );
  }

  async keepFrom(next: Readonly<Record<string, Json>>): Promise<KeptStream | null> {
    for (const [table, one] of Object.entries(next)) {
      const position = feedPositionOf(one);
      if (position !== null) this.#feeds?.hints.forget(table, position);
    }
    return null;
  }

  async *lookup(table: Table, keys: Rows, how: Reading): AsyncGenerator<Rows, void> {
    const skipped = this.#skipped(table);
    yield* this.#reading(table, how.signal, (reader) => lookupRows(reader, table, keys, skipped, how));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#feeds?.[Symbol.asyncDispose]();
    await this.#pool[Symbol.asyncDispose]();
  }

  /** Each table by itself: the feeds are shared. */
  async #planStream(
    tables: readonly Table[],
    previous: Readonly<Record<string, Json>>,
    signal: AbortSignal,
  ): Promise<Plan> {
    const feeds = this.#feeds!;
    const now = await this.#use(undefined, signal, (connection) => serverTime(connection, signal));
    const next: Record<string, Json> = {};
    for (const table of tables) {
      const changes = await feeds.changes(table, feedPositionOf(previous[table.id]), signal);
      if (changes === null) continue;
      this.#looksUp.set(table.id, changes.keys);
      next[table.id] = nextOf(table, now, this.#configuration.lag, changes.next);
    }
    const splits = tables.map(({ id }) => ({ id: `${id}/stream`, tables: [id], work: null }));
    // Later changes may not be visible yet.
    const asOf = now - feeds.hints.settle;
    return {
      splits,
      next,
      asOf: new Date(asOf).toISOString(),
      unseenFrom: new Date(asOf - this.#configuration.lag * 1_000).toISOString(),
      snapshot: null,
      ...(tables.every(({ id }) => id in next) ? {} : { startsOver: true }),
    };
  }

  /**
   * Examines one table, and adds the columns that its documents were seen to need; `null`: this user may not read it.
   * An error of the server at this table is returned instead of thrown, so that the other tables go on.
   */
  async #look(
    connection: ReqlConnection,
    name: string,
    known: readonly Table[],
    signal: AbortSignal,
  ): Promise<Table | HeadwatersError | null> {
    const { database } = this.#configuration;
    try {
      const described = await describeTable(connection, database, name, signal);
      const wider = this.#wider.get(name);
      const before = [known.find(({ id }) => id === name), wider].filter((table) => table !== undefined);
      const seen =
        (await this.#followed(connection, described, signal)) ??
        (await discoverTable(connection, database, described, this.#context, before, signal));
      const streamed = this.#feeds !== null && this.#isStreamed(name) ? { streamed: true as const } : {};
      const notes = this.#feeds === null && this.#isStreamed(name) ? [...seen.notes, feedNote] : seen.notes;
      this.#seen.set(name, seen);
      const table = { ...(wider?.identity === seen.identity ? unite(wider, seen) : seen), ...streamed, notes };
      this.#shown.set(name, new Set(table.columns.map((column) => column.name)));
      return table;
    } catch (thrown) {
      signal.throwIfAborted();
      const error = explain(thrown, { ...this.#configuration, table: name });
      if (error.code === "PRIVILEGE_MISSING") {
        this.#warnOnce(`${error.message}; it is left out. ${error.hint ?? ""}`);
        return null;
      }
      // Dropped since the tables were listed.
      if (error.code === "TABLE_UNKNOWN") return null;
      if (thrown instanceof ReqlQueryError || error.code === "SOURCE_FAILED") return error;
      return refusedTable(name, error);
    }
  }

  #isStreamed(table: string): boolean {
    return ofTable(this.#configuration.changes, table) === "stream";
  }

  /**
   * The last description of a table, if it still holds: `discover` is called each minute while a feed reports its documents,
   * and its rows show new columns. `null`: documents have to be looked at.
   */
  async #followed(connection: ReqlConnection, described: Described, signal: AbortSignal): Promise<Table | null> {
    const { name, id, primaryKey, estimatedRows } = described;
    const seen = this.#seen.get(name);
    if (seen === undefined || this.#feeds?.isOpen(name) !== true) return null;
    const from = tableTerm(this.#configuration.database, name);
    const range = await keyRange(connection, from, primaryKey, signal);
    const of = range === null ? emptyClass([seen]) : keyClass(range);
    return identityOf(id, of) === seen.identity ? { ...seen, estimatedRows } : null;
  }

  async #cut(
    connection: ReqlConnection,
    table: Table,
    kind: PassKind,
    previous: Json | undefined,
    signal: AbortSignal,
  ): Promise<readonly Work[]> {
    const { database } = this.#configuration;
    const from = tableTerm(database, table.id);
    const described = await describeTable(connection, database, table.id, signal);
    // The table was listed although it could not be examined. If that works now, the table is planned again.
    if (table.identity === "") {
      await discoverTable(connection, database, described, this.#context, [], signal);
      throw changed(table);
    }
    const range = await keyRange(connection, from, described.primaryKey, signal);
    const of = range === null ? emptyClass([table]) : keyClass(range);
    if (table.identity !== identityOf(described.id, of)) throw changed(table);
    const since = kind === "window" ? sinceOf(table, previous) : null;
    const skip = this.#skipped(table);
    const field = timestampOf(table);
    const indexes = since === null ? null : await plainIndexes(connection, from, signal);
    const index = indexes?.get(field!);
    if (since !== null && index !== undefined) {
      return stretches(since).map((_, stretch) => ({ keys: null, index: { name: index, stretch }, since, skip }));
    }
    const parts = range === null ? 1 : splitCount(described.estimatedRows);
    const keys = range === null ? [{ low: null, high: null }] : cutKeys(range, parts);
    return keys.map((split) => ({ keys: split, index: null, since, skip }));
  }

  async #isSame(connection: ReqlConnection, table: Table, signal: AbortSignal): Promise<boolean> {
    const { database } = this.#configuration;
    const described = await describeTable(connection, database, table.id, signal);
    return table.identity.startsWith(`${described.id}/`);
  }

  /** Whether the indexes that splits of a table are read through still exist and are unchanged. */
  async #hasIndexes(pass: Pass, table: Table, signal: AbortSignal): Promise<boolean> {
    const works = pass.splits.filter((split) => split.tables.includes(table.id)).map(workOf);
    const name = works.find(({ index }) => index !== null)?.index?.name;
    if (name === undefined) return true;
    const from = tableTerm(this.#configuration.database, table.id);
    const indexes = await this.#use(table.id, signal, (connection) => plainIndexes(connection, from, signal));
    return indexes.get(timestampOf(table)!) === name;
  }

  /** Fields whose columns `discover` showed but the table does not have. */
  #skipped(table: Table): readonly string[] {
    const shown = [...(this.#shown.get(table.id) ?? [])];
    return shown.filter((name) => !table.columns.some((column) => column.name === name)).map(fieldOf);
  }

  /** Reads with a connection of its own. Fails if the table was dropped and made again. */
  async *#reading<Item>(
    table: Table,
    signal: AbortSignal,
    read: (reader: TableReader) => AsyncIterable<Item>,
  ): AsyncGenerator<Item, void> {
    const { database, read_mode: readMode } = this.#configuration;
    let connection: ReqlConnection | null = null;
    try {
      connection = await this.#pool.acquire(signal);
      if (!(await this.#isSame(connection, table, signal))) throw changed(table);
      yield* read({
        connection,
        database,
        // A replica may not have the changes yet that the primary's feed reported.
        readMode: table.streamed === true && readMode === "outdated" ? "single" : readMode,
        names: this.#namesOf(table),
        context: this.#context,
        filter: this.#filters.get(table.id) ?? null,
        columns: this.#context.tables[table.id]?.columns,
        onWider: (wider) => this.#widen(wider),
        onRounded: (id, column) =>
          this.#warnOnce(
            `table "${id}": column "${column}" has whole numbers beyond 2^53, which RethinkDB rounded when it stored them`,
          ),
      });
    } catch (thrown) {
      signal.throwIfAborted();
      throw explain(thrown, { ...this.#configuration, table: table.id });
    } finally {
      if (connection !== null) await this.#pool.release(connection);
    }
  }

  async #use<T>(
    table: string | undefined,
    signal: AbortSignal,
    work: (connection: ReqlConnection) => Promise<T>,
  ): Promise<T> {
    try {
      return await this.#pool.use(signal, work);
    } catch (thrown) {
      signal.throwIfAborted();
      throw explain(thrown, { ...this.#configuration, table });
    }
  }

  #namesOf({ id, columns }: Table): FieldNames {
    const names = this.#names.get(id) ?? new FieldNames();
    names.add(columns);
    this.#names.set(id, names);
    return names;
  }

  #widen(table: Table): void {
    const known = this.#wider.get(table.id);
    this.#wider.set(table.id, known?.identity === table.identity ? unite(known, table) : table);
  }
}

const feedNote =
  "headwaters follow reads its change feed. No later process can continue a feed, so a sync finds changes by the timestamp.";

function changed(table: Table): HeadwatersError {
  return new HeadwatersError(
    "TABLE_CHANGED",
    `table "${table.id}": it was dropped and made again, has keys of another type now, or could not be looked at before`,
    { hint: "It is planned again." },
  );
}
