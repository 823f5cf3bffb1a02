import { nativeCode } from "../../../net/errors.ts";
import { HeadwatersError } from "../../../protocol/errors.ts";
import type { Json } from "../../../protocol/json.ts";
import type { Changed, KeptStream } from "../../../protocol/source.ts";
import { parseBytes } from "../../../toolkit/quantities.ts";
import { Semaphore } from "../../../toolkit/semaphore.ts";
import { sleep } from "../../../toolkit/backoff.ts";
import type { PostgresConnection } from "../../../wire/postgres/connection.ts";
import { relationOf } from "../catalog/catalog.ts";
import { columnOf, type Shape } from "../catalog/shape.ts";
import { type Configuration, follows } from "../config.ts";
import { identityOf } from "../discover.ts";
import type { ReadPoint } from "../snapshot/read-point.ts";
import { Hints } from "./hints.ts";
import { Listener, type ListenerContext } from "./listener.ts";
import { lsnOf, lsnText } from "./lsn.ts";
import { checkStreaming } from "./requirements.ts";
import {
  advanceSlot,
  dropSlot,
  findSlot,
  makeSlot,
  peekSlot,
  logWritten,
  publish,
  type Slot,
  type StreamNames,
  streamNames,
} from "./slot.ts";

/** A collection of hints that took longer than this, in milliseconds, is used again for as long as so many times that. */
const reuse = { longerThan: 500, times: 20 };
/** How often it is looked whether transactions have ended, in milliseconds. */
const lookEach = 100;
/** Who waits for longer says so, in milliseconds. */
const quietFor = 5_000;

/** Where the stream of one table goes on, as it is stored. */
export interface StreamPosition {
  readonly slot: string;
  /** The server and its timeline: after a failover or on another server, the log is another one. */
  readonly system: string;
  /** The table's place in the publication, its identity and the types of its key. */
  readonly published: string;
  /** All commits that begin before it are in the copy. */
  readonly lsn: string;
}

/** What the log said up to one moment. */
interface Collected {
  readonly hints: Hints;
  readonly position: bigint;
  readonly point: ReadPoint;
}

/** What a look at the slot gave, for the tables that ask soon after. */
interface Peeked extends Collected {
  readonly began: number;
  readonly took: number;
}

/** The changes of one table since a position. */
export interface TableChanges {
  readonly keys: readonly (readonly string[])[];
  readonly next: StreamPosition;
  readonly point: ReadPoint;
}

/** What a stream asks of the source that it belongs to. */
export interface StreamContext extends ListenerContext {
  readonly configuration: Configuration;
  /** The key columns of every table of the schema that has a key. */
  keys(connection: PostgresConnection, signal: AbortSignal): Promise<ReadonlyMap<string, readonly string[]>>;
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
  /** What was listened to when the system was asked for. */
  #systemOf: object | null = null;
  #collected: Peeked | null = null;
  /** Listens to the slot all the time, once somebody asked for changes. */
  #listener: Listener | null = null;
  /** By table: where its stream goes on, as the destination holds it. */
  readonly #durable = new Map<string, bigint>();
  /** Tables that have begun a pass since the hints were collected. */
  readonly #given = new Set<string>();

  constructor(context: StreamContext) {
    this.#context = context;
    this.names = streamNames(context.configuration);
  }

