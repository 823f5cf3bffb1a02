import { HeadwatersError } from "../protocol/errors.ts";
import { reach } from "./reach.ts";

/** At most this many idle connections are kept open. */
const mostIdle = 8;

interface Pooled extends AsyncDisposable {
  /** Whether the connection can still be used. */
  readonly alive: boolean;
  /** Ends the connection at once, with the work on it. */
  destroy(): void;
}

/**
 * Keeps connections for reuse; each connection has one user at a time. The number of connections is not limited: the
 * users limit themselves, and users that hold several connections would otherwise wait for each other.
 */
export class Pool<Connection extends Pooled> implements AsyncDisposable {
  readonly #connect: (signal: AbortSignal) => Promise<Connection>;
  readonly #reset: (connection: Connection) => Promise<void> | void;
  readonly #open = new Set<Connection>();
  readonly #idle: Connection[] = [];
  readonly #closed = new AbortController();

  /** `reset` prepares a connection for its next user, or ends it. */
  constructor(
    connect: (signal: AbortSignal) => Promise<Connection>,
    reset: (connection: Connection) => Promise<void> | void = () => {},
  ) {
    this.#connect = connect;
    this.#reset = reset;
  }

  /** All open connections, in use or idle. */
  get open(): readonly Connection[] {
    return [...this.#open];
  }

  /** A connection; give it back with {@link release}. Errors of connecting are thrown as {@link reach} throws them. */
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
    if (!connection.alive) this.#dropIdle();
    const resetting = connection.alive ? this.#reset(connection) : undefined;
    if (resetting !== undefined) await resetting;
    if (connection.alive && !this.#closed.signal.aborted && this.#idle.length < mostIdle) {
      this.#idle.push(connection);
      return;
    }
    this.#open.delete(connection);
    await connection[Symbol.asyncDispose]();
  }

  /** Whatever ended one connection may have ended the others too, unnoticed: each would cost an attempt. */
  #dropIdle(): void {
    for (const idle of this.#idle.splice(0)) {
      this.#open.delete(idle);
      idle.destroy();
    }
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

  /** Ends every connection. Those in use, and those that are being opened, end at once. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort(new HeadwatersError("CONNECTION_LOST", "the connections were closed on this side"));
    const idle = this.#idle.splice(0);
    for (const connection of this.#open) if (!idle.includes(connection)) connection.destroy();
    this.#open.clear();
    await Promise.all(idle.map((connection) => connection[Symbol.asyncDispose]()));
  }
}
