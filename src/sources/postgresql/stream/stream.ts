import { HeadwatersError } from "../../../protocol/errors.ts";
import type { Json } from "../../../protocol/json.ts";
import type { Changed, KeptStream } from "../../../protocol/source.ts";
import { parseBytes } from "../../../toolkit/quantities.ts";
import { Semaphore } from "../../../toolkit/semaphore.ts";
import { sleep } from "../../../toolkit/backoff.ts";
import type { PostgresConnection } from "../../../wire/postgres/connection.ts";
import { type CatalogTable, relationOf } from "../catalog/catalog.ts";
import { columnOf, type Shape, type ShapeContext } from "../catalog/shape.ts";
import { follows } from "../config.ts";
import { identityOf } from "../discover.ts";
import type { Server } from "../server.ts";
import type { ReadPoint } from "../snapshot/read-point.ts";
import { Listener, type ListenerContext } from "./listener.ts";
import { earlier, lsnOf, lsnText } from "./lsn.ts";
import { pluginOf, type StreamNames, streamNames } from "./names.ts";
import { waitForOthers } from "./others.ts";
import { type Collected, peekHints } from "./peek.ts";
import { lostBecause, positionIn, type StreamPosition, yugabyteStream } from "./position.ts";
import { publish } from "./publication.ts";
import { checkStreaming } from "./requirements.ts";
import { advanceSlot, dropSlot, findSlot, makeSlot, logWritten, type Slot } from "./slot.ts";
import { followedShapes } from "./telling.ts";
import { clockSkew } from "./visible.ts";

/** If collecting hints took longer than this, in milliseconds, they are reused for this many times as long. */
const reuse = { longerThan: 500, times: 20 };
/** How often, and for how long, to check whether the log is being read, in milliseconds. */
const listening = { each: 100, within: 60_000 };
/**
 * How long YugabyteDB may take to add a table to its stream that was published after the slot was made, in milliseconds. By
 * default it checks every 15 minutes (`cdcsdk_publication_list_refresh_interval_secs`), and before 2026.1 it does not send
 * rows written until then.
 */
const publishedWithin = 20 * 60_000;

/** The result of one look at the slot, for the tables that ask soon after. */
interface Peeked extends Collected {
  readonly began: number;
  readonly took: number;
}

/** The changes of one table since a position. */
export interface TableChanges {
  readonly keys: readonly (readonly string[])[];
  readonly next: StreamPosition;
  /** `null`: the log reports no moment up to which they are complete. */
  readonly point: ReadPoint | null;
}

/** What a stream needs of its source. */
export interface StreamContext extends ListenerContext {
  readonly shapes: ShapeContext;
}

/**
 * The changes of all tables, by one replication slot. The log says which keys changed; their rows are looked up. Each
 * table has a position of its own, which is stored with its copy; the slot keeps the log from the oldest of them on.
 */
export class ChangeStream {
  readonly names: StreamNames;
  readonly #context: StreamContext;
  /** The slot and the publication have one user at a time. */
  readonly #turns = new Semaphore(1);
  #system: string | null = null;
  /** The connection that was listening when the system was requested. */
  #systemOf: object | null = null;
  #collected: Peeked | null = null;
  /** Listens to the slot from the first request for changes on. */
  #listener: Listener | null = null;
  /** By table: the position that the destination holds. */
  readonly #durable = new Map<string, bigint>();
  /** Tables that have begun a pass since the hints were collected. */
  readonly #given = new Set<string>();
  /** The tables of the first request for changes: all selected tables. */
  #selected: ReadonlySet<string> = new Set();
  /** Tables that were published before the slot was made. */
  readonly #publishedFirst = new Set<string>();

  constructor(context: StreamContext) {
    this.#context = context;
    this.names = streamNames(context.configuration);
  }