  /**
   * The position from which the stream goes on after a full pass that is planned now. It is that of the copy, if the log
   * still tells what changed since. Otherwise it is now: then the table is published, and all transactions that may not be
   * seen by the pass, though the log will not tell of them, have ended.
   */
  async start(
    connection: PostgresConnection,
    shape: Shape,
    previous: Json,
    signal: AbortSignal,
  ): Promise<StreamPosition> {
    return this.#inTurn(signal, async () => {
      const { name } = shape.catalog;
      const { slot, published } = await this.#slotFor(connection, shape, signal);
      const before = positionIn(previous);
      // Also shows whether the log can be read at all, before the table is.
      const { hints } = await this.#collect(connection, name, signal);
      const goesOn = before !== null && this.#lostBecause(before, slot, published) === null;
      if (goesOn && !hints.needsWhole(name, lsnOf(before.lsn))) return before;
      this.#given.add(name);
      hints.fresh.delete(name);
      const [row] = await connection.query("SELECT pg_current_wal_insert_lsn()::text AS lsn", [], signal);
      await this.#waitForOthers(connection, signal);
      return this.#positionAt(lsnOf(row!["lsn"]!), published);
    });
  }

  /**
   * What changed since the position of the copy. Where that can't be told, the table is read whole: `lost` says why, and is
   * `null` if nothing was lost, as after a TRUNCATE.
   */
  async changes(
    connection: PostgresConnection,
    shape: Shape,
    previous: Json,
    signal: AbortSignal,
  ): Promise<TableChanges | { readonly lost: string | null }> {
    return this.#inTurn(signal, async () => {
      const { name } = shape.catalog;
      const { slot, published } = await this.#slotFor(connection, shape, signal);
      const before = positionIn(previous);
      const lost = before === null ? null : this.#lostBecause(before, slot, published);
      if (lost !== null) this.#context.warn(`table "${name}" is read whole, since its stream was lost: ${lost}`);
      if (before === null || lost !== null) return { lost };
      const { hints, position, point } = await this.#collect(connection, name, signal);
      const from = lsnOf(before.lsn);
      hints.fresh.delete(name);
      if (hints.needsWhole(name, from)) {
        this.#context.warn(`table "${name}" is read whole: it was truncated, or more of it changed than fits memory`);
        return { lost: null };
      }
      return {
        keys: hints.of(name, from),
        next: this.#positionAt(from > position ? from : position, published),
        point,
      };
    });
  }

  /** Whether a full pass that was planned with this position may go on. */
  async holds(connection: PostgresConnection, shape: Shape, next: Json, signal: AbortSignal): Promise<boolean> {
    const position = positionIn(next);
    if (position === null) return false;
    return this.#inTurn(signal, async () => {
      const { slot, published } = await this.#slotFor(connection, shape, signal);
      return this.#lostBecause(position, slot, published) === null;
    });
  }

  /**
   * Lets the server drop the log before the oldest of these positions, and what is more than `max_retained` anyway.
   * `next`: by table, as the destination holds it. Resolves to what is kept; `null`: there is no stream.
   */
  async keepFrom(
    connection: PostgresConnection,
    next: Readonly<Record<string, Json>>,
    signal: AbortSignal,
  ): Promise<KeptStream | null> {
    return this.#inTurn(signal, async () => {
      this.#collected = null;
      const feed = this.#listener?.feed ?? null;
      const slot = feed ?? (await findSlot(connection, this.names.slot, signal));
      if (slot === null || slot.lost) return null;
      await this.#learnSystem(connection, signal);
      this.#durable.clear();
      for (const [table, one] of Object.entries(next)) {
        const position = positionIn(one);
        if (position === null || this.#lostBecause(position, slot, position.published) !== null) continue;
        this.#durable.set(table, lsnOf(position.lsn));
        feed?.hints.forget(table, lsnOf(position.lsn));
      }
      // Somebody else's tables in the publication, and those that are followed no longer.
      for (const table of feed?.hints.tables ?? [])
        if (!(table in next) || !follows(this.#context.configuration, table))
          feed!.hints.forget(table, feed!.hints.reached);
      const [oldest = slot.confirmed] = [...this.#durable.values()].sort((a, b) => (a < b ? -1 : 1));
      const most = BigInt(parseBytes(this.#context.configuration.max_retained)!);
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
    this.#listener ??= new Listener(this.names, this.#context, (work) => this.#inTurn(signal, work));
    return this.#listener.changed(within, among, signal);
  }

  /** Ends the listening; the slot is free then. */
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

  /** The slot, which is made if it is missing or no longer of use. The table is published before. */
  async #slotFor(
    connection: PostgresConnection,
    shape: Shape,
    signal: AbortSignal,
  ): Promise<{ readonly slot: Slot; readonly published: string }> {
    const { slot: name, publication } = this.names;
    const feed = this.#listener?.feed ?? null;
    if (this.#system === null) await checkStreaming(connection, signal);
    await this.#learnSystem(connection, signal);
    const { catalog } = shape;
    const { schema, name: table, partitioned } = catalog;
    const relation = relationOf(shape, null);
    const place = await publish(connection, publication, { relation, schema, name: table, partitioned }, signal);
    // Keys that were written by another type can't be looked up.
    const types = shape.key.map((column) => columnOf(shape, column).sql);
    const published = [place, identityOf(catalog), ...types].join(" ");
    // Nobody can drop a slot that is being read.
    const found = feed ?? (await findSlot(connection, name, signal));
    if (found !== null && !found.lost) return { slot: found, published };
    if (found !== null) {
      this.#context.warn(`the server has dropped log that the slot "${name}" needed; the slot is made again`);
      await dropSlot(connection, name, signal);
    }
    this.#collected = null;
    await makeSlot(connection, name, signal);
    return { slot: (await findSlot(connection, name, signal))!, published };
  }

  /** A session that listens stays on one server. */
  async #learnSystem(connection: PostgresConnection, signal: AbortSignal): Promise<void> {
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

  /** `null`: the slot still has all that came after the position. */
  #lostBecause({ slot, system, published, lsn }: StreamPosition, { confirmed }: Slot, now: string): string | null {
    if (slot !== this.names.slot) return `it was read by the slot "${slot}"`;
    if (system !== this.#system) return "the server is another one, or another one took over";
    if (published !== now)
      return `its key was altered, or it was not in the publication "${this.names.publication}" all the time`;
    if (lsnOf(lsn) >= confirmed) return null;
    return `the slot "${slot}" was made again or read by something else (each copy needs a slot of its own), or its log had grown past max_retained`;
  }

  /** What the log says up to now. Where nothing listens to it, the slot is looked at, unless another table just did. */
  async #collect(connection: PostgresConnection, table: string, signal: AbortSignal): Promise<Collected> {
    const listened = await this.#listener?.collect(connection, signal);
    if (listened != null) {
      const { hints, point } = listened;
      return { hints, point, position: before(hints.unseen, hints.reached) };
    }
    const last = this.#collected;
    const isCostly = last !== null && last.took > reuse.longerThan;
    const isFresh = isCostly && performance.now() - last.began < reuse.times * last.took;
    if (last !== null && (!this.#given.has(table) || isFresh)) {
      this.#given.add(table);
      return last;
    }
    const began = performance.now();
    const { configuration } = this.#context;
    const point = await this.#context.takePoint(connection, signal);
    const keys = await this.#context.keys(connection, signal);
    const [[end, snapshot] = []] = await connection.simple(endSql, signal);
    const hints = new Hints(configuration.schema, keys);
    await this.#peek(connection, end!, (message) => hints.take(message), signal);
    hints.see(snapshot!);
    const position = before(hints.unseen, lsnOf(end!));
    this.#collected = { hints, position, point, began, took: performance.now() - began };
    this.#given.clear();
    this.#given.add(table);
    return this.#collected;
  }

  async #peek(
    connection: PostgresConnection,
    end: string,
    take: (message: Buffer) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const { slot, publication } = this.names;
    try {
      await peekSlot(connection, this.names, end, take, signal);
    } catch (thrown) {
      signal.throwIfAborted();
      if (!(thrown instanceof HeadwatersError) || nativeCode(thrown.cause) !== "42704") throw thrown;
      // The log is read with the catalogs of its time. Without this slot, every table is read whole by the next attempt.
      await dropSlot(connection, slot, signal);
      throw new HeadwatersError(
        "READ_CONFLICT",
        `publication: "${publication}" was dropped and made again, and the log before that can't be read`,
        { hint: "The slot was dropped; the tables are read whole again.", cause: thrown },
      );
    }
  }

  /**
   * Waits until every transaction has ended that runs now. The log may tell of its commit already, or of a part of its
   * changes only, while no snapshot shows them.
   */
  async #waitForOthers(connection: PostgresConnection, signal: AbortSignal): Promise<void> {
    const [row] = await connection.query("SELECT txid_current()::text AS id", [], signal);
    const began = performance.now();
    for (let warned = false; ;) {
      const [is] = await connection.query(
        "SELECT (txid_snapshot_xmin(txid_current_snapshot()) > $1::int8)::text AS over",
        [row!["id"]!],
        signal,
      );
      if (is!["over"] === "true") return;
      if (!warned && performance.now() - began > quietFor) {
        this.#context.warn("the stream begins once all transactions have ended that are open now; this waits for them");
        warned = true;
      }
      await sleep(lookEach, signal);
    }
  }
}

/**
 * Commits a message of some bytes, locally: with it, everything that was committed before is flushed, so that the slot shows
 * it. Then the end of what is flushed, and what is visible after that.
 */
const endSql = `BEGIN READ WRITE; SET LOCAL synchronous_commit = local; SELECT pg_logical_emit_message(true, 'headwaters', ''); COMMIT;
SELECT pg_current_wal_flush_lsn()::text, txid_current_snapshot()::text`;

/** The earlier of two positions; `null` is none. */
function before(unseen: bigint | null, reached: bigint): bigint {
  return unseen !== null && unseen < reached ? unseen : reached;
}

export function positionIn(next: Json): StreamPosition | null {
  return (next as { readonly stream?: StreamPosition } | null)?.stream ?? null;
}
