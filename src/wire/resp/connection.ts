import { setMaxListeners } from "node:events";
import type { Socket } from "node:net";
import type { ConnectionOptions } from "node:tls";
import { connect, ConnectionLost } from "../../net/socket.ts";
import { Watch } from "../../net/watch.ts";
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
  /** The time limit for connecting, and for the login, in milliseconds. */
  readonly timeout: number;
  /** How long the server may send nothing while a reply is due before it is probed, in milliseconds. */
  readonly silence: number;
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
  const probe = (signal: AbortSignal): Promise<string | null> => isBusy(settings, signal);
  const connection = await connect(target, signal, (socket) => new RespConnection(socket, settings.silence, probe));
  connection.use(signal);
  const late = setTimeout(() => connection.end(new RespTimeout(`nothing came for ${timeout / 1_000} s`)), timeout);
  try {
    await greet(connection, settings);
  } catch (thrown) {
    connection.destroy();
    signal.throwIfAborted();
    throw thrown;
  } finally {
    clearTimeout(late);
  }
  connection.rest();
  return connection;
}

/**
 * Asks a silent server on a second connection. One that says that it is busy or loading is waited for (`null`). One that
 * answers at once would have answered on the first connection too, since no command of ours takes so long.
 */
async function isBusy(settings: RespSettings, signal: AbortSignal): Promise<string | null> {
  try {
    (await connectResp(settings, signal)).destroy();
    return "the server answers others";
  } catch (thrown) {
    if (thrown instanceof RespError && /^(?:BUSY|LOADING)\b/.test(thrown.message)) return null;
    throw thrown;
  }
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
  readonly #watch: Watch;
  /** A reply was read to its end since the last wait. */
  #moved = false;
  readonly #abort = (): void => this.end(this.#signal!.reason as Error);

  /** `probe`: see {@link Watch}. */
  constructor(socket: Socket, silence: number, probe: (signal: AbortSignal) => Promise<string | null>) {
    this.#socket = socket;
    this.#watch = new Watch({ silence, probe, end: ({ message }) => this.end(new RespTimeout(message)) });
    socket.on("data", (chunk: Buffer) => this.#take(chunk));
    socket.on("error", (error) => this.end(new ConnectionLost(this.#answered, error)));
    socket.on("close", () => this.end(new ConnectionLost(this.#answered)));
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
    if (this.#moved) this.#watch.heard(0, true);
    this.#moved = false;
    this.#watch.begin();
    await new Promise<void>((resolve) => (this.#wake = resolve));
    this.#watch.rest();
    if (this.#lost !== null && !this.replies.complete()) throw this.#lost;
  }

  /** Ends the reading of the current reply. */
  done(): void {
    this.replies.done();
    this.#moved = true;
    this.pending -= 1;
  }

  /** Reads the next reply as a value. An error reply is returned, not thrown. */
  async reply(): Promise<ReplyValue> {
    while (!this.replies.complete()) await this.more();
    this.#moved = true;
    this.pending -= 1;
    return this.replies.take();
  }

  /** Sends one command and returns its reply. Throws an error reply. */
  async call(...parts: readonly (string | Uint8Array)[]): Promise<Exclude<ReplyValue, RespError>> {
    const commands = new Commands();
    commands.add(...parts);
    this.send(commands);
    const reply = await this.reply();
    if (reply instanceof RespError) throw new RespError(reply.message, String(parts[0]));
    return reply;
  }

  destroy(): void {
    this.end(new ConnectionLost(this.#answered));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.destroy();
  }

  #take(chunk: Buffer): void {
    this.#answered = true;
    this.#watch.heard(chunk.byteLength, false);
    this.replies.append(chunk);
    if (this.replies.unread > mostUnread && this.#wake === null) {
      this.#paused = true;
      this.#socket.pause();
    }
    this.#awake();
  }

  /** Ends the connection; readers throw `error`. */
  end(error: Error): void {
    this.#lost ??= error;
    this.#watch.close();
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