  /**
   * The position from which the stream goes on after a full pass that is planned now. It is the position of the copy, if
   * the log still has the changes since. Otherwise it is now, once the table is published and every transaction has ended
   * that the pass might not see and that the log will not have.
   */
  async start(
    connection: PostgresConnection,
    shape: Shape,
    previous: Json,
    signal: AbortSignal,
  ): Promise<StreamPosition> {
    return this.#whenHeard(signal, async () => {
      const { name } = shape.catalog;
      const server = await this.#context.server(connection, signal);
      const { slot, published } = await this.#slotFor(connection, shape, server, signal);
      const before = positionIn(previous);
      // This also shows whether the log can be read at all, before the table is read.
      const collected = await this.#collect(connection, name, server, signal);
      const hints = collected?.hints ?? null;
      const goesOn = before !== null && this.#lostBecause(before, slot, published) === null;
      if (goesOn && hints?.needsWhole(name, lsnOf(before.lsn)) !== true) return settled(before);
      this.#given.add(name);
      hints?.fresh.delete(name);
      if (server.yugabyte) {
        // The log does not report its end. Everything before the last sent position is visible; if nothing was sent,
        // before the slot's beginning.
        const position = collected?.position ?? slot.confirmed;
        if (hints?.needsWhole(name, position) === true) return null;
        const now = this.#positionAt(position, published);
        if (goesOn) return { ...settled(before), lsn: now.lsn };
        return this.#publishedFirst.has(name) ? now : { ...now, settles: Date.now() + publishedWithin };
      }
      const [row] = await connection.query("SELECT pg_current_wal_insert_lsn()::text AS lsn", [], signal);
      await waitForOthers(connection, (message) => this.#context.warn(message), signal);
      return this.#positionAt(lsnOf(row!["lsn"]!), published);
    });
  }

  /**
   * The changes since the position of the copy. If they can't be known, the table is read whole: `lost` says why, and is
   * `null` if nothing was lost, as after a TRUNCATE.
   */
  async changes(
    connection: PostgresConnection,
    shape: Shape,
    previous: Json,
    signal: AbortSignal,
  ): Promise<TableChanges | { readonly lost: string | null }> {
    return this.#whenHeard(signal, async () => {
      const { name } = shape.catalog;
      const server = await this.#context.server(connection, signal);
      const { slot, published } = await this.#slotFor(connection, shape, server, signal);
      const before = positionIn(previous);
      const lost = before === null ? null : this.#lostBecause(before, slot, published);
      if (lost !== null) this.#context.warn(`table "${name}" is read whole, since its stream was lost: ${lost}`);
      if (before === null || lost !== null) return { lost };
      if (settled(before) !== before) {
        this.#context.warn(`table "${name}" is read whole once more: it was published after the slot was made`);
        return { lost: null };
      }
      const collected = await this.#collect(connection, name, server, signal);
      if (collected === null) return null;
      const { hints, position, point } = collected;
      const from = lsnOf(before.lsn);
      hints.fresh.delete(name);
      if (hints.needsWhole(name, from)) {
        this.#context.warn(
          `table "${name}" is read whole: it was truncated, or its changed keys do not fit into memory`,
        );
        return { lost: null };
      }
      return {
        keys: hints.of(name, from),
        next: { ...before, lsn: lsnText(from > position ? from : position) },
        point,
      };
    });
  }

  /** Whether a full pass that was planned with this position may go on. */
  async holds(connection: PostgresConnection, shape: Shape, next: Json, signal: AbortSignal): Promise<boolean> {
    const position = positionIn(next);
    if (position === null) return false;
    return this.#inTurn(signal, async () => {
      const server = await this.#context.server(connection, signal);
      const { slot, published } = await this.#slotFor(connection, shape, server, signal);
      return this.#lostBecause(position, slot, published) === null;
    });
  }

  /**
   * Lets the server drop the log before the oldest of these positions, and any log beyond `max_retained`.
   * `next`: by table, as the destination holds it. Resolves to what the source keeps; `null`: there is no stream.
   */
  async keepFrom(
    connection: PostgresConnection,
    next: Readonly<Record<string, Json>>,
    signal: AbortSignal,
  ): Promise<KeptStream | null> {
    return this.#inTurn(signal, async () => {
      this.#collected = null;
      const { configuration } = this.#context;
      const server = await this.#context.server(connection, signal);
      const feed = this.#listener?.feed ?? null;
      // Only the session that reads the slot can confirm a position to YugabyteDB.
      if (server.yugabyte && feed === null) return null;
      const slot = feed ?? (await findSlot(connection, configuration, server, signal));
      if (slot === null || slot.lost) return null;
      await this.#learnSystem(connection, slot, signal);
      this.#durable.clear();
      for (const [table, one] of Object.entries(next)) {
        const position = positionIn(one);
        if (position === null || this.#lostBecause(position, slot, position.published) !== null) continue;
        this.#durable.set(table, lsnOf(position.lsn));
        feed?.hints.forget(table, lsnOf(position.lsn));
      }
      // Tables of others in the publication, and tables that are no longer followed.
      for (const table of feed?.hints.tables ?? [])
        if (!(table in next) || !follows(configuration, table)) feed!.hints.forget(table, feed!.hints.reached);
      const [oldest = slot.confirmed] = [...this.#durable.values()].sort((a, b) => (a < b ? -1 : 1));
      if (server.yugabyte) {
        feed!.confirm(oldest, false);
        return { position: lsnText(oldest), bytes: null, limit: null };
      }
      const most = BigInt(parseBytes(configuration.max_retained)!);
      const { written, left } = await logWritten(connection, this.names.slot, signal);
      const least = written - most;
      if (least > oldest) {
        this.#context.warn(
          `the slot "${this.names.slot}" keeps more log than max_retained for tables that fail: they will be read whole again`,
        );
      }
      const upTo = least > oldest ? least : oldest;
      if (feed !== null) feed.confirm(upTo, least > oldest);
      else if (upTo > slot.confirmed) await advanceSlot(connection, this.names.slot, lsnText(upTo), signal);
      const bytes = Number(written > upTo ? written - upTo : 0n);
      const limit = left === null ? Number(most) : Math.min(Number(most), bytes + left);
      return { position: lsnText(upTo), bytes, limit };
    });
  }

  /** As `Source.changed`. */
  async changed(within: number, among: ReadonlySet<string>, signal: AbortSignal): Promise<Changed> {
    if (this.#listener === null) this.#selected = among;
    this.#listener ??= new Listener(this.names, this.#context, (until, work) => this.#inTurn(until, work));
    return this.#listener.changed(within, among, signal);
  }

  /** Ends the listener; the slot is free afterwards. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#listener?.[Symbol.asyncDispose]();
  }

  async #inTurn<Result>(signal: AbortSignal, work: () => Promise<Result>): Promise<Result> {
    const release = await this.#turns.acquire(1, signal);
    try {
      return await work();
    } finally {
      release();
    }
  }

  /** Tries again while the log is not being read (`null`), since that may begin soon. */
  async #whenHeard<Result>(signal: AbortSignal, work: () => Promise<Result | null>): Promise<Result> {
    const until = performance.now() + listening.within;
    for (;;) {
      const result = await this.#inTurn(signal, work);
      if (result !== null) return result;
      if (performance.now() > until) {
        throw new HeadwatersError("READ_CONFLICT", `the replication slot "${this.names.slot}" can't be read now`, {
          hint: "See the warnings before this one for the reason. It is tried again.",
        });
      }
      await sleep(listening.each, signal);
    }
  }

  /** The slot, which is made if it is missing or not usable. The table is published first. */
  async #slotFor(
    connection: PostgresConnection,
    shape: Shape,
    server: Server,
    signal: AbortSignal,
  ): Promise<{ readonly slot: Slot; readonly published: string }> {
    const { slot: name } = this.names;
    const { configuration } = this.#context;
    const feed = this.#listener?.feed ?? null;
    if (this.#system === null) await checkStreaming(connection, server, signal);
    const { catalog } = shape;
    const place = await this.#publish(connection, shape, signal);
    // Keys that were written with another type can't be looked up.
    const types = shape.key.map((column) => columnOf(shape, column).sql);
    const published = [place, identityOf(catalog), ...types].join(" ");
    // A slot that is being read can't be dropped.
    let slot = feed ?? (await findSlot(connection, configuration, server, signal));
    const isGone = slot !== null && slot.stream !== null && slot.stream === this.#listener?.expired;
    if (slot !== null && (slot.lost || isGone)) {
      this.#context.warn(`the server has dropped log that the slot "${name}" needed; the slot is made again`);
      await dropSlot(connection, name, signal);
      slot = null;
    }
    if (slot === null) {
      this.#collected = null;
      if (server.yugabyte) await this.#publishFirst(connection, catalog, server, signal);
      await makeSlot(connection, name, pluginOf(configuration, server), signal);
      // Earlier commits are not sent. A read that begins after this moment sees them.
      if (server.yugabyte) await sleep(clockSkew, signal);
      slot = (await findSlot(connection, configuration, server, signal))!;
    }
    await this.#learnSystem(connection, slot, signal);
    return { slot, published };
  }

  /** Resolves to what identifies the table's place in the publication. */
  #publish(connection: PostgresConnection, shape: Shape, signal: AbortSignal): Promise<string> {
    const { schema, name, partitioned } = shape.catalog;
    const table = { relation: relationOf(shape, null), schema, name, partitioned };
    return publish(connection, this.names.publication, table, signal);
  }

  /**
   * Publishes all selected tables, since YugabyteDB adds tables that are published later to the stream only after a while.
   */
  async #publishFirst(
    connection: PostgresConnection,
    { name }: CatalogTable,
    server: Server,
    signal: AbortSignal,
  ): Promise<void> {
    const { configuration, shapes } = this.#context;
    this.#publishedFirst.clear();
    this.#publishedFirst.add(name);
    const tables = [...this.#selected];
    for (const shape of await followedShapes(connection, configuration, server, shapes, tables, signal)) {
      try {
        await this.#publish(connection, shape, signal);
        this.#publishedFirst.add(shape.catalog.name);
      } catch (thrown) {
        // The pass of that table reports it.
        if (!(thrown instanceof HeadwatersError) || thrown.code !== "PRIVILEGE_MISSING") throw thrown;
      }
    }
  }

  /** A session that listens stays on one server. */
  async #learnSystem(connection: PostgresConnection, { stream }: Slot, signal: AbortSignal): Promise<void> {
    if (stream !== null) {
      this.#system = `${yugabyteStream}${stream}`;
      return;
    }
    const feed = this.#listener?.feed ?? null;
    if (feed !== null && feed === this.#systemOf) return;
    const [row] = await connection.query(
      `SELECT system_identifier::text || '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8) AS system FROM pg_control_system()`,
      [],
      signal,
    );
    this.#system = row!["system"]!;
    this.#systemOf = feed;
  }

  #positionAt(lsn: bigint, published: string): StreamPosition {
    return { slot: this.names.slot, system: this.#system!, published, lsn: lsnText(lsn) };
  }

  #lostBecause(position: StreamPosition, { confirmed }: Slot, published: string): string | null {
    return lostBecause(position, { names: this.names, system: this.#system!, published, confirmed });
  }

  /**
   * The log's changes up to now. If there is no listener, the slot is read, unless another table has just done so. `null`:
   * YugabyteDB sends changes only to a listener.
   */
  async #collect(
    connection: PostgresConnection,
    table: string,
    { yugabyte }: Server,
    signal: AbortSignal,
  ): Promise<Collected | null> {
    const listened = await this.#listener?.collect(connection, signal);
    if (listened != null) {
      const { hints, point } = listened;
      return { hints, point, position: earlier(hints.unseen, hints.reached) };
    }
    if (yugabyte) return null;
    const last = this.#collected;
    const isCostly = last !== null && last.took > reuse.longerThan;
    const isFresh = isCostly && performance.now() - last.began < reuse.times * last.took;
    if (last !== null && (!this.#given.has(table) || isFresh)) {
      this.#given.add(table);
      return last;
    }
    const began = performance.now();
    const peeked = await peekHints(connection, this.names, this.#context, signal);
    this.#collected = { ...peeked, began, took: performance.now() - began };
    this.#given.clear();
    this.#given.add(table);
    return this.#collected;
  }
}

/** The position, without `settles` once the log has all of the table's changes; the table is then read whole. */
function settled(position: StreamPosition): StreamPosition {
  const { settles, ...rest } = position;
  return settles === undefined || settles > Date.now() ? position : rest;
}
