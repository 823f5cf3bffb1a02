import { HeadwatersError } from "../../../protocol/errors.ts";
import type { Json } from "../../../protocol/json.ts";
import type { Log } from "../../../protocol/log.ts";
import type { Table } from "../../../protocol/table.ts";
import { abortable } from "../../../toolkit/abortable.ts";
import { LateHints, type LatePosition } from "../../../toolkit/hints/late-hints.ts";
import type { ReqlAddress } from "../../../wire/reql/address.ts";
import { type Answer, ReqlConnection } from "../../../wire/reql/connection.ts";
import { lambda, type Term, term } from "../../../wire/reql/terms.ts";
import { describeTable, tableTerm } from "../catalog.ts";
import type { Configuration } from "../config.ts";
import { explain } from "../errors.ts";
import { keyText } from "../keys.ts";

/** A feed is silent while nothing changes, so the server is probed after this much silence, in milliseconds. */
const mostSilence = 15_000;

/** Where the stream of a table goes on, as it is stored. Only the process that had the feed can continue it. */
export interface FeedPosition extends LatePosition {
  /** The number of the table's feed, in this session, that has every change since. */
  readonly feed: number;
}

/** A feed that is open. */
interface Feed {
  readonly number: number;
  /** The id of its table: a feed stays with a table that is renamed. */
  readonly table: string;
}

/** What changed in one table since a position. */
interface FeedChanges {
  readonly keys: readonly Json[];
  readonly next: FeedPosition;
}

/**
 * The change feeds of tables, by one connection. A feed reports changes while it is open, and no other feed can
 * continue where it broke. So it is opened before a table is read, and the keys that it reports are looked up.
 */
export class Feeds implements AsyncDisposable {
  readonly hints = new LateHints();
  readonly #configuration: Configuration;
  readonly #address: ReqlAddress;
  readonly #log: Log;
  readonly #open = new Map<string, Feed>();
  readonly #listening = new Set<Promise<void>>();
  readonly #stop = new AbortController();
  #connecting: Promise<ReqlConnection> | null = null;
  #opened = 0;
  #isAway = false;

  constructor(configuration: Configuration, address: ReqlAddress, log: Log) {
    this.#configuration = configuration;
    this.#address = { ...address, silence: Math.min(address.silence, mostSilence) };
    this.#log = log;
  }

  isOpen(table: string): boolean {
    return this.#open.has(table);
  }

  /** Where the stream goes on after a pass that is planned now. Its feed is opened first, if it is not open. */
  async start(table: Table, signal: AbortSignal): Promise<FeedPosition> {
    const { number: feed } = await this.#feedOf(table, signal);
    return { ...(await this.hints.start(table.id, signal)), feed };
  }

  /** The feed's changes since a position; `null`: it does not have all of them. */
  async changes(table: Table, position: FeedPosition | null, signal: AbortSignal): Promise<FeedChanges | null> {
    const { number: feed } = await this.#feedOf(table, signal);
    if (position?.session !== this.hints.session || position.feed !== feed) return null;
    const changes = this.hints.take(table.id, position);
    if (changes !== null) return { keys: changes.keys, next: { ...changes.next, feed } };
    this.#log.warn(`table "${table.id}": its changed keys do not fit into memory; ${caughtUp}`);
    return null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new HeadwatersError("CONNECTION_LOST", "the feeds were closed on this side"));
    await this.#connecting?.then((connection) => connection.destroy()).catch(() => {});
    await Promise.all(this.#listening);
  }

