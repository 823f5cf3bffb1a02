import { nativeCode } from "../../../net/errors.ts";
import { asHeadwatersError } from "../../../protocol/errors.ts";
import type { Changed } from "../../../protocol/source.ts";
import { backoff, sleep } from "../../../toolkit/backoff.ts";
import { Bell } from "../../../toolkit/bell.ts";
import type { PostgresConnection, PostgresSettings } from "../../../wire/postgres/connection.ts";
import { Replication } from "../../../wire/postgres/replication.ts";
import type { ReadPoint } from "../snapshot/read-point.ts";
import { Hints } from "./hints.ts";
import { lsnOf } from "./lsn.ts";
import { decodeMessage } from "./pgoutput.ts";
import { findSlot, type Slot, type StreamNames } from "./slot.ts";

/** How often it is looked whether there is a slot to listen to, or whether commits are visible by now, in milliseconds. */
const lookEach = 250;
/** The longest wait before the next attempt to listen, in milliseconds. */
const longestWait = 15_000;
/** Who listens in vain for longer than this says so, and then as often, in milliseconds. */
const quietFor = 60_000;

/** What a listener asks of the source that it belongs to. */
export interface ListenerContext {
  readonly configuration: { readonly schema: string };
  readonly settings: PostgresSettings;
  /** The key columns of every table of the schema that has a key. */
  keys(connection: PostgresConnection, signal: AbortSignal): Promise<ReadonlyMap<string, readonly string[]>>;
  takePoint(connection: PostgresConnection, signal: AbortSignal): Promise<ReadPoint>;
  /** Runs work on a session that reads tables. */
  use<Result>(signal: AbortSignal, work: (connection: PostgresConnection) => Promise<Result>): Promise<Result>;
  warn(message: string): void;
}

/** A moment of the source: what was committed before it lies before `lsn`. */
interface Mark {
  readonly point: ReadPoint;
  readonly lsn: bigint;
}

/** A slot that is being read. */
class Feed implements Slot {
  readonly hints: Hints;
  readonly lost = false;
  readonly retained = 0n;
  readonly reader = null;
  confirmed: bigint;
  /** The first was made before the slot was read. */
  readonly marks: Mark[];
  readonly #replication: Replication;

  constructor(replication: Replication, slot: Slot, hints: Hints, mark: Mark) {
    this.#replication = replication;
    this.confirmed = slot.confirmed;
    this.hints = hints;
    this.marks = [mark];
  }

  /** `givesUp`: positions before it count as lost. */
  confirm(lsn: bigint, givesUp: boolean): void {
    if (givesUp) this.confirmed = lsn;
    this.#replication.confirm(lsn);
  }

  /** The newest moment of which everything is here; `null`: not even the first. */
  get point(): ReadPoint | null {
    const { reached } = this.hints;
    while (this.marks.length > 1 && this.marks[1]!.lsn <= reached) this.marks.shift();
    return this.marks[0]!.lsn <= reached ? this.marks[0]!.point : null;
  }

  async read(keys: () => Promise<Hints["keys"]>, wake: () => void): Promise<void> {
    for await (const message of this.#replication.messages()) {
      if (message.kind === "alive") {
        this.hints.reach(message.end);
        continue;
      }
      const change = decodeMessage(message.payload);
      if (this.hints.asksForKeys(change)) this.hints.keys = await keys();
      this.hints.takeMessage(change);
      if (change.kind === "commit" && this.hints.fresh.size > 0) wake();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#replication[Symbol.asyncDispose]();
  }
}

/** Listens to a slot, and begins again whenever that ends. What it has heard is collected by the key. */
export class Listener implements AsyncDisposable {
  /** `null`: nothing is heard now. */
  feed: Feed | null = null;
  readonly #names: StreamNames;
  readonly #context: ListenerContext;
  readonly #inTurn: <Result>(work: () => Promise<Result>) => Promise<Result>;
  readonly #stop = new AbortController();
  readonly #listening: Promise<void>;
  readonly #bell = new Bell();
  #ending = false;
  /** The slot was read before. */
  #heard = false;
  /** Why nothing can be heard, though the server is there: the next passes tell, or mend it. */
  #broken = false;
  #failedSince: number | null = null;
  #said = 0;

  /** `inTurn` runs work while nobody else uses the slot. */
  constructor(
    names: StreamNames,
    context: ListenerContext,
    inTurn: <Result>(work: () => Promise<Result>) => Promise<Result>,
  ) {
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
      const caughtUp = this.feed?.point != null;
      const tables = caughtUp ? [...hints!.fresh].filter((table) => among.has(table)) : [];
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

  /** What was heard, and the moment up to which it is everything; `null`: nothing is heard now. */
  async collect(
    connection: PostgresConnection,
    signal: AbortSignal,
  ): Promise<{ readonly hints: Hints; readonly point: ReadPoint } | null> {
    for (let feed = this.feed; feed !== null; feed = this.feed) {
      feed.marks.push(await this.#mark(connection, signal));
      const { point, hints } = feed;
      if (point !== null) {
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
        const feed = await this.#inTurn(() => this.#open(signal));
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

  /** `null`: there is no slot yet, or none of use. The next passes make it. */
  async #open(signal: AbortSignal): Promise<Feed | null> {
    return this.#context.use(signal, async (connection) => {
      const slot = await findSlot(connection, this.#names.slot, signal);
      if (slot === null || slot.lost) return null;
      const keys = await this.#context.keys(connection, signal);
      const mark = await this.#mark(connection, signal);
      const replication = await Replication.start(this.#context.settings, this.#names, signal);
      const hints = new Hints(this.#context.configuration.schema, keys);
      hints.reached = slot.confirmed;
      this.feed = new Feed(replication, slot, hints, mark);
      return this.feed;
    });
  }

  async #mark(connection: PostgresConnection, signal: AbortSignal): Promise<Mark> {
    const point = await this.#context.takePoint(connection, signal);
    const [row] = await connection.query("SELECT pg_current_wal_insert_lsn()::text AS lsn", [], signal);
    return { point, lsn: withoutPageHead(lsnOf(row!["lsn"]!)) };
  }

  async #see(hints: Hints, connection: PostgresConnection, signal: AbortSignal): Promise<boolean> {
    if (hints.unseen === null) return false;
    const [row] = await connection.query("SELECT txid_current_snapshot()::text AS snapshot", [], signal);
    return hints.see(row!["snapshot"]!);
  }

  /** What is visible by now can be looked up. */
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

  /** A server that is away may come back; what else keeps the slot from being read is met by the next passes. */
  #failed(thrown: unknown): void {
    const error = asHeadwatersError(thrown);
    const native = nativeCode(error.cause);
    if (error.remedy !== "retry" || native === "42704") this.#meet();
    const now = performance.now();
    this.#failedSince ??= now;
    if (native === "42704" || (now - this.#failedSince < quietFor / 12 && error.remedy === "retry")) return;
    if (now - this.#said < quietFor) return;
    this.#said = now;
    const what =
      native === "55006" ? `something else reads the replication slot "${this.#names.slot}" now` : error.message;
    this.#context.warn(`the stream can't be read: ${what}; tried again until it can`);
  }

  /** The next passes are to meet what is wrong. */
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

/** Where a page begins, the server counts its head as written. No record lies before it there. */
function withoutPageHead(lsn: bigint): bigint {
  if (lsn % 8192n === 24n) return lsn - 24n;
  return lsn % 1_048_576n === 40n ? lsn - 40n : lsn;
}
