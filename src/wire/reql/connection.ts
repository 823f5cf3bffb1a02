import type { Socket } from "node:net";
import { asBroken, ProtocolBroken } from "../../net/broken.ts";
import { connect } from "../../net/socket.ts";
import { Watch } from "../../net/watch.ts";
import type { Json } from "../../protocol/json.ts";
import type { ReqlAddress } from "./address.ts";
import { diagnose, foundOut } from "./diagnose.ts";
import { ReqlConnectionError, ReqlQueryError } from "./failures.ts";
import { FrameReader } from "./frames.ts";
import { shakeHands } from "./handshake.ts";
import type { Term } from "./terms.ts";

/** Global optional arguments of a query: `read_mode`, `max_batch_bytes`, … */
export type QueryOptions = Readonly<Record<string, Json>>;

/** An answer to a query: JSON text as it was received, `{"t":3,"r":[…],"n":[]}`. */
export interface Answer {
  /** 1: one value, 2: the last rows, 3: rows with more to follow, 5: information about the server. */
  readonly type: number;
  readonly text: Buffer;
}

const start = 1;
const continueText = "[2]";
const stopText = "[3]";
/** Asks for information about the server. The server answers at once, even if it is busy. */
const probeText = "[5]";
const partial = 3;
/** See {@link Answer}; 4 is a NOREPLY_WAIT, which is not asked for. */
const answerTypes: ReadonlySet<number> = new Set([1, 2, partial, 5]);
const errorTypes: ReadonlySet<number> = new Set([16, 17, 18]);

/** The size of all that {@link ReqlConnection.value} gives. */
const mostValueBytes = 256 << 20;

interface Waiter {
  readonly signal: AbortSignal;
  resolve(answer: Buffer): void;
  reject(reason: unknown): void;
}

/**
 * One connection. Several queries may run at the same time: their answers are matched by token. Errors are
 * {@link ReqlQueryError}, {@link ReqlConnectionError}, those of the system, or the reason of an aborted signal.
 */
export class ReqlConnection implements AsyncDisposable {
  readonly serverVersion: string;
  readonly #socket: Socket;
  readonly #watch: Watch;
  readonly #waiting = new Map<bigint, Waiter>();
  /** By signal: how many queries wait with this signal. */
  readonly #signals = new Map<AbortSignal, { waiting: number; readonly abort: () => void }>();
  readonly #frames: FrameReader;
  #token = 0n;
  #answers = 0;
  #failed: Error | null = null;
  /** Called when the next answer arrives, whatever it answers. */
  #probed: (() => void) | null = null;

