import { Pool } from "../../net/pool.ts";
import { HeadwatersError } from "../../protocol/errors.ts";
import type { Json } from "../../protocol/json.ts";
import type { Operation } from "../../protocol/operation.ts";
import type { Pass, PassKind, Plan, Split } from "../../protocol/pass.ts";
import type { Rows } from "../../protocol/rows.ts";
import type { CheckResult, KeptStream, Reading, Source, SourceContext } from "../../protocol/source.ts";
import type { Table } from "../../protocol/table.ts";
import { connectPostgres, type PostgresConnection, type PostgresSettings } from "../../wire/postgres/connection.ts";
import { passColumns, tableOfSplit } from "../../toolkit/passes.ts";
import { Remembered } from "../../toolkit/remembered.ts";
import { TextColumns } from "../../toolkit/text-columns.ts";
import { ValueOutOfRange } from "../../wire/postgres/codecs.ts";
import { warnOnce } from "../../toolkit/warn-once.ts";
import { SharedCatalog } from "./catalog/shared-catalog.ts";
import { checkSource } from "./check.ts";
import { type Configuration, follows } from "./config.ts";
import { assertReadable, assertSchema, discoverTables, keysOfTables } from "./discover.ts";
import { checkFilter } from "./statement/check-filter.ts";
import { lookupRows } from "./lookup.ts";
import { readSplit, type SplitReader, storageDigest } from "./read.ts";
import { type ReadPoint, takeReadPoint } from "./snapshot/read-point.ts";
import type { HashColumns } from "./statement/select.ts";
import { describeServer, type Server, transactionWarnings } from "./server.ts";
import { whyNotFollowed } from "./stream/followed.ts";
import { readStream } from "./stream/read-stream.ts";
import { positionIn, type StreamPosition } from "./stream/position.ts";
import { dropStream } from "./stream/slot.ts";
import { ChangeStream } from "./stream/stream.ts";
import { type Telling, tellingOf } from "./stream/telling.ts";
import { type Shape, type ShapeContext, shapeOf } from "./catalog/shape.ts";
import { assertFits, isOneSnapshot, nextOf, type PlannedPoint, storageOf, unseenFrom, windowOf } from "./planned.ts";
import { postgresSettings } from "./settings.ts";
import { type Snapshot, snapshotOf, Snapshots } from "./snapshot/snapshots.ts";
import { cutTable, hashColumnsOf } from "./splits.ts";
import { type Work, workJson, workOf } from "./work.ts";

/** How long plans may share a read point, in milliseconds. An earlier one is sound: it promises less. */
const pointFreshFor = 1_000;

/** A table as it is now, and the columns that YugabyteDB shards it by. */
interface Looked {
  readonly shape: Shape;
  readonly hashColumns: HashColumns;
}

/** Options for a cluster, in addition to those of one server. */
interface ClusterOptions {
  /** Opens a session on any of its nodes. */
  readonly connect?: (signal: AbortSignal) => Promise<PostgresConnection>;
  /** Staleness of follower reads, in milliseconds; `null`: leaders are read. */
  readonly staleness: number | null;
}

/** PostgreSQL or YugabyteDB. Sessions are opened when they are needed. */
export class PostgresqlSource implements Source {
  readonly #configuration: Configuration;
  readonly #context: SourceContext;
  readonly #settings: PostgresSettings;
  readonly #pool: Pool<PostgresConnection>;
  readonly #followers: number | null;
  readonly #snapshots: Snapshots;
  #server: Promise<Server> | null = null;
  readonly #point = new Remembered<ReadPoint>(pointFreshFor);
  /** The tables that were planned since the last read point was asked for. */
  readonly #pointed = new Set<string>();
  readonly #catalog: SharedCatalog;
  readonly #looked = new Map<string, Promise<Looked>>();
  readonly #warnOnce: (message: string) => void;
  readonly #asText: TextColumns;
  /** `null`: changes are seen by cursors. */
  readonly #stream: ChangeStream | null;
  readonly changed?: NonNullable<Source["changed"]>;
  /** The keys that the stream pass of a table looks up. */
  readonly #changed = new Map<string, readonly (readonly string[])[]>();

