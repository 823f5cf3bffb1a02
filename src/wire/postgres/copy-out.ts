import type { Duplex } from "node:stream";
import type pg from "pg";

/** Read ahead of the reader up to this many bytes; then the socket is paused, and with it the server. */
const highWater = 512 << 10;
const lowWater = 128 << 10;

const copyData = 0x64;
const readyForQuery = 0x5a;
const headBytes = 5;
/** PostgreSQL makes no message of more than 1 GiB: what claims to be longer is not one. */
const longestMessage = 0x7fff_ffff;

/**
 * Runs a `COPY … TO STDOUT` on a client of `pg` and yields its CopyData messages as they came from the socket: each
 * chunk holds whole messages, heads included (`d`, int32 length, payload), one after the other.
 *
 * `pg` would make an object and an event of every row; so its listener is taken off the socket while the statement
 * runs, and is given only what is not CopyData. Another statement can follow on the same client once this has ended.
 * A reader that leaves early must close the client: the rest of the rows is still on its way.
 *
 * Other statements may stand before and after the COPY in `text`, so that all take one round trip. `before` is given
 * the rows of those before it, ahead of the first chunk.
 */
export async function* copyOut(
  client: pg.Client,
  text: string,
  before: ((rows: readonly TextFields[]) => void) | null = null,
): AsyncGenerator<Buffer, void> {
  const copy = new CopyOut(text);
  client.query(copy);
  for (let first = true; ; first = false) {
    const chunk = copy.shift() ?? (await copy.next());
    if (first) before?.(copy.rows);
    if (chunk === null) return;
    yield chunk;
  }
}

type DataListener = (chunk: Buffer) => void;

/** A row of a statement that is no COPY, as text. */
type TextFields = readonly (string | null)[];

/** What `pg` runs as a query: see `Submittable` there. */
class CopyOut implements pg.Submittable {
  /** Of the statements that are no COPY. */
  readonly rows: TextFields[] = [];
  readonly #text: string;
  #stream: Duplex | null = null;
  #listeners: readonly DataListener[] = [];
  #chunks: Buffer[] = [];
  #bytes = 0;
  #paused = false;
  #ended = false;
  #error: unknown = null;
  #wake: (() => void) | null = null;
  /** A message that straddles chunks: its head, then (once the head tells its size) the whole of it. */
  readonly #head = Buffer.alloc(headBytes);
  #message: Buffer | null = null;
  #held = 0;

  constructor(text: string) {
    this.#text = text;
  }

  submit(connection: pg.Connection): void {
    this.#stream = connection.stream;
    this.#listeners = connection.stream.listeners("data") as DataListener[];
    for (const listener of this.#listeners) connection.stream.off("data", listener);
    connection.stream.on("data", this.#receive);
    connection.stream.on("close", this.#close);
    connection.query(this.#text);
  }

  /** A chunk that is there already. */
  shift(): Buffer | undefined {
    const chunk = this.#chunks.shift();
    if (chunk !== undefined) {
      this.#bytes -= chunk.length;
      if (this.#paused && this.#bytes < lowWater) {
        this.#paused = false;
        this.#stream?.resume();
      }
    }
    return chunk;
  }

  /** The next chunk, `null` at the end. Throws what the server or the socket reported. */
  async next(): Promise<Buffer | null> {
    while (this.#chunks.length === 0 && !this.#ended) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const chunk = this.shift();
    if (chunk !== undefined) return chunk;
    if (this.#error !== null) throw this.#error;
    return null;
  }

  readonly #receive = (chunk: Buffer): void => {
    let position = this.#held > 0 ? this.#complete(chunk) : 0;
    let start = position;
    while (position + headBytes <= chunk.length) {
      const kind = chunk[position]!;
      const end = position + 1 + chunk.readUInt32BE(position + 1);
      if (end > chunk.length) break;
      if (kind !== copyData) {
        this.#push(chunk.subarray(start, position));
        this.#pass(kind, chunk.subarray(position, end));
        start = end;
      }
      position = end;
    }
    this.#push(chunk.subarray(start, position));
    if (position < chunk.length) this.#hold(chunk, position);
    if (this.#bytes > highWater && !this.#ended) {
      this.#paused = true;
      this.#stream?.pause();
    }
    this.#notify();
  };

  readonly #close = (): void => {
    this.#error ??= new Error("Connection terminated unexpectedly");
    this.#end();
  };

  /** Keeps the beginning of a message whose rest is still to come. */
  #hold(chunk: Buffer, position: number): void {
    const held = chunk.length - position;
    if (held < headBytes) {
      chunk.copy(this.#head, 0, position);
    } else {
      this.#message = this.#room(chunk.readUInt32BE(position + 1));
      chunk.copy(this.#message, 0, position);
    }
    this.#held = held;
  }

  #room(length: number): Buffer {
    if (length < longestMessage) return Buffer.allocUnsafe(1 + length);
    this.#stream?.destroy(new Error(`Connection terminated: a message of ${length} bytes can't be one`));
    return Buffer.alloc(headBytes);
  }

  /** Adds to the straddling message; gives the position in `chunk` that follows it. */
  #complete(chunk: Buffer): number {
    let position = 0;
    if (this.#message === null) {
      position = chunk.copy(this.#head, this.#held, 0, headBytes - this.#held);
      this.#held += position;
      if (this.#held < headBytes) return position;
      this.#message = this.#room(this.#head.readUInt32BE(1));
      this.#head.copy(this.#message);
    }
    const copied = chunk.copy(this.#message, this.#held, position);
    this.#held += copied;
    if (this.#held === this.#message.length) {
      const message = this.#message;
      this.#message = null;
      this.#held = 0;
      const kind = message[0]!;
      if (kind === copyData) this.#push(message);
      else this.#pass(kind, message);
    }
    return position + copied;
  }

  #push(messages: Buffer): void {
    if (messages.length === 0) return;
    this.#chunks.push(messages);
    this.#bytes += messages.length;
  }

  /** Everything but CopyData is for `pg`, which then is as if it had read all of it. */
  #pass(kind: number, message: Buffer): void {
    if (kind === readyForQuery) this.#restore();
    for (const listener of this.#listeners) listener(message);
    if (kind === readyForQuery) this.#end();
  }

  #restore(): void {
    const stream = this.#stream;
    if (stream === null) return;
    stream.off("data", this.#receive);
    stream.off("close", this.#close);
    for (const listener of this.#listeners) stream.on("data", listener);
    stream.resume();
  }

  #end(): void {
    this.#ended = true;
    this.#notify();
  }

  #notify(): void {
    this.#wake?.();
    this.#wake = null;
  }

  /** Called by `pg`: of an error of the server, which ReadyForQuery or the end of the connection follows. */
  handleError(error: Error & { readonly severity?: string }): void {
    this.#error ??= error;
    if (error.severity === undefined) this.#end();
  }

  handleRowDescription(): void {}

  handleDataRow({ fields }: { readonly fields: TextFields }): void {
    this.rows.push(fields);
  }

  handleCommandComplete(): void {}

  handleReadyForQuery(): void {}
}