  private constructor(socket: Socket, serverVersion: string, silence: number) {
    this.#socket = socket;
    this.#watch = new Watch({
      silence,
      probe: () => this.#probe(),
      end: ({ message }) => this.#fail(new ReqlConnectionError("silent", message)),
    });
    this.serverVersion = serverVersion;
    this.#frames = new FrameReader((token, text) => this.#take(token, text));
    socket.on("data", (chunk: Buffer) => this.#read(chunk));
    socket.on("error", (error) => this.#fail(error));
    socket.on("close", () => this.#fail(new ReqlConnectionError("lost", this.#frames.ending)));
  }

  static async connect(address: ReqlAddress, signal: AbortSignal): Promise<ReqlConnection> {
    const { user, password, silence, connectTimeout: timeout } = address;
    let other: unknown = null;
    try {
      return await connect({ ...address, timeout }, signal, async (socket) => {
        const shaken = new AbortController();
        const found = foundOut(address, AbortSignal.any([signal, shaken.signal]));
        found.catch((thrown: unknown) => {
          other = thrown;
        });
        try {
          const version = await Promise.race([shakeHands(socket, user, password), found]);
          return new ReqlConnection(socket, version, silence);
        } finally {
          shaken.abort();
        }
      });
    } catch (thrown) {
      signal.throwIfAborted();
      throw thrown === other ? thrown : await diagnose(thrown, address, signal);
    }
  }

  /** Whether queries can still be sent. */
  get alive(): boolean {
    return this.#failed === null;
  }

  /** The value of a query, or all rows of a stream. Only for small results. */
  async value(query: Term, options: QueryOptions, signal: AbortSignal): Promise<Json> {
    let rows: readonly Json[] = [];
    let bytes = 0;
    for await (const answer of this.answers(query, options, signal)) {
      const { r } = parsed(answer.text);
      bytes += answer.text.length;
      if (bytes > mostValueBytes) throw new ProtocolBroken(`more than ${mostValueBytes >> 20} MiB of a small result`);
      if (answer.type === 1 || answer.type === 5) return r[0] ?? null;
      rows = rows.length === 0 ? r : rows.concat(r);
    }
    return rows;
  }

  /**
   * The answers of a query, as they were received. For a stream, the next answer is requested before the current one is
   * yielded, so that the server works while the caller does. If the caller stops early, the query is stopped.
   */
  async *answers(query: Term, options: QueryOptions, signal: AbortSignal): AsyncGenerator<Answer> {
    const token = ++this.#token;
    const text = JSON.stringify([start, query, options]);
    let next: Promise<Buffer> | null = this.#ask(token, text, signal);
    try {
      while (next !== null) {
        const came: Buffer = await next;
        next = null;
        const answer = checked(came);
        if (answer.type === partial) next = this.#ask(token, continueText, signal);
        // The error is thrown where `next` is awaited. Until then it must not count as unhandled.
        next?.catch(() => {});
        yield answer;
      }
    } finally {
      // The server answers both the last request and the stop; both answers are dropped.
      if (next !== null) this.#leave(token);
    }
  }

  /** Ends the connection at once. Running queries fail with `reason`. */
  destroy(reason: Error = new ReqlConnectionError("closed", "the connection was closed")): void {
    this.#fail(reason);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.destroy();
  }

  #ask(token: bigint, text: string, signal: AbortSignal): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason as Error);
      if (this.#failed !== null) return reject(this.#failed);
      this.#waiting.set(token, { signal, resolve, reject });
      this.#listen(signal);
      this.#send(token, text);
      this.#watch.begin();
    });
  }

  /** Adds one listener for all queries that wait with a signal, because there may be many. */
  #listen(signal: AbortSignal): void {
    const known = this.#signals.get(signal);
    if (known !== undefined) {
      known.waiting++;
      return;
    }
    const abort = (): void => {
      this.#signals.delete(signal);
      for (const [token, waiter] of this.#waiting) {
        if (waiter.signal !== signal) continue;
        this.#waiting.delete(token);
        waiter.reject(signal.reason);
      }
    };
    this.#signals.set(signal, { waiting: 1, abort });
    signal.addEventListener("abort", abort, { once: true });
  }

  /** Removes a waiting query and returns its waiter. */
  #settle(token: bigint): Waiter | undefined {
    const waiter = this.#waiting.get(token);
    if (waiter === undefined) return undefined;
    this.#waiting.delete(token);
    const known = this.#signals.get(waiter.signal);
    if (known !== undefined && --known.waiting === 0) {
      this.#signals.delete(waiter.signal);
      waiter.signal.removeEventListener("abort", known.abort);
    }
    return waiter;
  }

  #leave(token: bigint): void {
    this.#settle(token);
    if (this.#failed === null) this.#send(token, stopText);
  }

  #send(token: bigint, text: string): void {
    const bytes = Buffer.byteLength(text);
    const frame = Buffer.allocUnsafe(12 + bytes);
    frame.writeBigInt64LE(token, 0);
    frame.writeUInt32LE(bytes, 8);
    frame.write(text, 12);
    this.#socket.write(frame);
  }

  #read(chunk: Buffer): void {
    const before = this.#answers;
    try {
      this.#frames.push(chunk);
    } catch (thrown) {
      this.#fail(thrown as Error);
    }
    this.#watch.heard(chunk.length, this.#answers > before);
    if (this.#waiting.size === 0) this.#watch.rest();
  }

  #take(token: bigint, text: Buffer): void {
    this.#answers += 1;
    this.#probed?.();
    // An answer without a waiter is dropped: its query was stopped, or it answers a probe.
    this.#settle(token)?.resolve(text);
  }

  /** A busy server answers this too (a filter that finds nothing may take minutes); a frozen one does not. */
  #probe(): Promise<null> {
    return new Promise((resolve) => {
      this.#probed = () => resolve(null);
      this.#send(++this.#token, probeText);
    });
  }

  #fail(reason: Error): void {
    if (this.#failed !== null) return;
    this.#failed = reason;
    this.#watch.close();
    this.#socket.destroy();
    for (const token of [...this.#waiting.keys()]) this.#settle(token)?.reject(reason);
  }
}

/** The answer, if it is not an error. The type is read from its usual position, without parsing the rest. */
function checked(text: Buffer): Answer {
  const type = typeOf(text);
  if (answerTypes.has(type)) return { type, text };
  if (!errorTypes.has(type)) throw new ProtocolBroken(`an answer of the unknown type ${type}`);
  const { e, r } = parsed(text);
  throw new ReqlQueryError(type, typeof e === "number" ? e : 0, String(r[0] ?? "an error without a text"));
}

function typeOf(text: Buffer): number {
  const head = /^\{"t":(\d+)[,}]/.exec(text.toString("latin1", 0, 16));
  return head === null ? parsed(text).t : Number(head[1]);
}

function parsed(text: Buffer): { readonly t: number; readonly r: readonly Json[]; readonly e?: unknown } {
  let answer: unknown;
  try {
    answer = JSON.parse(text.toString());
  } catch (thrown) {
    throw asBroken(thrown, "an answer that is no JSON");
  }
  const { t, r, e } = (answer ?? {}) as { t?: unknown; r?: unknown; e?: unknown };
  if (typeof t !== "number" || !Array.isArray(r)) throw new ProtocolBroken("an answer without a type or a result");
  return { t, r: r as readonly Json[], e };
}
