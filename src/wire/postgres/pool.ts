import type { PostgresConnection } from "./connection.ts";

/** Sessions that are kept open without work. */
const mostIdle = 8;

/** Keeps sessions for their next use. It does not limit how many there are: its users do. */
export class PostgresPool implements AsyncDisposable {
  readonly #connect: (signal: AbortSignal) => Promise<PostgresConnection>;
  readonly #open = new Set<PostgresConnection>();
  readonly #idle: PostgresConnection[] = [];
  #disposed = false;

  constructor(connect: (signal: AbortSignal) => Promise<PostgresConnection>) {
    this.#connect = connect;
  }

  /** Process ids, at their servers, of all sessions that are open. */
  get processIds(): number[] {
    return [...this.#open].map((connection) => connection.processId);
  }

  /** A session outside of any transaction, for one user alone, who gives it back by {@link release}. */
  async acquire(signal: AbortSignal): Promise<PostgresConnection> {
    signal.throwIfAborted();
    for (let kept = this.#idle.pop(); kept !== undefined; kept = this.#idle.pop()) {
      if (kept.alive) return kept;
      this.#open.delete(kept);
    }
    const connection = await this.#connect(signal);
    if (this.#disposed) {
      connection.destroy();
      throw new Error("the source was closed");
    }
    this.#open.add(connection);
    return connection;
  }

  /** Takes a session back; a transaction that is still open is rolled back, one that broke is let go. */
  async release(connection: PostgresConnection): Promise<void> {
    if (connection.alive && connection.inTransaction) await connection.rollback();
    if (connection.alive && !this.#disposed && this.#idle.length < mostIdle) {
      this.#idle.push(connection);
      return;
    }
    this.#open.delete(connection);
    await connection[Symbol.asyncDispose]();
  }

  /** Runs `work` with a session. */
  async use<T>(signal: AbortSignal, work: (connection: PostgresConnection) => Promise<T>): Promise<T> {
    const connection = await this.acquire(signal);
    try {
      return await work(connection);
    } finally {
      await this.release(connection);
    }
  }

  /** Ends every session, those in use at once. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    const idle = this.#idle.splice(0);
    for (const connection of this.#open) if (!idle.includes(connection)) connection.destroy();
    this.#open.clear();
    await Promise.all(idle.map((connection) => connection[Symbol.asyncDispose]()));
  }
}
