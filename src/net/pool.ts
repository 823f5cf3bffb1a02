import { HeadwatersError } from "../protocol/errors.ts";
import { reach } from "./reach.ts";

/** Connections that are kept open without work. */
const mostIdle = 8;

interface Pooled extends AsyncDisposable {
  /** Whether it can still be used. */
  readonly alive: boolean;
  /** Ends it at once, with what is under way. */
  destroy(): void;
}

/**
 * Keeps connections for their next user, who has one alone. There is no limit to how many there are: their users limit
 * themselves, some hold several, and would wait for each other.
 */
export class Pool<Connection extends Pooled> implements AsyncDisposable {
  readonly #connect: (signal: AbortSignal) => Promise<Connection>;
  readonly #reset: (connection: Connection) => Promise<void> | void;
  readonly #open = new Set<Connection>();
  readonly #idle: Connection[] = [];
  readonly #closed = new AbortController();

  /** `reset` makes a connection fit for its next user, or ends it. */
  constructor(
    connect: (signal: AbortSignal) => Promise<Connection>,
    reset: (connection: Connection) => Promise<void> | void = () => {},
  ) {
    this.#connect = connect;
    this.#reset = reset;
  }

  /** All that are open, used or not. */
  get open(): readonly Connection[] {
    return [...this.#open];
  }

  /** A connection that is given back by {@link release}. Throws what connecting throws, by the rule of {@link reach}. */
  async acquire(signal: AbortSignal): Promise<Connection> {
    signal.throwIfAborted();
    for (let kept = this.#idle.pop(); kept !== undefined; kept = this.#idle.pop()) {
      if (kept.alive) return kept;
      this.#open.delete(kept);
    }
    const closed = this.#closed.signal;
    const connection = await reach(this, () => this.#connect(AbortSignal.any([signal, closed])));
    if (closed.aborted) connection.destroy();
    closed.throwIfAborted();
    this.#open.add(connection);
    return connection;
  }

  async release(connection: Connection): Promise<void> {
    const resetting = connection.alive ? this.#reset(connection) : undefined;
    if (resetting !== undefined) await resetting;
    if (connection.alive && !this.#closed.signal.aborted && this.#idle.length < mostIdle) {
      this.#idle.push(connection);
      return;
    }
    this.#open.delete(connection);
    await connection[Symbol.asyncDispose]();
  }

  /** Runs `work` with a connection. */
  async use<Result>(signal: AbortSignal, work: (connection: Connection) => Promise<Result>): Promise<Result> {
    const connection = await this.acquire(signal);
    try {
      return await work(connection);
    } finally {
      await this.release(connection);
    }
  }

  /** Ends every connection, those in use and those that are being made at once. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort(new HeadwatersError("CONNECTION_LOST", "the connections were closed on this side"));
    const idle = this.#idle.splice(0);
    for (const connection of this.#open) if (!idle.includes(connection)) connection.destroy();
    this.#open.clear();
    await Promise.all(idle.map((connection) => connection[Symbol.asyncDispose]()));
  }
}
