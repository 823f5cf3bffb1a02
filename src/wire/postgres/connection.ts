import { once, setMaxListeners } from "node:events";
import type { Socket } from "node:net";
import type { ConnectionOptions } from "node:tls";
import pg from "pg";
import { ProtocolBroken } from "../../net/broken.ts";
import { nativeCode } from "../../net/errors.ts";
import { unanswered } from "../../net/reach.ts";
import { connect, firstBytes, startTls } from "../../net/socket.ts";
import { Watch } from "../../net/watch.ts";
import { HeadwatersError } from "../../protocol/errors.ts";
import { CopyIn } from "./copy-in.ts";
import { copyOut } from "./copy-out.ts";
import { type ErrorContext, postgresError } from "./errors.ts";
import { escapeLiteral } from "./literals.ts";
import { MessageHeads } from "./messages.ts";
import { type Backend, backendOf, backendSql, waitsForUs } from "./session-state.ts";
import { type SslAttempt, type SslSettings, sslAttempts } from "./ssl.ts";

/** Where and how to connect. */
export interface PostgresSettings {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password: string;
  readonly ssl: SslSettings;
  /** The time limit for connecting, with the login, in milliseconds. */
  readonly connectTimeout: number;
  /** The time limit of one statement, in milliseconds; `null`: the limit that the server has for the role; 0: none. */
  readonly statementTimeout: number | null;
  /** Whether transactions are read-only unless they say otherwise: sources only read. */
  readonly readOnly: boolean;
  /** How long the server may send nothing while an answer is due before it is probed, in milliseconds. */
  readonly silence: number;
  /** The session can read a replication slot. */
  readonly replication?: true;
}

/**
 * The settings of every session, so that text and binary mean the same on any server. Rows hidden by row-level
 * security would be missing from the copy unnoticed: with `row_security` off, a hidden row is an error instead. A
 * session that waits for the destination must not be ended by the server's idle timeouts.
 */
const sessionSettings: Readonly<Record<string, string>> = {
  TimeZone: "UTC",
  DateStyle: "ISO",
  IntervalStyle: "iso_8601",
  extra_float_digits: "3",
  bytea_output: "hex",
  xmlbinary: "base64",
  client_encoding: "UTF8",
  row_security: "off",
  application_name: "headwaters",
  idle_in_transaction_session_timeout: "0",
  idle_session_timeout: "0",
  transaction_timeout: "0",
};

/**
 * With this search_path, names without a schema mean the server's own functions, operators and types, whatever other
 * users have made: theirs would run with the rights of this session. The statements call no function, so that nothing
 * runs before.
 */
const pinnedPath = "search_path TO pg_catalog, pg_temp";

/** The longest wait for a server that can't be reached to cancel a statement. */
const cancelTimeout = 2_000;
/** A session that does not end a cancelled statement, a transaction or itself within this time is closed. */
const endTimeout = 1_500;

/** A row of a catalog query: values as the server writes them. */
export type TextRow = Readonly<Record<string, string | null>>;

/** Members of `pg`'s client and connection that its types leave out. */
interface PgInternals {
  readonly readyForQuery: boolean;
  readonly processID: number | null;
  readonly secretKey: number | null;
}

/** The request for TLS, and the beginning of a request to cancel, with their lengths. */
const sslRequest = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);
const cancelRequest = [0, 0, 0, 16, 0x04, 0xd2, 0x16, 0x2e];

/** Connects, by the ways that `sslmode` allows. Throws {@link HeadwatersError}s, or the signal's reason. */
export async function connectPostgres(settings: PostgresSettings, signal: AbortSignal): Promise<PostgresConnection> {
  const attempts = sslAttempts(settings.ssl);
  let first: HeadwatersError | null = null;
  for (const attempt of attempts) {
    try {
      return await connectOnce(settings, attempt, signal);
    } catch (thrown) {
      signal.throwIfAborted();
      const error = postgresError(thrown, errorContext(settings));
      if (first === null && attempts.length > 1 && mayFallBack(error)) first = error;
      else throw first !== null && isRefusedByRule(error) ? first : error;
    }
  }
  throw first ?? new HeadwatersError("DEFECT", "no way to connect was tried");
}

/** If nothing answers, another kind of encryption would not help. */
function mayFallBack(error: HeadwatersError): boolean {
  return !unanswered.has(error.code) && error.code !== "PROTOCOL_MISMATCH";
}

/** `pg_hba.conf` has no line for this kind of connection: the other attempt got further, so its error says more. */
function isRefusedByRule(error: HeadwatersError): boolean {
  return nativeCode(error.cause) === "28000" && error.message.includes("pg_hba.conf");
}

