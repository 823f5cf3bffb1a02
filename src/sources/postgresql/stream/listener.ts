import { nativeCode } from "../../../net/errors.ts";
import { asHeadwatersError } from "../../../protocol/errors.ts";
import type { Changed } from "../../../protocol/source.ts";
import { backoff, sleep } from "../../../toolkit/backoff.ts";
import { Bell } from "../../../toolkit/bell.ts";
import type { PostgresConnection, PostgresSettings } from "../../../wire/postgres/connection.ts";
import { Replication } from "../../../wire/postgres/replication.ts";
import type { Configuration } from "../config.ts";
import type { Server } from "../server.ts";
import type { ReadPoint } from "../snapshot/read-point.ts";
import { Hints } from "./hints.ts";
import { lsnOf } from "./lsn.ts";
import { decodeMessage } from "./pgoutput.ts";
import type { StreamNames } from "./names.ts";
import { findSlot, type Slot } from "./slot.ts";
import { clockSkew, committedBefore, visibleIn } from "./visible.ts";

/**
 * How often the listener checks whether there is a slot to read, or whether commits have become visible, in milliseconds.
 */
const lookEach = 250;
/** The longest wait before the next attempt to listen, in milliseconds. */
const longestWait = 15_000;
/** After failing for this long, and then this often, the listener warns, in milliseconds. */
const quietFor = 60_000;
/** The most moments that wait for the log to reach them. */
const mostMarks = 64;

/** What a listener needs of its source. */
export interface ListenerContext {
  readonly configuration: Configuration;
  readonly settings: PostgresSettings;
  /** The key columns of every table of the schema that has a key. */
  keys(connection: PostgresConnection, signal: AbortSignal): Promise<ReadonlyMap<string, readonly string[]>>;
  server(connection: PostgresConnection, signal: AbortSignal): Promise<Server>;
  takePoint(connection: PostgresConnection, signal: AbortSignal): Promise<ReadPoint>;
  /** Runs work on a session that reads tables. */
  use<Result>(signal: AbortSignal, work: (connection: PostgresConnection) => Promise<Result>): Promise<Result>;
  warn(message: string): void;
}

/** A moment of the source, and how to see whether the hints have everything that was committed before it. */
interface Mark {
  readonly point: ReadPoint;
  isReached(hints: Hints): boolean;
}

/** A slot that is being read. */
class Feed implements Slot {
  readonly hints: Hints;
  readonly lost = false;
  readonly retained = null;
  readonly reader = null;
  readonly stream: string | null;
  confirmed: bigint;
  /** Whether the log reports its end, so that it is known when everything was sent. YugabyteDB's log does not. */
  readonly #tellsEnd: boolean;
  /** The first moment was taken before the slot was read. */
  readonly marks: Mark[];
  readonly #replication: Replication;

  constructor(replication: Replication, slot: Slot, hints: Hints, mark: Mark, { yugabyte }: Server) {
    this.#replication = replication;
    this.#tellsEnd = !yugabyte;
    this.stream = slot.stream;
    this.confirmed = slot.confirmed;
    this.hints = hints;
    this.marks = [mark];
  }

  /** `givesUp`: positions before it count as lost. */
  confirm(lsn: bigint, givesUp: boolean): void {
    if (givesUp) this.confirmed = lsn;
    this.#replication.confirm(lsn);
  }

  mark(mark: Mark): void {
    this.marks.push(mark);
    // While YugabyteDB's log is silent, no moment is reached. Once it sends something, the newest ones are.
    if (this.marks.length > mostMarks) this.marks.splice(1, 1);
  }

  /** The newest moment up to which everything is here; `null`: not even the first. */
  get point(): ReadPoint | null {
    while (this.marks.length > 1 && this.marks[1]!.isReached(this.hints)) this.marks.shift();
    return this.marks[0]!.isReached(this.hints) ? this.marks[0]!.point : null;
  }

  /** Whether the hints can be looked up: they begin at or before the positions of the copies. */
  get isCurrent(): boolean {
    return !this.#tellsEnd || this.point !== null;
  }

