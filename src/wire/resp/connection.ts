import { setMaxListeners } from "node:events";
import type { Socket } from "node:net";
import type { ConnectionOptions } from "node:tls";
import { connect, ConnectionLost } from "../../net/socket.ts";
import { Commands } from "./commands.ts";
import { RespError, RespTimeout } from "./errors.ts";
import { Replies, type ReplyValue } from "./replies.ts";

/** Where and how to connect. */
export interface RespSettings {
  readonly host: string;
  readonly port: number;
  readonly username: string | null;
  readonly password: string | null;
  readonly database: number;
  /** `null`: not encrypted. */
  readonly tls: ConnectionOptions | null;
  /** For connecting, and for the silence while an answer is awaited; milliseconds. */
  readonly timeout: number;
}

/** A TLS server answers within a round trip or two; one without TLS may wait for the end of a line for ever. */
const mostTlsMilliseconds = 5_000;

/** Unread bytes from which on the socket waits for the reader. */
const mostUnread = 1 << 20;

/**
 * Connects, logs in and selects the database. Throws {@link RespError}s, the other errors of this folder, or those of
 * {@link connect}.
 */
export async function connectResp(settings: RespSettings, signal: AbortSignal): Promise<RespConnection> {
  const { timeout } = settings;
  const target = { ...settings, tlsTimeout: Math.min(timeout, mostTlsMilliseconds) };
  const connection = await connect(target, signal, (socket) => new RespConnection(socket, timeout));
  connection.use(signal);
  try {
    await greet(connection, settings);
  } catch (thrown) {
    connection.destroy();
    signal.throwIfAborted();
    throw thrown;
  }
  connection.rest();
  return connection;
}

/**
 * One round trip for all of it; without a right to PING or CLIENT one can still read. A replica of a cluster sends
 * readers on to its master unless it is told READONLY; any other server refuses that, which tells nothing.
 */
async function greet(connection: RespConnection, { username, password, database }: RespSettings): Promise<void> {
  const commands = new Commands();
  if (password !== null) commands.add("AUTH", ...(username === null ? [] : [username]), password);
  if (database !== 0) commands.add("SELECT", String(database));
  const vital = commands.count;
  commands.add("CLIENT", "SETNAME", "headwaters");
  const readOnly = commands.count;
  commands.add("READONLY");
  commands.add("PING");
  const last = commands.count - 1;
  connection.send(commands);
  let refused: RespError | null = null;
  try {
    for (let index = 0; index <= last; index++) {
      const reply = await connection.reply();
      if (!(reply instanceof RespError)) continue;
      if (index !== readOnly) refused ??= reply;
      if (index < vital || reply.word === "NOAUTH" || (index === last && reply.word !== "NOPERM")) throw reply;
    }
  } catch (thrown) {
    // A server that turns us away says so once and hangs up.
    throw thrown instanceof ConnectionLost && refused !== null ? refused : thrown;
  }
}

/**
 * One connection. Commands are sent as many at a time as one likes; their replies are read in the same order, from
 * `replies` once `complete` says so, or by `reply` as values. Not for two readers at once.
 */
export class RespConnection implements AsyncDisposable {
  readonly replies = new Replies();
  /** Commands whose replies were not read yet. */
  pending = 0;
  readonly #socket: Socket;
  #lost: Error | null = null;
  #answered = false;
  #paused = false;
  #wake: (() => void) | null = null;
  #signal: AbortSignal | null = null;
  readonly #timer: NodeJS.Timeout;
  readonly #abort = (): void => this.#end(this.#signal!.reason as Error);

  constructor(socket: Socket, timeout: number) {
    this.#socket = socket;
    this.#timer = setTimeout(() => {
      if (this.#wake !== null) this.#end(new RespTimeout(timeout));
    }, timeout);
    this.#timer.unref();
    socket.on("data", (chunk: Buffer) => this.#take(chunk));
    socket.on("error", (error) => this.#end(new ConnectionLost(this.#answered, error)));
    socket.on("close", () => this.#end(new ConnectionLost(this.#answered)));
  }

  get alive(): boolean {
    return this.#lost === null;
  }

  /** From here on `signal` ends the connection, until `rest`. */
  use(signal: AbortSignal): void {
    signal.throwIfAborted();
    this.#signal = signal;
    this.#socket.ref();
    // A sync's many connections wait on one signal: no leak, which Node.js would warn of.
    setMaxListeners(0, signal);
    signal.addEventListener("abort", this.#abort, { once: true });
  }

  /** Nobody uses the connection until `use`; it does not keep the process alive. */
  rest(): void {
    this.#signal?.removeEventListener("abort", this.#abort);
    this.#signal = null;
    this.#socket.unref();
  }

  /** Sends commands; `pending` counts them until their replies were read. */
  send(commands: Commands): void {
    this.pending += commands.count;
    const bytes = commands.take();
    if (this.#lost === null) this.#socket.write(bytes);
  }

  /** Whether the next reply is there as a whole; if not, wait for `more`. */
  complete(): boolean {
    return this.replies.complete();
  }

  /** Waits for more bytes. Throws what ended the connection. */
  async more(): Promise<void> {
    if (this.#lost !== null) throw this.#lost;
    if (this.#paused) {
      this.#paused = false;
      this.#socket.resume();
    }
    this.#timer.refresh();
    await new Promise<void>((resolve) => (this.#wake = resolve));
    if (this.#lost !== null && !this.replies.complete()) throw this.#lost;
  }

  /** The reply that was gone through is over. */
  done(): void {
    this.replies.done();
    this.pending -= 1;
  }

  /** The next reply as a value; an error is a value too. */
  async reply(): Promise<ReplyValue> {
    while (!this.replies.complete()) await this.more();
    this.pending -= 1;
    return this.replies.take();
  }

  /** Sends one command and gives its reply. Throws where that is an error. */
  async call(...parts: readonly (string | Uint8Array)[]): Promise<Exclude<ReplyValue, RespError>> {
    const commands = new Commands();
    commands.add(...parts);
    this.send(commands);
    const reply = await this.reply();
    if (reply instanceof RespError) throw reply;
    return reply;
  }

  destroy(): void {
    this.#end(new ConnectionLost(this.#answered));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.destroy();
  }

  #take(chunk: Buffer): void {
    this.#answered = true;
    this.replies.append(chunk);
    if (this.replies.unread > mostUnread && this.#wake === null) {
      this.#paused = true;
      this.#socket.pause();
    }
    this.#awake();
  }

  #end(error: Error): void {
    this.#lost ??= error;
    clearTimeout(this.#timer);
    this.rest();
    this.#socket.destroy();
    this.#awake();
  }

  #awake(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }
}
