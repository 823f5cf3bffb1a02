import { HeadwatersError } from "../../protocol/errors.ts";
import type { Json } from "../../protocol/json.ts";
import type { Operation } from "../../protocol/operation.ts";
import type { Pass, PassKind, Plan, Split } from "../../protocol/pass.ts";
import type { Rows } from "../../protocol/rows.ts";
import type { CheckResult, Reading, Source, SourceContext } from "../../protocol/source.ts";
import type { Table } from "../../protocol/table.ts";
import { passColumns } from "../../toolkit/passes.ts";
import { TextColumns } from "../../toolkit/text-columns.ts";
import { warnOnce } from "../../toolkit/warn-once.ts";
import { UnfitColumn } from "../../wire/cql/decode-page.ts";
import { abortable } from "../../toolkit/abortable.ts";
import { LogStream } from "./cdc/stream.ts";
import { checkSource } from "./check.ts";
import { Cluster, type Routing } from "../../wire/cql/cluster.ts";
import { boundariesOf, clusterClock, isTiny, tableSizes } from "./cluster-state.ts";
import { quoted } from "../../wire/cql/errors.ts";
import { discoverTables, nativeId } from "./discover.ts";
import { connectDriver, fetchIndependent, tokenColumn } from "./fetch/independent.ts";
import { fetchFast } from "./fetch/fast.ts";
import { checkFilter, conditionsOf } from "./filter.ts";
import { Lookups } from "./lookup.ts";
import { type FetchPage, readRange, type RowSize } from "./read.ts";
import { columnNames, type CqlTable, hasRangeIndex, readTables, tableId } from "./catalog.ts";
import { type CqlSettings, quorums } from "./settings.ts";
import { cutRing, cutWindow, shuffled, splitCount } from "./splits.ts";
import { dialectOf, rangeStatement, selection, tokenExpression } from "./statements.ts";
import { type Work, workJson, workOf } from "./work.ts";

/** Splits of a window pass: few, because a window holds little and each split costs a request. */
const mostWindowSplits = 16;
/** A table that the servers estimate larger than this is not asked whether it is tiny. */
const mostTinyPartitions = 10_000;
/** The most parts that a window is cut into by time. */
const mostWindows = 32;

/** Cassandra or ScyllaDB as a source. */
export class CqlSource implements Source {
  readonly #settings: CqlSettings;
  readonly #context: SourceContext;
  readonly #cluster: Cluster;
  readonly #lookups: Lookups;
  readonly #asText: TextColumns;
  readonly #rowSizes = new Map<string, RowSize>();
  readonly #disposed = new AbortController();
  /** `null`: no table is read by its log. */
  readonly #stream: LogStream | null;
  readonly changed?: NonNullable<Source["changed"]>;
  /** The driver of the independent path; it connects at the first use. */
  #driver: ReturnType<typeof connectDriver> | null = null;