  async read(keys: () => Promise<Hints["keys"]>, wake: () => void): Promise<void> {
    for await (const message of this.#replication.messages()) {
      if (message.kind === "alive") {
        if (this.#tellsEnd) this.hints.reach(message.end);
        continue;
      }
      const change = decodeMessage(message.payload, (id) => this.hints.placesOf(id));
      if (this.hints.asksForKeys(change)) this.hints.keys = await keys();
      this.hints.takeMessage(change);
      if (change.kind === "commit" && this.hints.fresh.size > 0) wake();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#replication[Symbol.asyncDispose]();
  }
}

/** Runs work while nobody else uses the slot. */
type InTurn = <Result>(signal: AbortSignal, work: () => Promise<Result>) => Promise<Result>;

/** Listens to a slot, and starts again whenever the connection ends. The changes are collected by key. */
export class Listener implements AsyncDisposable {
  /** `null`: the log is not being read now. */
  feed: Feed | null = null;
  /** The slot whose log is gone, by its {@link Slot.stream}. */
  expired: string | null = null;
  /** The slot that is read, or was read last. */
  #slot: Slot | null = null;
  readonly #names: StreamNames;
  readonly #context: ListenerContext;
  readonly #inTurn: InTurn;
  readonly #stop = new AbortController();
  readonly #listening: Promise<void>;
  readonly #bell = new Bell();
  #ending = false;
  /** Whether the slot was read before. */
  #heard = false;
  /** Why the log can't be read although the server works: the next passes report or repair it. */
  #broken = false;
  #failedSince: number | null = null;
  #said = 0;

  constructor(names: StreamNames, context: ListenerContext, inTurn: InTurn) {
    this.#names = names;
    this.#context = context;
    this.#inTurn = inTurn;
    this.#listening = this.#listen();
  }

  /** As `Source.changed`. */
  async changed(within: number, among: ReadonlySet<string>, signal: AbortSignal): Promise<Changed> {
    const until = performance.now() + within;
    for (;;) {
      const { hints } = this.feed ?? {};
      if (hints !== undefined && hints.unseen !== null) await this.#look(hints, signal);
      const tables = this.feed?.isCurrent === true ? [...hints!.fresh].filter((table) => among.has(table)) : [];
      const left = until - performance.now();
      const altered = this.#broken || (hints?.altered ?? false);
      if (tables.length > 0 || altered || left <= 0) {
        this.#broken = false;
        if (hints !== undefined) hints.altered = false;
        return { tables, since: hints?.takeSince() ?? null, altered };
      }
      await this.#bell.wait(Math.min(left, lookEach), signal);
    }
  }

  /**
   * The hints, and the moment up to which they are complete (`null`: the log has not reported one yet).
   * `null`: the log is not being read now.
   */
  async collect(
    connection: PostgresConnection,
    signal: AbortSignal,
  ): Promise<{ readonly hints: Hints; readonly point: ReadPoint | null } | null> {
    for (let feed = this.feed; feed !== null; feed = this.feed) {
      feed.mark(await this.#mark(connection, signal));
      const { isCurrent, point, hints } = feed;
      if (isCurrent) {
        await this.#see(hints, connection, signal);
        return { hints, point };
      }
      await sleep(lookEach, signal);
    }
    return null;
  }

  async #listen(): Promise<void> {
    const { signal } = this.#stop;
    for (let attempt = 1; !this.#ending;) {
      try {
        const feed = await this.#inTurn(signal, () => this.#open(signal));
        if (feed === null) {
          if (this.#heard) this.#meet();
          await sleep(lookEach, signal);
          continue;
        }
        attempt = 1;
        this.#heard = true;
        this.#failedSince = null;
        await using _ = feed;
        const keys = (): Promise<Hints["keys"]> =>
          this.#context.use(signal, (connection) => this.#context.keys(connection, signal));
        await feed.read(keys, () => this.#bell.ring());
        if (!this.#ending) await sleep(lookEach, signal);
      } catch (thrown) {
        if (this.#ending) break;
        this.#failed(thrown);
        await sleep(backoff(++attempt, 250, longestWait), signal).catch(() => {});
      } finally {
        this.feed = null;
      }
    }
  }

  /** `null`: there is no usable slot yet. The next passes make one. */
  async #open(signal: AbortSignal): Promise<Feed | null> {
    return this.#context.use(signal, async (connection) => {
      const { configuration } = this.#context;
      const server = await this.#context.server(connection, signal);
      const slot = await findSlot(connection, configuration, server, signal);
      if (slot === null || slot.lost || (slot.stream !== null && slot.stream === this.expired)) return null;
      this.#slot = slot;
      const keys = await this.#context.keys(connection, signal);
      const mark = await this.#mark(connection, signal);
      const replication = await Replication.start(this.#context.settings, this.#names, signal);
      const hints = new Hints(configuration.schema, keys);
      hints.reached = slot.confirmed;
      this.feed = new Feed(replication, slot, hints, mark, server);
      return this.feed;
    });
  }

  async #mark(connection: PostgresConnection, signal: AbortSignal): Promise<Mark> {
    const point = await this.#context.takePoint(connection, signal);
    if ((await this.#context.server(connection, signal)).yugabyte) {
      // Commits come in the order of their times, which several clocks gave.
      const at = Date.parse(point.asOf) + clockSkew;
      return { point, isReached: (hints) => hints.reachedAt >= at };
    }
    const [row] = await connection.query("SELECT pg_current_wal_insert_lsn()::text AS lsn", [], signal);
    const lsn = withoutPageHead(lsnOf(row!["lsn"]!));
    return { point, isReached: (hints) => hints.reached >= lsn };
  }

  async #see(hints: Hints, connection: PostgresConnection, signal: AbortSignal): Promise<boolean> {
    if (hints.unseen === null) return false;
    const { yugabyte } = await this.#context.server(connection, signal);
    const now = yugabyte ? "(extract(epoch FROM clock_timestamp()) * 1000)::int8" : "txid_current_snapshot()";
    const [row] = await connection.query(`SELECT ${now}::text AS now`, [], signal);
    return hints.see(yugabyte ? committedBefore(Number(row!["now"])) : visibleIn(row!["now"]!));
  }

  /** Transactions that have become visible can be looked up. */
  async #look(hints: Hints, signal: AbortSignal): Promise<void> {
    const seen = await this.#context
      .use(signal, (connection) => this.#see(hints, connection, signal))
      .catch((thrown: unknown) => {
        signal.throwIfAborted();
        this.#failed(thrown);
        return false;
      });
    if (seen) for (const table of hints.tables) hints.fresh.add(table);
  }

  /** A server that is away may come back; any other obstacle is met by the next passes. */
  #failed(thrown: unknown): void {
    const error = asHeadwatersError(thrown);
    const native = nativeCode(error.cause);
    const stream = this.#slot?.stream ?? null;
    const isGone = stream !== null && isLogGone(error.message);
    if (isGone) this.expired = stream;
    if (error.remedy !== "retry" || native === "42704" || isGone) this.#meet();
    const now = performance.now();
    this.#failedSince ??= now;
    if (native === "42704" || (now - this.#failedSince < quietFor / 12 && error.remedy === "retry")) return;
    if (now - this.#said < quietFor) return;
    this.#said = now;
    const what =
      native === "55006" ? `another process is reading the replication slot "${this.#names.slot}"` : error.message;
    this.#context.warn(`the stream can't be read: ${what}; it is tried again until it works`);
  }

  /** Lets the next passes meet the error. */
  #meet(): void {
    this.#heard = false;
    this.#broken = true;
    this.#bell.ring();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending = true;
    await this.feed?.[Symbol.asyncDispose]();
    this.#stop.abort();
    await this.#listening;
  }
}

/** Whether an error of YugabyteDB says that the log is gone: it is kept for some hours (`cdc_intent_retention_ms`). */
export function isLogGone(message: string): boolean {
  return /is expired for tablet|unpolled for too long for tablet|already GCed intents|did not find a WAL message/i.test(
    message,
  );
}

/** At the beginning of a page the server counts its head as written. No record is there. */
function withoutPageHead(lsn: bigint): bigint {
  if (lsn % 8192n === 24n) return lsn - 24n;
  return lsn % 1_048_576n === 40n ? lsn - 40n : lsn;
}
