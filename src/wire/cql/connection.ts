import { setMaxListeners } from "node:events";
import type { Socket } from "node:net";
import type { ConnectionOptions } from "node:tls";
import { connect, ConnectionLost } from "../../net/socket.ts";
import { Watch } from "../../net/watch.ts";
import { type Frame, FrameReader, opcodes, requestFrame } from "./frames.ts";
import { authResponseBody, readBody, startupBody } from "./messages.ts";
import { CqlLoginWanted, CqlServerError, CqlTimeout, readServerError, serverErrors } from "./server-error.ts";

/** Where and how to connect. */
export interface ConnectOptions {
  readonly host: string;
  readonly port: number;
  /** The local port: ScyllaDB's shard-aware port chooses the shard by it. */
  readonly localPort?: number | undefined;
  readonly tls: ConnectionOptions | null;
  readonly username: string | null;
  readonly password: string | null;
  /** The time limits for connecting with the login, and for each answer, in milliseconds. */
  readonly connectTimeout: number;
  readonly requestTimeout: number;
}

interface Pending {
  resolve(frame: Frame): void;
  reject(reason: unknown): void;
}

/** A node that is silent for half of the time that an answer may take, but not longer than this, is probed. */
const mostSilence = 60_000;

/** Half of the protocol's limit, so that the stream of an abandoned request is not reused too soon. */
const mostStreams = 16_384;

/** One connection to one node. Many requests share it, each on a stream of its own. */
export class CqlConnection {
  readonly #socket: Socket;
  readonly #requestTimeout: number;
  readonly #reader = new FrameReader();
  readonly #pending = new Map<number, Pending>();
  readonly #free: number[] = [];
  #streams = 0;
  #ended: unknown = null;
  #answered = false;
  readonly #watch: Watch;
  /** What the server reports in SUPPORTED: `SCYLLA_SHARD`, `CQL_VERSION`, … */
  supported: ReadonlyMap<string, readonly string[]> = new Map();

  private constructor(socket: Socket, requestTimeout: number) {
    this.#socket = socket;
    this.#requestTimeout = requestTimeout;
    this.#watch = new Watch({
      silence: Math.min(mostSilence, requestTimeout / 2),
      // A node answers this at once, even if it is busy.
      probe: async (signal) => {
        await this.request(opcodes.options, Buffer.alloc(0), signal);
        return null;
      },
      end: (error) => this.#end(new ConnectionLost(this.#answered, error)),
    });
    socket.on("data", (chunk) => this.#receive(chunk));
    socket.on("error", (error) => this.#end(new ConnectionLost(this.#answered, error)));
    socket.on("close", () => this.#end(new ConnectionLost(this.#answered)));
  }

  /** Connects and logs in. Throws what {@link cqlError} explains. */
  static open(options: ConnectOptions, signal: AbortSignal): Promise<CqlConnection> {
    return connect({ ...options, timeout: options.connectTimeout }, signal, async (socket, signal) => {
      const connection = new CqlConnection(socket, options.requestTimeout);
      await connection.#start(options, signal);
      return connection;
    });
  }

  get isOpen(): boolean {
    return this.#ended === null;
  }

  /**
   * Sends one request and resolves to its answer. An answer that is an error is thrown as {@link CqlServerError}. A
   * request that was given up is still answered; that answer is dropped.
   */
  async request(opcode: number, body: Buffer, signal: AbortSignal): Promise<Frame> {
    signal.throwIfAborted();
    // Hundreds of requests may wait on one signal: this is no leak, but Node.js would warn of one.
    setMaxListeners(0, signal);
    if (this.#ended !== null) throw this.#ended;
    const stream = this.#free.pop() ?? this.#streams++;
    if (stream >= mostStreams) throw new CqlServerError(serverErrors.overloaded, "too many requests at a time", 4);
    const frame = await new Promise<Frame>((resolve, reject) => {
      const settle = (): void => {
        clearTimeout(timer);
        signal.removeEventListener("abort", abort);
      };
      const abort = (): void => {
        settle();
        reject(signal.reason as Error);
      };
      const timer = setTimeout(() => {
        settle();
        reject(new CqlTimeout(this.#requestTimeout));
      }, this.#requestTimeout);
      signal.addEventListener("abort", abort, { once: true });
      this.#pending.set(stream, {
        resolve: (frame) => {
          settle();
          resolve(frame);
        },
        reject: (reason) => {
          settle();
          reject(reason as Error);
        },
      });
      this.#socket.write(requestFrame(stream, opcode, body));
      this.#watch.begin();
    });
    if (frame.opcode !== opcodes.error) return frame;
    throw readBody(frame, (reader) => readServerError(reader, frame.version));
  }

  close(): void {
    this.#end(new ConnectionLost(this.#answered));
  }

  #receive(chunk: Buffer): void {
    let isWhole = false;
    try {
      for (const frame of this.#reader.push(chunk)) {
        isWhole = true;
        this.#answered = true;
        const pending = this.#pending.get(frame.stream);
        // Negative streams are events, which were not requested.
        if (pending === undefined) continue;
        this.#pending.delete(frame.stream);
        this.#free.push(frame.stream);
        pending.resolve(frame);
      }
    } catch (thrown) {
      this.#end(thrown);
    }
    this.#watch.heard(chunk.length, isWhole);
    if (this.#pending.size === 0) this.#watch.rest();
  }

  #end(reason: unknown): void {
    if (this.#ended !== null) return;
    this.#ended = reason;
    this.#watch.close();
    this.#socket.destroy();
    for (const pending of this.#pending.values()) pending.reject(reason);
    this.#pending.clear();
  }

  async #start(options: ConnectOptions, signal: AbortSignal): Promise<void> {
    const supported = await this.request(opcodes.options, Buffer.alloc(0), signal);
    this.supported = readBody(supported, (reader) => reader.stringMultimap());
    const started = await this.request(
      opcodes.startup,
      startupBody({ CQL_VERSION: this.supported.get("CQL_VERSION")?.[0] ?? "3.0.0", DRIVER_NAME: "headwaters" }),
      signal,
    );
    if (started.opcode !== opcodes.authenticate) return;
    const authenticator = readBody(started, (reader) => reader.string());
    const { username, password } = options;
    if (username === null || password === null) throw new CqlLoginWanted(authenticator);
    const answer = await this.request(opcodes.authResponse, authResponseBody(username, password), signal);
    if (answer.opcode !== opcodes.authSuccess) throw new CqlLoginWanted(authenticator);
  }
}
