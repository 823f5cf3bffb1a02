import type { HeadwatersError } from "../../protocol/errors.ts";
import type { Log } from "../../protocol/log.ts";
import { backoff, sleep } from "../../toolkit/backoff.ts";
import { connectResp, type RespConnection, type RespSettings } from "../../wire/resp/connection.ts";
import { RespConnectionLost, RespTimeout } from "../../wire/resp/errors.ts";
import { answersPlain, answersTls } from "../../wire/resp/probe.ts";
import { type ErrorContext, hasNoTls, sourceError, wantsTls } from "./errors.ts";

/** As the published example has it: three tries, 1 s to 16 s between them. */
const connectAttempts = 3;

/** A server that starts, restarts or is full may take the next try. */
const passing = new Set(["CONNECTION_REFUSED", "CONNECTION_TIMEOUT", "CONNECTION_LOST", "SERVER_UNAVAILABLE"]);

/** Connections that are lent to one reader at a time. */
export class Pool implements AsyncDisposable {
  readonly context: ErrorContext;
  readonly #settings: RespSettings;
  readonly #log: Log;
  readonly #idle: RespConnection[] = [];
  readonly #lent = new Set<RespConnection>();
  #closed = false;

  constructor(settings: RespSettings, log: Log) {
    const { host, port, username, database, tls } = settings;
    this.context = { host, port, username, database, tls: tls !== null };
    this.#settings = settings;
    this.#log = log;
  }

  /** A connection that `signal` ends. Throws {@link HeadwatersError}s, or the signal's reason. */
  async take(signal: AbortSignal, attempts = connectAttempts): Promise<RespConnection> {
    signal.throwIfAborted();
    for (;;) {
      const idle = this.#idle.pop();
      if (idle === undefined) break;
      if (idle.ended) continue;
      idle.use(signal);
      this.#lent.add(idle);
      return idle;
    }
    const connection = await this.#connect(signal, attempts);
    if (this.#closed) {
      connection.destroy();
      throw sourceError(new RespConnectionLost(false), this.context);
    }
    connection.use(signal);
    this.#lent.add(connection);
    return connection;
  }

  /** Gives a connection back; one whose replies were not all read is ended. */
  give(connection: RespConnection): void {
    this.#lent.delete(connection);
    connection.rest();
    if (connection.ended) return;
    if (connection.pending > 0 || this.#closed) connection.destroy();
    else this.#idle.push(connection);
  }

  /**
   * Runs `work`, which only reads, with a connection; with another one where that breaks. What it throws becomes a
   * {@link HeadwatersError}, or is the signal's reason.
   */
  async with<Result>(signal: AbortSignal, work: (connection: RespConnection) => Promise<Result>): Promise<Result> {
    for (let attempt = 1; ; attempt++) {
      const connection = await this.take(signal);
      try {
        return await work(connection);
      } catch (thrown) {
        signal.throwIfAborted();
        const error = sourceError(thrown, this.context);
        if (attempt >= connectAttempts || !passing.has(error.code)) throw error;
        await sleep(backoff(attempt + 1), signal);
      } finally {
        this.give(connection);
      }
    }
  }

  error(thrown: unknown, signal: AbortSignal): unknown {
    return signal.aborted ? signal.reason : sourceError(thrown, this.context);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    for (const connection of [...this.#idle.splice(0), ...this.#lent]) connection.destroy();
  }

  async #connect(signal: AbortSignal, attempts: number): Promise<RespConnection> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await connectResp(this.#settings, signal);
      } catch (thrown) {
        signal.throwIfAborted();
        const error = await this.#connectError(thrown, signal);
        if (attempt >= attempts || !passing.has(error.code)) throw error;
        const milliseconds = backoff(attempt + 1);
        this.#log.debug(`connecting failed (${error.message}); again in ${milliseconds} ms`);
        await sleep(milliseconds, signal);
      }
    }
  }

  /** A server that hangs up without a word may want TLS, or not have it: it is asked. */
  async #connectError(thrown: unknown, signal: AbortSignal): Promise<HeadwatersError> {
    const { host, port, tls } = this.#settings;
    const silent =
      (thrown instanceof RespConnectionLost && !thrown.answered) ||
      (thrown instanceof RespTimeout && thrown.during !== "connect");
    if (tls === null)
      return silent && (await answersTls(host, port, signal))
        ? wantsTls(this.context, thrown)
        : sourceError(thrown, this.context);
    const error = sourceError(thrown, this.context);
    const failed = silent || error.code === "TLS_MISMATCH" || error.code === "CONNECTION_LOST";
    return failed && (await answersPlain(host, port, signal)) ? hasNoTls(this.context, thrown) : error;
  }
}