  async #feedOf(table: Table, signal: AbortSignal): Promise<Feed> {
    const id = table.identity.slice(0, table.identity.indexOf("/"));
    const known = this.#open.get(table.id);
    if (known?.table === id) return known;
    try {
      return await this.#listen(table, id, signal);
    } catch (thrown) {
      signal.throwIfAborted();
      throw explain(thrown, { ...this.#configuration, table: table.id });
    }
  }

  async #listen(table: Table, id: string, signal: AbortSignal): Promise<Feed> {
    const connection = await this.#connected(signal);
    const { database } = this.#configuration;
    const end = new AbortController();
    const until = AbortSignal.any([this.#stop.signal, end.signal]);
    const answers = connection.answers(feedTerm(database, table), {}, until);
    try {
      // From its first answer on, the feed reports every change.
      const first = await abortable(answers.next(), signal);
      if (first.done === true) throw new HeadwatersError("PROTOCOL_MISMATCH", "a change feed ended by itself");
      const described = await describeTable(connection, database, table.id, signal);
      if (described.id !== id)
        throw new HeadwatersError("TABLE_CHANGED", `table "${table.id}": it was dropped and made again, or renamed`);
      const feed = { number: ++this.#opened, table: id };
      this.#open.set(table.id, feed);
      this.#isAway = false;
      const listening = this.#hear(table.id, feed, first.value, answers, connection).finally(() => {
        end.abort();
        this.#listening.delete(listening);
      });
      this.#listening.add(listening);
      return feed;
    } catch (thrown) {
      end.abort();
      throw thrown;
    }
  }

  /** Until the feed breaks. */
  async #hear(
    table: string,
    feed: Feed,
    first: Answer,
    answers: AsyncIterable<Answer>,
    connection: ReqlConnection,
  ): Promise<void> {
    try {
      this.#take(table, first);
      for await (const answer of answers) this.#take(table, answer);
      throw new Error("it ended by itself");
    } catch (thrown) {
      if (this.#open.get(table) === feed) this.#open.delete(table);
      if (this.#stop.signal.aborted) return;
      this.#say(connection.alive ? table : null, explain(thrown, { ...this.#configuration, table }));
      this.hints.hearBreak(table);
    }
  }

  #take(table: string, { text }: Answer): void {
    const { r: rows } = JSON.parse(text.toString()) as { readonly r: readonly Told[] };
    for (const { key, error } of rows) {
      if (error !== null) throw new HeadwatersError("SOURCE_FAILED", `table "${table}": ${String(error)}`);
      if (key !== null) this.hints.hear(table, keyText(key));
    }
  }

  /** `null`: the connection broke, with every feed: one warning says so. */
  #say(table: string | null, error: HeadwatersError): void {
    if (table === null && this.#isAway) return;
    this.#isAway = table === null;
    const what = table === null ? "the change feeds broke" : `the change feed of table "${table}" broke`;
    this.#log.warn(`${what}: ${error.message}; ${caughtUp}`);
  }

  async #connected(signal: AbortSignal): Promise<ReqlConnection> {
    const connecting = (this.#connecting ??= ReqlConnection.connect(this.#address, this.#stop.signal));
    const forget = (): void => {
      if (this.#connecting === connecting) this.#connecting = null;
    };
    connecting.catch(forget);
    const connection = await abortable(connecting, signal);
    if (connection.alive) return connection;
    forget();
    return this.#connected(signal);
  }
}

const caughtUp = "the changes are looked up in the table, and then the feeds go on";

/** The part of each item of a feed that is sent. */
interface Told {
  /** `null`: the item is not about a document. */
  readonly key: Json;
  /** Set if the feed left changes out. */
  readonly error: Json;
}

/** The feed of a table. Only the keys of documents are sent, also of removed ones. */
function feedTerm(database: string, { id, key }: Table): Term {
  const changes = term("CHANGES", [tableTerm(database, id)], { squash: false, include_states: true });
  const told = (item: Term): Term => {
    const keyIn = (side: string): Term => term("BRACKET", [term("BRACKET", [item, side]), key[0]!]);
    return {
      key: term("DEFAULT", [keyIn("new_val"), term("DEFAULT", [keyIn("old_val"), null])]),
      error: term("DEFAULT", [term("BRACKET", [item, "error"]), null]),
    };
  };
  return term("MAP", [changes, lambda(told)]);
}
