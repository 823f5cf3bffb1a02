import { Pool as IdlePool } from "../../net/pool.ts";
import { answers, speaksTls } from "../../net/probe.ts";
import { type RetryPolicy, withRetries } from "../../net/retry.ts";
import { ConnectionLost, ConnectTimeout } from "../../net/socket.ts";
import type { ErrorCode, HeadwatersError } from "../../protocol/errors.ts";
import type { Log } from "../../protocol/log.ts";
import { connectResp, type RespConnection, type RespSettings } from "../../wire/resp/connection.ts";
import { RespTimeout } from "../../wire/resp/errors.ts";
import { type ErrorContext, hasNoTls, sourceError, wantsTls } from "./errors.ts";

/** As in the published example: three tries, 1 s to 16 s between them. */
const connectAttempts = 3;

/** Errors of a server that starts, restarts or is full: the next try may succeed. */
const passing: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "CONNECTION_REFUSED",
  "CONNECTION_TIMEOUT",
  "CONNECTION_LOST",
  "SERVER_UNAVAILABLE",
]);

/** Where readers take their connections from. */
export type Connections = Pick<Pool, "take" | "give" | "with" | "error">;

/** Connections; each is lent to one reader at a time. */
export class Pool implements AsyncDisposable {
  readonly context: ErrorContext;
  readonly #settings: RespSettings;
  readonly #connections: IdlePool<RespConnection>;
  readonly #retryPolicy: RetryPolicy;

  constructor(settings: RespSettings, log: Log) {
    const { host, port, username, database, tls } = settings;
    this.context = { host, port, username, database, tls: tls !== null };
    this.#settings = settings;
    this.#connections = new IdlePool(
      (signal) => this.#connect(signal),
      (connection) => {
        connection.rest();
        if (connection.pending > 0) connection.destroy();
      },
    );
    this.#retryPolicy = {
      attempts: connectAttempts,
      again: ({ code }) => passing.has(code),
      onRetry: (_, { message }, milliseconds) => log.debug(`${message}; again in ${milliseconds} ms`),
    };
  }

  /** A connection that `signal` ends. Throws {@link HeadwatersError}s, or the signal's reason. */
  async take(signal: AbortSignal, attempts = connectAttempts): Promise<RespConnection> {
    const policy = { ...this.#retryPolicy, attempts };
    const connection = await withRetries(null, signal, policy, () => this.#connections.acquire(signal));
    connection.use(signal);
    return connection;
  }

  /** Takes a connection back; ends it if some of its replies were not read. */
  give(connection: RespConnection): void {
    void this.#connections.release(connection);
  }

  /**
   * Runs `work`, which only reads, with a connection. If the connection breaks, runs `work` again with another one.
   * Errors of `work` become a {@link HeadwatersError} or the signal's reason.
   */
  async with<Result>(signal: AbortSignal, work: (connection: RespConnection) => Promise<Result>): Promise<Result> {
    return withRetries(null, signal, this.#retryPolicy, async () => {
      const connection = await this.take(signal, 1);
      try {
        return await work(connection);
      } catch (thrown) {
        throw this.error(thrown, signal);
      } finally {
        this.give(connection);
      }
    });
  }

  /** The same connections, but only those that `vet` does not throw at. */
  vetted(vet: (connection: RespConnection) => Promise<void>): Connections {
    return {
      take: async (signal, attempts) => {
        const connection = await this.take(signal, attempts);
        try {
          await vet(connection);
          return connection;
        } catch (thrown) {
          this.give(connection);
          throw thrown;
        }
      },
      give: (connection) => this.give(connection),
      error: (thrown, signal) => this.error(thrown, signal),
      with: (signal, work) =>
        this.with(signal, async (connection) => {
          await vet(connection);
          return work(connection);
        }),
    };
  }

  error(thrown: unknown, signal: AbortSignal): unknown {
    return signal.aborted ? signal.reason : sourceError(thrown, this.context);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connections[Symbol.asyncDispose]();
  }

  async #connect(signal: AbortSignal): Promise<RespConnection> {
    try {
      return await connectResp(this.#settings, signal);
    } catch (thrown) {
      signal.throwIfAborted();
      throw await this.#connectError(thrown, signal);
    }
  }

  /** If a server hangs up without an error, asks it whether it wants TLS or does not have it. */
  async #connectError(thrown: unknown, signal: AbortSignal): Promise<HeadwatersError> {
    const error = sourceError(thrown, this.context);
    const silent =
      (thrown instanceof ConnectionLost && !thrown.answered) ||
      thrown instanceof RespTimeout ||
      (thrown instanceof ConnectTimeout && thrown.during === "tls");
    if (this.#settings.tls === null)
      return silent && (await speaksTls(this.#settings, signal)) ? wantsTls(this.context, thrown) : error;
    if (!silent && error.code !== "TLS_MISMATCH" && error.code !== "CONNECTION_LOST") return error;
    const plain = await answers(
      this.#settings,
      "*1\r\n$4\r\nPING\r\n",
      // Dragonfly answers so at a port with TLS.
      (answer) => /^[+-](?!ERR Bad TLS header)/i.test(answer.toString("latin1", 0, 64)),
      signal,
    );
    return plain ? hasNoTls(this.context, thrown) : error;
  }
}