async function connectOnce(
  settings: PostgresSettings,
  attempt: SslAttempt,
  signal: AbortSignal,
): Promise<PostgresConnection> {
  const target = targetOf(settings, settings.connectTimeout);
  return connect(target, signal, async (socket, signal) => {
    const stream = attempt.tls === null ? socket : await encrypted(socket, settings, attempt.tls);
    const foreign = new Promise<never>((_, reject) => {
      stream.once("data", (chunk: Buffer) => {
        const error = foreignError(chunk, settings);
        if (error !== null) reject(error);
      });
    });
    const client = new pg.Client({
      host: settings.host,
      port: settings.port,
      database: settings.database,
      user: settings.user,
      // A function, so that an empty password is not replaced from the environment, and none is shown if the client is
      // printed.
      password: () => settings.password,
      ssl: false,
      // `pg` asks for a connection here, but this socket is connected already.
      stream: () => Object.assign(stream, { connect: () => process.nextTick(() => stream.emit("connect")) }),
      application_name: "headwaters",
      ...(settings.replication === undefined ? {} : { replication: "database" }),
      types: { getTypeParser: () => (value: string) => value },
    });
    const connecting = client.connect();
    const connection = new PostgresConnection(client, settings, attempt);
    await Promise.race([connecting, foreign]);
    await connection.prepare(signal);
    return connection;
  });
}

function targetOf({ host, port }: PostgresSettings, timeout: number) {
  return { host: host.startsWith("/") ? `${host}/.s.PGSQL.${port}` : host, port, tls: null, timeout };
}

/** Asks the server for TLS, and begins it. */
async function encrypted(socket: Socket, settings: PostgresSettings, tls: ConnectionOptions): Promise<Socket> {
  socket.write(sslRequest);
  const answer = await firstBytes(socket);
  const error = foreignError(answer, settings);
  if (error !== null) throw error;
  // Bytes after the letter would come from a man in the middle.
  if (answer.toString("latin1") === "S") return startTls(socket, settings.host, tls);
  throw new Error("The server does not support SSL connections");
}

/** The first byte tells whether PostgreSQL is at the port: N, S (TLS or not), R (log in), E (error), v (version). */
function foreignError(first: Buffer, { host, port }: PostgresSettings): HeadwatersError | null {
  if ("NSREv".includes(first.toString("latin1", 0, 1))) return null;
  const who = first.toString("latin1", 0, 4) === "HTTP" ? "an HTTP server" : "something other than PostgreSQL";
  return new HeadwatersError("PROTOCOL_MISMATCH", `port: ${who} answers at ${host}:${port}`, {
    hint: "Set port to the database's port: 5433 for YugabyteDB's YSQL, 5432 for PostgreSQL.",
  });
}

/** Runs `act` when the signal aborts, until the returned function is called. Many statements may wait for one signal. */
function onAbort(signal: AbortSignal, act: () => void): () => void {
  setMaxListeners(0, signal);
  signal.addEventListener("abort", act, { once: true });
  return () => signal.removeEventListener("abort", act);
}

function errorContext(settings: PostgresSettings): ErrorContext {
  const { host, port, database, user, ssl } = settings;
  return { host, port, database, user, sslmode: ssl.sslmode };
}

/**
 * One session. One statement at a time. Every method takes a signal, whose abort cancels the statement at the server
 * and closes the session; then the method throws the signal's reason. All else it throws is a {@link HeadwatersError}.
 */
export class PostgresConnection implements AsyncDisposable {
  readonly settings: PostgresSettings;
  /** The connection's encryption, and how far the server's certificate was verified. */
  readonly tls: "none" | "unverified" | "verified";
  readonly #client: pg.Client;
  readonly #attempt: SslAttempt;
  readonly #watch: Watch;
  #backend: Backend | null = null;
  #lost: unknown = null;
  #ended = false;
  #busy = false;
  /** Closes a session that does not end a cancelled statement. */
  #late: NodeJS.Timeout | null = null;