  constructor(configuration: Configuration, context: SourceContext, cluster: ClusterOptions = { staleness: null }) {
    this.#configuration = configuration;
    this.#context = context;
    this.#catalog = new SharedCatalog(configuration.schema);
    this.#warnOnce = warnOnce(context.log);
    this.#asText = new TextColumns(context);
    this.#settings = postgresSettings(configuration);
    this.#pool = new Pool(cluster.connect ?? ((signal) => connectPostgres(this.#settings, signal)), (connection) =>
      connection.inTransaction ? connection.rollback() : undefined,
    );
    this.#followers = cluster.staleness;
    this.#snapshots = new Snapshots(this.#pool);
    this.#stream = !follows(configuration, null)
      ? null
      : new ChangeStream({
          configuration,
          keys: (connection, signal) => keysOfTables(connection, configuration.schema, signal),
          server: (connection, signal) => this.#describe(connection, signal),
          shapes: this.#shapeContext,
          takePoint: (connection, signal) => this.#takePoint(connection, 0, signal),
          use: (signal, work) => this.#pool.use(signal, work),
          settings: this.#settings,
          warn: this.#warnOnce,
        });
    const stream = this.#stream;
    if (stream !== null) this.changed = (within, among, signal) => stream.changed(within, among, signal);
  }

  check(signal: AbortSignal): AsyncIterable<CheckResult> {
    return checkSource(this.#settings, this.#configuration, this.#context, signal);
  }

  async discover(signal: AbortSignal, known: readonly Table[] = []): Promise<readonly Table[]> {
    this.#asText.learn(known);
    return this.#pool.use(signal, async (connection) => {
      const server = await this.#describe(connection, signal);
      const { schema } = this.#configuration;
      const tables = await discoverTables(
        connection,
        server,
        schema,
        this.#shapeContext,
        (table) => this.#tellingOf(server, table),
        signal,
      );
      this.#warnOfUnknown(tables);
      this.#catalog.discovered(tables.map(({ id }) => id));
      return tables;
    });
  }

  async plan(
    tables: readonly Table[],
    kind: PassKind,
    previous: Readonly<Record<string, Json>>,
    signal: AbortSignal,
  ): Promise<Plan> {
    const ids = tables.map((table) => table.id);
    await this.#snapshots.release(ids);
    if (kind === "stream") return this.#planStream(tables, previous, signal);
    const { server, looked, point, works, streams } = await this.#pool.use(signal, async (connection) => {
      const server = await this.#describe(connection, signal);
      const looked = await this.#lookAt(connection, server, tables, signal);
      for (const table of tables) {
        const { shape } = looked.get(table.id)!;
        assertFits(table, shape);
        assertReadable(shape, passColumns(table, kind), this.#settings.user);
      }
      const streams = new Map<string, StreamPosition>();
      for (const { id, streamed } of tables) {
        // A sync of YugabyteDB reads no stream: the next process that follows goes on from the stored position.
        const kept = server.yugabyte && streamed !== true ? positionIn(previous[id] ?? null) : null;
        if (kept !== null) streams.set(id, kept);
        if (kind !== "full" || streamed !== true || this.#stream === null) continue;
        streams.set(id, await this.#stream.start(connection, looked.get(id)!.shape, previous[id] ?? null, signal));
      }
      // Before the snapshot: a transaction that ends in between counts as open here, and the snapshot sees its rows.
      const staleness = this.#staleness(server) ?? 0;
      const point = await this.#pointFor(ids, kind, () => this.#takePoint(connection, staleness, signal));
      const works = new Map<string, readonly Work[]>();
      for (const table of tables) {
        const { shape, hashColumns } = looked.get(table.id)!;
        const window = kind === "window" ? windowOf(table, shape, point, previous[table.id] ?? null) : null;
        works.set(table.id, await cutTable(connection, { shape, server, hashColumns, window }, signal));
      }
      return { server, looked, point, works, streams };
    });
    const { lag, user } = this.#configuration;
    for (const warning of transactionWarnings(server, user, lag)) this.#warnOnce(warning);
    const splits = tables.flatMap((table) =>
      works.get(table.id)!.map((work, index) => ({
        id: `${table.id}/${index}`,
        tables: [table.id],
        work: workJson(work),
      })),
    );
    const snapshot = await this.#takeSnapshot(server, looked, splits, signal);
    return {
      splits,
      next: Object.fromEntries(
        tables.map(
          (table) => [table.id, nextOf(table, looked.get(table.id)!.shape, point, streams.get(table.id))] as const,
        ),
      ),
      asOf: point.asOf,
      ...unseenFrom(tables.map((table) => ({ table, shape: looked.get(table.id)!.shape, point }))),
      snapshot,
      ...(kind === "full" && isOneSnapshot(snapshot, splits, server) ? { distinct: true } : {}),
    };
  }

  async resume(pass: Pass, signal: AbortSignal): Promise<Pass | null> {
    if (this.#snapshots.holds(snapshotOf(pass.snapshot)) && pass.tables.every(({ id }) => this.#looked.has(id))) {
      return pass;
    }
    if (pass.splits.some((split) => workOf(split).order === "ctid")) return null;
    await this.#snapshots.release(pass.tables.map((table) => table.id));
    const { server, looked } = await this.#pool.use(signal, async (connection) => {
      const server = await this.#describe(connection, signal);
      const looked = await this.#lookAt(connection, server, pass.tables, signal);
      for (const [id, { shape }] of this.#stream === null || pass.kind !== "full" ? [] : looked) {
        const telling = this.#tellingOf(server, id);
        if (telling?.slot == null || whyNotFollowed(shape, server, telling.plugin) !== null) continue;
        if (!(await this.#stream!.holds(connection, shape, pass.next[id] ?? null, signal)))
          return { server, looked: null };
      }
      return { server, looked };
    });
    if (looked === null) return null;
    for (const table of pass.tables) {
      const { shape } = looked.get(table.id)!;
      try {
        assertFits(table, shape);
      } catch (thrown) {
        if (thrown instanceof HeadwatersError && thrown.code === "TABLE_CHANGED") return null;
        throw thrown;
      }
      assertReadable(shape, passColumns(table, pass.kind), this.#settings.user);
    }
    // Rows may have moved since: from a key that is not read yet to one that is, or the other way.
    const { distinct: _, ...rest } = pass;
    return { ...rest, snapshot: await this.#takeSnapshot(server, looked, pass.splits, signal) };
  }

  async *read(pass: Pass, split: Split, state: Json, how: Reading): AsyncGenerator<Operation, void> {
    const table = tableOfSplit(pass, split);
    const { reader, storage } = await this.#readerOf(table, pass.kind === "stream" ? null : pass, how.signal);
    try {
      if (pass.kind === "stream") {
        yield* readStream(reader, table, this.#changed.get(table.id) ?? [], state, how);
      } else {
        const snapshot = snapshotOf(pass.snapshot);
        const one = { id: split.id, kind: pass.kind, table, work: workOf(split), snapshot, storage };
        yield* readSplit(reader, one, state, how);
      }
    } catch (thrown) {
      throw this.#widened(table, thrown);
    }
  }

  async *lookup(table: Table, keys: Rows, how: Reading): AsyncGenerator<Rows, void> {
    const { reader } = await this.#readerOf(table, null, how.signal);
    try {
      yield* lookupRows(reader, table, keys, how);
    } catch (thrown) {
      throw this.#widened(table, thrown);
    }
  }

  async keepFrom(next: Readonly<Record<string, Json>>, signal: AbortSignal): Promise<KeptStream | null> {
    const stream = this.#stream;
    if (stream === null) return null;
    return this.#pool.use(signal, (connection) => stream.keepFrom(connection, next, signal));
  }

  async unfollow(signal: AbortSignal): Promise<readonly string[]> {
    return this.#pool.use(signal, async (connection) =>
      dropStream(connection, this.#configuration, await this.#describe(connection, signal), signal),
    );
  }

  async release(tables: readonly string[]): Promise<void> {
    await this.#snapshots.release(tables);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stream?.[Symbol.asyncDispose]();
    await this.#snapshots[Symbol.asyncDispose]();
    await this.#pool[Symbol.asyncDispose]();
  }

  /** Each table by itself: what the log said is shared by the stream. */
  async #planStream(
    tables: readonly Table[],
    previous: Readonly<Record<string, Json>>,
    signal: AbortSignal,
  ): Promise<Plan> {
    const next: Record<string, Json> = {};
    const points: PlannedPoint[] = [];
    let over: Pick<Plan, "startsOver" | "lost"> = {};
    await this.#pool.use(signal, async (connection) => {
      const server = await this.#describe(connection, signal);
      const looked = await this.#lookAt(connection, server, tables, signal);
      for (const table of tables) {
        const { shape } = looked.get(table.id)!;
        assertFits(table, shape);
        assertReadable(shape, table.columns, this.#settings.user);
        const changes = await this.#stream!.changes(connection, shape, previous[table.id] ?? null, signal);
        if ("lost" in changes) {
          over = { startsOver: true, ...(changes.lost === null ? {} : { lost: changes.lost }) };
          return;
        }
        this.#changed.set(table.id, changes.keys);
        const { point } = changes;
        // YugabyteDB's log says nothing while nothing changes, so the read point of the copy does not move.
        next[table.id] =
          point === null
            ? { ...(previous[table.id] as object), stream: { ...changes.next } }
            : nextOf(table, shape, point, changes.next);
        if (point !== null) points.push({ table, shape, point });
      }
    });
    const splits = tables.map(({ id }) => ({ id: `${id}/stream`, tables: [id], work: null }));
    const asOf = points.at(-1)?.point.asOf ?? new Date(0).toISOString();
    return { splits, next, asOf, ...unseenFrom(points), snapshot: null, ...over };
  }

  #tellingOf(server: Server, table: string): Telling | null {
    return tellingOf(this.#configuration, server, table, this.#context.follows === true);
  }

  #takePoint(connection: PostgresConnection, staleness: number, signal: AbortSignal): Promise<ReadPoint> {
    const ours = this.#pool.open.map(({ processId }) => processId);
    return takeReadPoint(connection, { ours, lag: this.#configuration.lag, staleness }, signal);
  }

  #warnOfUnknown(tables: readonly Table[]): void {
    const { changes, schema } = this.#configuration;
    for (const name of typeof changes === "string" ? [] : Object.keys(changes)) {
      if (name !== "*" && !tables.some(({ id }) => id === name))
        this.#warnOnce(`changes: schema "${schema}" has no table "${name}"`);
    }
  }

  get #shapeContext(): ShapeContext {
    return { ...this.#context, asText: this.#asText };
  }

  /** A number that does not fit its column has the table planned again. */
  #widened(table: Table, thrown: unknown): unknown {
    return (thrown instanceof ValueOutOfRange ? this.#asText.widened(table, thrown.column) : null) ?? thrown;
  }

  /** Staleness of reads; only YugabyteDB has followers to read. */
  #staleness({ yugabyte }: Server): number | null {
    return yugabyte ? this.#followers : null;
  }

  /** Asks the server once; a failure is not kept. */
  async #describe(connection: PostgresConnection, signal: AbortSignal): Promise<Server> {
    this.#server ??= describeServer(connection, signal);
    try {
      return await this.#server;
    } catch (thrown) {
      this.#server = null;
      throw thrown;
    }
  }

  /**
   * The read point of a plan. Plans of several tables that follow at once share one. A later window or full pass over the
   * same table gets another one, because it ends there; a sweep sees every row anyhow.
   */
  #pointFor(tables: readonly string[], kind: PassKind, take: () => Promise<ReadPoint>): Promise<ReadPoint> {
    if (kind !== "keys" && tables.some((table) => this.#pointed.has(table))) {
      this.#point.forget();
      this.#pointed.clear();
    }
    for (const table of tables) this.#pointed.add(table);
    return this.#point.get(take);
  }

  /** Loads tables from the catalogs, and keeps the results until the next call. */
  async #lookAt(
    connection: PostgresConnection,
    server: Server,
    tables: readonly Table[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, Looked>> {
    const { schema } = this.#configuration;
    const ids = tables.map((table) => table.id);
    const catalog = await this.#catalog.of(connection, ids, signal);
    const looked = new Map<string, Looked>();
    for (const id of ids) {
      const found = catalog.find((table) => table.name === id);
      if (found === undefined) {
        await assertSchema(connection, schema, signal);
        throw new HeadwatersError("TABLE_UNKNOWN", `table "${id}" does not exist in schema "${schema}"`, {
          hint: "If it was dropped or renamed, take it out of the selection.",
        });
      }
      const shape = shapeOf(found, this.#shapeContext);
      await checkFilter(connection, shape, signal);
      const one: Looked = { shape, hashColumns: await hashColumnsOf(connection, shape, server, signal) };
      looked.set(id, one);
      this.#looked.set(id, Promise.resolve(one));
    }
    return looked;
  }

  async #readerOf(
    table: Table,
    pass: Pass | null,
    signal: AbortSignal,
  ): Promise<{ readonly reader: SplitReader; readonly storage: string }> {
    const kept = this.#looked.get(table.id);
    const { server, looked } =
      kept !== undefined && this.#server !== null
        ? { server: await this.#server, looked: await kept }
        : await this.#pool.use(signal, async (connection) => {
            const server = await this.#describe(connection, signal);
            const all = await this.#lookAt(connection, server, [table], signal);
            return { server, looked: all.get(table.id)! };
          });
    assertFits(table, looked.shape);
    const { read, itersize } = this.#configuration;
    const reader: SplitReader = {
      pool: this.#pool,
      snapshots: this.#snapshots,
      server,
      ...looked,
      staleness: this.#staleness(server),
      way: read,
      fetchRows: itersize,
    };
    return { reader, storage: pass === null ? "" : storageOf(pass.snapshot, table.id) };
  }

  /** The snapshot, with the storage digests of the tables; these reveal a table that was rewritten. */
  async #takeSnapshot(
    server: Server,
    looked: ReadonlyMap<string, Looked>,
    splits: readonly Split[],
    signal: AbortSignal,
  ): Promise<Json> {
    const storage = Object.fromEntries(
      [...looked].map(([id, { shape }]) => [id, storageDigest(shape.catalog.storage)] as const),
    );
    // Followers have a read time of their own. A split that is alone takes its own snapshot when it is read. Where there
    // are no splits (a partitioned table without partitions), no end of one would release the snapshot.
    const alone = splits.length <= 1 && splits.every((split) => workOf(split).order !== "ctid");
    const snapshot: Snapshot =
      this.#staleness(server) !== null || alone
        ? { mode: "none" }
        : await this.#snapshots.take(
            server,
            [...looked.keys()],
            splits.map((split) => split.id),
            signal,
          );
    return { ...snapshot, storage };
  }
}
