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
  /** The time limit for connecting, and for the wait for each reply, in milliseconds. */
  readonly timeout: number;
}

/** A TLS server answers within a round trip or two; a server without TLS may wait forever for the end of a line. */
const mostTlsMilliseconds = 5_000;

/** If more bytes than this are unread, the socket is paused. */
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
 * Logs in within one round trip. PING and CLIENT may be forbidden to a user who can still read. A replica in a cluster
 * redirects readers to its master unless READONLY was sent; any other server refuses READONLY, which is ignored.
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
    // A server that rejects a client reports its reason once and closes the connection.
    throw thrown instanceof ConnectionLost && refused !== null ? refused : thrown;
  }
}

/**
 * One connection. Any number of commands can be sent at a time. The replies are read in the same order: from `replies`
 * once `complete` returns true, or as values by `reply`. Only one reader at a time.
 */
export class RespConnection implements AsyncDisposable {
  readonly replies = new Replies();
  /** The number of commands whose replies were not read yet. */
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

  /** From now until `rest`, `signal` ends the connection. */
  use(signal: AbortSignal): void {
    signal.throwIfAborted();
    this.#signal = signal;
    this.#socket.ref();
    // Many connections of a sync listen to one signal. This is no leak, but Node.js would warn of one.
    setMaxListeners(0, signal);
    signal.addEventListener("abort", this.#abort, { once: true });
  }

  /** Marks the connection as unused until `use`. It then does not keep the process alive. */
  rest(): void {
    this.#signal?.removeEventListener("abort", this.#abort);
    this.#signal = null;
    this.#socket.unref();
  }

  /** Sends commands. `pending` counts them until their replies are read. */
  send(commands: Commands): void {
    this.pending += commands.count;
    const bytes = commands.take();
    if (this.#lost === null) this.#socket.write(bytes);
  }

  /** Whether the whole next reply has arrived; if not, wait with `more`. */
  complete(): boolean {
    return this.replies.complete();
  }

  /** Waits for more bytes. Throws the error that ended the connection. */
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

  /** Ends the reading of the current reply. */
  done(): void {
    this.replies.done();
    this.pending -= 1;
  }

  /** Reads the next reply as a value. An error reply is returned, not thrown. */
  async reply(): Promise<ReplyValue> {
    while (!this.replies.complete()) await this.more();
    this.pending -= 1;
    return this.replies.take();
  }

  /** Sends one command and returns its reply. Throws an error reply. */
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