  /** `client` is connecting. */
  constructor(client: pg.Client, settings: PostgresSettings, attempt: SslAttempt) {
    this.#client = client;
    this.settings = settings;
    this.#attempt = attempt;
    this.#watch = new Watch({
      silence: settings.silence,
      probe: (signal) => this.#probe(signal),
      end: (error) => this.#fail(error),
    });
    this.tls = attempt.tls === null ? "none" : attempt.verifies === "no" ? "unverified" : "verified";
    client.on("error", (error) => {
      this.#lost ??= error;
    });
    client.on("end", () => {
      this.#ended = true;
      this.#watch.close();
    });
    this.#guard();
  }

  /** Whether the session is still open. */
  get alive(): boolean {
    return !this.#ended && this.#lost === null;
  }

  /** What ended the connection; `null`: nothing did, or the server closed it without a message. */
  get lost(): unknown {
    return this.#lost;
  }

  /** Whether a transaction is open, even a failed one. */
  get inTransaction(): boolean {
    // An error arrives before the server reports the transaction's status.
    if (!internals(this.#client).readyForQuery) return true;
    const status = this.#client.getTransactionStatus();
    return status === "T" || status === "E";
  }

  /** Ends the transaction. If that fails, the session is closed. */
  async rollback(): Promise<void> {
    const late = this.#destroyAfter(endTimeout);
    try {
      await this.#client.query("ROLLBACK");
    } catch {
      this.destroy();
    } finally {
      clearTimeout(late);
    }
  }

  /** The server's process id for this session, as in `pg_stat_activity`. */
  get processId(): number {
    return this.#backend?.processId ?? internals(this.#client).processID ?? 0;
  }

  /** Sets those session settings that this server knows, in one round trip, and asks for the session's process id. */
  async prepare(signal: AbortSignal): Promise<void> {
    const wanted = { ...sessionSettings };
    const { statementTimeout } = this.settings;
    if (statementTimeout !== null) wanted["statement_timeout"] = String(statementTimeout);
    const values = Object.entries(wanted).map((pair) => `(${pair.map(escapeLiteral).join(", ")})`);
    const readOnly = this.settings.readOnly ? "SET default_transaction_read_only TO on; " : "";
    const [row] = await this.simple(
      `SET ${pinnedPath}; ${readOnly}SELECT set_config(s.name, w.value, false), ${backendSql}
       FROM (VALUES ${values.join(", ")}) AS w(name, value) JOIN pg_settings AS s ON lower(s.name) = lower(w.name)`,
      signal,
    );
    this.#backend = backendOf(row);
  }

  /** Rows as objects by column name, values as text. */
  async query(
    text: string,
    values: readonly (string | number | null | readonly (string | null)[])[],
    signal: AbortSignal,
    table?: ErrorContext["table"],
  ): Promise<TextRow[]> {
    return this.#run(signal, table, async () => {
      const result = await this.#client.query<Record<string, string | null>>(text, [...values]);
      return ended(result).rows;
    });
  }

  /** Several statements without parameters, in one round trip; the rows of the last, as arrays of text. */
  async simple(text: string, signal: AbortSignal, table?: ErrorContext["table"]): Promise<(string | null)[][]> {
    return this.#run(signal, table, async () => {
      const result: unknown = await this.#client.query({ text, rowMode: "array" });
      const last = Array.isArray(result) ? result.at(-1) : result;
      return ended(last as pg.QueryArrayResult<(string | null)[]>).rows;
    });
  }

  /** One statement, from any author: several in one text are an error. Rows as arrays of text. */
  async single(
    text: string,
    signal: AbortSignal,
  ): Promise<{
    readonly columns: readonly { readonly name: string; readonly type: number }[];
    readonly rows: readonly (readonly (string | null)[])[];
  }> {
    return this.#run(signal, undefined, async () => {
      const how = { text, rowMode: "array" as const, queryMode: "extended" };
      const { fields, rows } = ended(await this.#client.query<(string | null)[]>(how));
      return { columns: fields.map(({ name, dataTypeID }) => ({ name, type: dataTypeID })), rows };
    });
  }

  /**
   * Runs a `COPY … TO STDOUT` and yields whole CopyData messages, heads included, as they came from the socket. If the
   * caller stops early, the statement is cancelled and the session closed. `text` may have other statements before the COPY,
   * whose rows are given to `before`, and after it.
   */
  async *copy(
    text: string,
    signal: AbortSignal,
    table?: ErrorContext["table"],
    before: ((rows: readonly (readonly (string | null)[])[]) => void) | null = null,
  ): AsyncGenerator<Buffer, void> {
    let done = false;
    signal.throwIfAborted();
    const forget = onAbort(signal, () => this.destroy());
    this.#busy = true;
    try {
      yield* copyOut(this.#client, text, this.#watch, before);
      done = true;
    } catch (thrown) {
      done = true;
      signal.throwIfAborted();
      throw postgresError(this.#lost ?? thrown, { ...errorContext(this.settings), table });
    } finally {
      forget();
      if (!done) this.destroy();
      this.#idle();
    }
  }

  /** Sends messages while a {@link copy} in both directions is running. */
  send(messages: Buffer): void {
    this.#client.connection.stream.write(messages);
  }

  /** Runs a statement; resolves to how many rows it changed. */
  async execute(
    text: string,
    values: readonly (string | number | null | readonly (string | null)[])[],
    signal: AbortSignal,
  ): Promise<number> {
    return this.#run(signal, undefined, async () => ended(await this.#client.query(text, [...values])).rowCount ?? 0);
  }

  /**
   * Begins a `COPY … FROM STDIN`; its errors are thrown as `pg` reports them, unless {@link lost} says more. No other
   * statement may run before it was ended.
   */
  copyIn(text: string): CopyIn {
    this.#busy = true;
    return this.#client.query(new CopyIn(text, this.#watch, () => this.#idle()));
  }

  /**
   * Asks the server to cancel the running statement, if there is one. Resolves once the server has the request. If the
   * statement does not end soon, the session is closed.
   */
  async cancel(): Promise<void> {
    if (!this.#busy || !this.alive) return;
    this.#late ??= this.#destroyAfter(cancelTimeout + endTimeout);
    await this.#cancel();
  }

  /** Ends the session at once; a running statement is cancelled at the server too, which might otherwise go on. */
  destroy(): void {
    if (this.#busy && this.alive) void this.#cancel();
    this.#fail(new Error("Connection terminated"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#busy) return this.destroy();
    if (!this.alive) return;
    const late = this.#destroyAfter(endTimeout);
    await this.#client.end();
    clearTimeout(late);
  }

  #idle(): void {
    this.#busy = false;
    this.#watch.rest();
    if (this.#late !== null) clearTimeout(this.#late);
    this.#late = null;
  }

  #fail(error: Error): void {
    this.#lost ??= error;
    this.#watch.close();
    this.#client.connection.stream.destroy();
  }

  #destroyAfter(milliseconds: number): NodeJS.Timeout {
    return setTimeout(() => this.#fail(new Error("Connection terminated: the server does not answer")), milliseconds);
  }

  /**
   * Checks messages before the parser of `pg` does: that parser trusts the server, and throws in the socket's listener. An
   * error ends only this connection.
   */
  #guard(): void {
    const { stream } = this.#client.connection;
    const heads = new MessageHeads();
    // The other listener reads only the first bytes, and then removes itself.
    const parse = stream.listeners("data").at(-1) as (chunk: Buffer) => void;
    stream.off("data", parse);
    stream.on("data", (chunk: Buffer) => {
      if (this.#lost !== null) return;
      try {
        this.#watch.heard(chunk.length, heads.follow(chunk));
        parse(chunk);
      } catch (thrown) {
        const what = thrown instanceof Error ? thrown.message : String(thrown);
        const broken = new ProtocolBroken(`a message that can't be read: ${what}`, { cause: thrown });
        stream.destroy(thrown instanceof ProtocolBroken ? thrown : broken);
      }
    });
  }

  /** Asks in another session what this session is doing. A session is found only on its own server. */
  async #probe(signal: AbortSignal): Promise<string | null> {
    const backend = this.#backend;
    if (backend === null) return "the login was not finished";
    // The probe itself is not probed.
    const settings = { ...this.settings, silence: 2 ** 31 - 1 };
    return waitsForUs(backend, () => connectOnce(settings, this.#attempt, signal), signal);
  }

  async #run<T>(signal: AbortSignal, table: ErrorContext["table"], work: () => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    const forget = onAbort(signal, () => this.destroy());
    this.#busy = true;
    this.#watch.begin();
    try {
      return await work();
    } catch (thrown) {
      signal.throwIfAborted();
      throw postgresError(this.#lost ?? thrown, { ...errorContext(this.settings), table });
    } finally {
      this.#idle();
      forget();
    }
  }

  /** Asks the server over a second connection, as the protocol requires. Best effort: the session ends anyway. */
  async #cancel(): Promise<void> {
    const { processID, secretKey } = internals(this.#client);
    if (processID === null || secretKey === null) return;
    const request = Buffer.from([...cancelRequest, ...int32(processID), ...int32(secretKey)]);
    await connect(targetOf(this.settings, cancelTimeout), new AbortController().signal, async (socket) => {
      const { tls } = this.#attempt;
      const stream = tls === null ? socket : await encrypted(socket, this.settings, tls);
      stream.resume().end(request);
      // The server closes this connection once it has passed the request on.
      await once(stream, "close");
    }).catch(() => {});
  }
}

/** The result, if the server said that the statement is complete. */
function ended<Result extends { readonly command: string | null }>(result: Result): Result {
  if (result.command === null) throw new ProtocolBroken("an answer that ends without its end");
  return result;
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

function internals(client: pg.Client): PgInternals {
  return client as unknown as PgInternals;
}