  constructor(settings: CqlSettings, context: SourceContext) {
    this.#settings = settings;
    this.#context = context;
    this.#cluster = new Cluster(settings.cluster, context.log);
    this.#lookups = new Lookups(this.#cluster, settings.lookupConsistency, context.log);
    this.#asText = new TextColumns(context);
    const warn = warnOnce(context.log);
    const stream = settings.mayStream ? new LogStream(this.#cluster, settings, this.#lookups, warn) : null;
    this.#stream = stream;
    if (stream !== null) this.changed = (within, among, signal) => stream.changed(within, among, signal);
  }

  check(signal: AbortSignal): AsyncIterable<CheckResult> {
    return checkSource(this.#cluster, this.#settings, () => this.discover(signal), signal);
  }

  async discover(signal: AbortSignal, known: readonly Table[] = []): Promise<readonly Table[]> {
    this.#asText.learn(known);
    try {
      return await discoverTables(this.#cluster, this.#settings, { ...this.#context, asText: this.#asText }, signal);
    } catch (thrown) {
      signal.throwIfAborted();
      throw this.#cluster.explain(thrown);
    }
  }

  async plan(
    tables: readonly Table[],
    kind: PassKind,
    previous: Readonly<Record<string, Json>>,
    signal: AbortSignal,
  ): Promise<Plan> {
    const table = tables[0]!;
    const routing = { signal, table: table.id };
    try {
      this.#refuseWeakReads(table, kind, previous);
      const topology = await this.#cluster.refresh(signal);
      const native = await this.#native(table, routing);
      await checkFilter(this.#cluster, native, this.#filterOf(table, native), routing);
      const previousNext = previous[table.id] ?? null;
      if (kind === "stream") return await this.#stream!.plan(native, previousNext, routing);
      const now = await clusterClock(this.#cluster, routing);
      const unseenFrom = now - this.#settings.lag * 1_000;
      const size = (await tableSizes(this.#cluster, native.keyspace, native.name, routing)).get(native.name) ?? null;
      const boundaries = await boundariesOf(this.#cluster, topology, native.id, routing);
      const maybeTiny = size === null || size.partitions < mostTinyPartitions;
      const isOne = maybeTiny && (await isTiny(this.#cluster, native, routing));
      const most = isOne ? 1 : kind === "window" ? mostWindowSplits : Infinity;
      const count = Math.min(most, splitCount(size));
      const isCut = topology.partitioner === "Murmur3Partitioner";
      const ranges = isCut ? cutRing(boundaries, count) : [null];
      const windows = kind === "window" ? this.#windows(table, native, previousNext, now) : [null];
      const works = ranges.flatMap((tokens) => windows.map((window): Work => ({ tokens, window })));
      const stream = table.streamed === true && this.#stream !== null;
      const next = stream
        ? await this.#stream.start(native, previousNext, now, routing)
        : table.cursor === null
          ? null
          : unseenFrom;
      return {
        splits: shuffled(works).map((work, index) => ({
          id: String(index),
          tables: [table.id],
          work: workJson(work),
        })),
        next: next === null ? {} : { [table.id]: next },
        asOf: new Date(now).toISOString(),
        unseenFrom: new Date(unseenFrom).toISOString(),
        snapshot: null,
      };
    } catch (thrown) {
      signal.throwIfAborted();
      throw this.#cluster.explain(thrown, table.id);
    }
  }

  /** Rows don't move between token ranges, and page states outlive the process, so any pass can be resumed. */
  async resume(pass: Pass, signal: AbortSignal): Promise<Pass | null> {
    const table = pass.tables[0]!;
    try {
      const id = await tableId(this.#cluster, this.#settings.keyspace, table.id, { signal });
      return id === nativeId(table) ? pass : null;
    } catch (thrown) {
      signal.throwIfAborted();
      throw this.#cluster.explain(thrown, table.id);
    }
  }

  async *read(pass: Pass, split: Split, state: Json, how: Reading): AsyncGenerator<Operation> {
    const table = pass.tables[0]!;
    const routing = { signal: how.signal, table: table.id };
    const kind = pass.kind === "keys" ? "keys" : "upsert";
    const read = `${table.id} ${kind} ${how.path}`;
    const rowSize = this.#rowSizes.get(read) ?? { bytes: null };
    this.#rowSizes.set(read, rowSize);
    try {
      const native = await this.#native(table, routing);
      if (pass.kind === "stream") {
        const dialect = dialectOf(await this.#cluster.topology(how.signal));
        const finding = { table, native, dialect, filter: this.#filterOf(table, native) };
        yield* this.#stream!.read(finding, split.work, state, how);
        return;
      }
      const work = workOf(split);
      const fetch = await this.#fetcher(pass, table, native, work, how);
      const reading = {
        ...{ fetch, rowSize, mostPageRows: this.#settings.pageSize },
        ...{ batchBytes: how.batchBytes, signal: how.signal },
        singleRows: columnNames(native, "clustering").length === 0,
      };
      for await (const step of readRange(work, state, reading)) {
        yield step.kind === "checkpoint" ? step : { kind, table: table.id, rows: step.rows };
      }
      // If the table was dropped and made again meanwhile, a prepared statement continues without an error.
      this.#demandIdentity(table, await tableId(this.#cluster, this.#settings.keyspace, table.id, routing));
    } catch (thrown) {
      how.signal.throwIfAborted();
      throw this.#explain(table, thrown);
    }
  }

  async *lookup(table: Table, keys: Rows, how: Reading): AsyncGenerator<Rows> {
    const routing = { signal: how.signal, table: table.id };
    try {
      const native = await this.#native(table, routing);
      const dialect = dialectOf(await this.#cluster.topology(how.signal));
      yield* this.#lookups.find({ table, native, dialect, filter: this.#filterOf(table, native) }, keys, how);
    } catch (thrown) {
      how.signal.throwIfAborted();
      throw this.#explain(table, thrown);
    }
  }

  /** A number that does not fit its column has the table planned again. */
  #explain(table: Table, thrown: unknown): unknown {
    const widened = thrown instanceof UnfitColumn ? this.#asText.widened(table, thrown.column) : null;
    return widened ?? this.#cluster.explain(thrown, table.id);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed.abort(new Error("the source was closed"));
    const [driver] = await Promise.allSettled([this.#driver]);
    if (driver.status === "fulfilled") await driver.value?.shutdown();
    await this.#cluster[Symbol.asyncDispose]();
  }

  async #fetcher(pass: Pass, table: Table, native: CqlTable, work: Work, how: Reading): Promise<FetchPage> {
    const dialect = dialectOf(await this.#cluster.topology(how.signal));
    const columns = passColumns(table, pass.kind);
    const window = work.window;
    const filtering = table.cursor !== null && !hasRangeIndex(native, table.cursor);
    const cells = selection(columns, table, native, dialect);
    if (how.path === "independent" && work.tokens !== null)
      cells.push(`${tokenExpression(native)} AS ${quoted(tokenColumn)}`);
    const statement = rangeStatement(cells, native, {
      cursor: window === null ? null : { column: table.cursor!, bounded: window.high !== null, filtering },
      tokens: work.tokens !== null,
      bypassCache: dialect.scylla && window === null,
      filter: this.#filterOf(table, native),
    });
    const { consistency } = this.#settings;
    const fetching = { cluster: this.#cluster, table, columns, native, statement, consistency };
    if (how.path === "fast") return fetchFast(fetching, how.signal);
    this.#driver ??= connectDriver(this.#cluster, this.#disposed.signal);
    this.#driver.catch(() => (this.#driver = null));
    return fetchIndependent(fetching, await abortable(this.#driver, how.signal));
  }

  #filterOf(table: Table, native: CqlTable): readonly string[] {
    return conditionsOf(native, this.#context.tables[table.id]?.filter, table.cursor);
  }

  /** The current table. Throws `TABLE_UNKNOWN` if it is gone, `TABLE_CHANGED` if it was dropped and made again. */
  async #native(table: Table, routing: Routing): Promise<CqlTable> {
    const [native] = await readTables(this.#cluster, this.#settings.keyspace, table.id, routing);
    this.#demandIdentity(table, native?.id ?? null);
    return native!;
  }

  #demandIdentity(table: Table, id: string | null): void {
    if (id === null) {
      throw new HeadwatersError("TABLE_UNKNOWN", `table "${table.id}" does not exist any more`, {
        hint: "If it was dropped or renamed, exclude it from the selection.",
      });
    }
    if (id !== nativeId(table))
      throw new HeadwatersError("TABLE_CHANGED", `table "${table.id}" was dropped and made again`);
  }

  /** Without an index, each part of a window would read the whole table, so the window is not cut. */
  #windows(table: Table, native: CqlTable, previous: Json, now: number): ReturnType<typeof cutWindow> {
    if (typeof previous !== "number") throw new Error("a window has no start");
    const hours = hasRangeIndex(native, table.cursor!) ? this.#settings.intervalHours : null;
    return cutWindow(previous, now, hours, mostWindows);
  }

  /** A read below a quorum may miss rows or return old ones, so nothing may be deleted or undone because of it. */
  #refuseWeakReads(table: Table, kind: PassKind, previous: Readonly<Record<string, Json>>): void {
    const { consistency } = this.#settings;
    const compares = kind === "keys" || kind === "stream" || (kind === "full" && Object.hasOwn(previous, table.id));
    if (!compares || quorums.has(consistency)) return;
    throw new HeadwatersError(
      "CONFIGURATION_INVALID",
      `consistency: ${consistency} is too weak to compare table "${table.id}" with its copy (${kind === "keys" ? "a sweep" : kind === "stream" ? "its CDC log" : "another full read"}): it may miss rows that are there`,
      {
        hint: "Set consistency to LOCAL_QUORUM. If a cursor column has an index, you can set deletes to never instead.",
      },
    );
  }
}
