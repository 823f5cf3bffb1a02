import { ReqlConnectionError } from "./failures.ts";
import { type ReqlAddress, ReqlConnection } from "./connection.ts";

/** Connections that are kept open without work. */
const mostIdle = 8;

/** Errors of the system that tell of a wrong address where nobody ever answered, else of a server or a network that is down. */
const awayCodes: ReadonlySet<unknown> = new Set([
  "ECONNREFUSED",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EADDRNOTAVAIL",
  "EAI_AGAIN",
  "ENOTFOUND",
]);

/** Keeps connections for their next use. It does not limit how many there are: its users do. */
export class ReqlPool implements AsyncDisposable {
  readonly #address: ReqlAddress;
  readonly #open = new Set<ReqlConnection>();
  readonly #idle: ReqlConnection[] = [];
  #reached = false;
  readonly #disposed = new AbortController();

  constructor(address: ReqlAddress) {
    this.#address = address;
  }

  /** A connection that no other reads from at the same time; it is given back by {@link release}. */
  async acquire(signal: AbortSignal): Promise<ReqlConnection> {
    signal.throwIfAborted();
    for (let kept = this.#idle.pop(); kept !== undefined; kept = this.#idle.pop()) {
      if (kept.alive) return kept;
      this.#open.delete(kept);
    }
    const connection = await this.#connect(signal);
    if (this.#disposed.signal.aborted) connection.destroy();
    this.#disposed.signal.throwIfAborted();
    this.#open.add(connection);
    return connection;
  }

  release(connection: ReqlConnection): void {
    if (connection.alive && !this.#disposed.signal.aborted && this.#idle.length < mostIdle) {
      this.#idle.push(connection);
      return;
    }
    this.#open.delete(connection);
    connection.destroy();
  }

  async #connect(signal: AbortSignal): Promise<ReqlConnection> {
    try {
      const connection = await ReqlConnection.connect(this.#address, AbortSignal.any([signal, this.#disposed.signal]));
      this.#reached = true;
      return connection;
    } catch (thrown) {
      if (!this.#reached || !(thrown instanceof Error) || !awayCodes.has((thrown as NodeJS.ErrnoException).code))
        throw thrown;
      throw new ReqlConnectionError("away", thrown.message, { cause: thrown });
    }
  }

  /** Runs `work` with a connection. */
  async use<T>(signal: AbortSignal, work: (connection: ReqlConnection) => Promise<T>): Promise<T> {
    const connection = await this.acquire(signal);
    try {
      return await work(connection);
    } finally {
      this.release(connection);
    }
  }

  /** Ends every connection at once, also those that are being made. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed.abort(new ReqlConnectionError("closed", "the source was closed"));
    for (const connection of this.#open) connection.destroy();
    this.#open.clear();
    this.#idle.length = 0;
  }
}
