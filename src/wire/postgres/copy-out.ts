import type { Duplex } from "node:stream";
import type pg from "pg";
import { Announced } from "../../net/announced.ts";
import { asBroken, ProtocolBroken } from "../../net/broken.ts";
import type { Watch } from "../../net/watch.ts";
import { bodyLength, headBytes, kinds } from "./messages.ts";

/** At most this many bytes are read ahead; then the socket is paused, and with it the server. */
const highWater = 512 << 10;
const lowWater = 128 << 10;

/**
 * Runs a `COPY … TO STDOUT` on a client of `pg` and yields its CopyData messages as they came from the socket: each
 * chunk holds whole messages, heads included (`d`, int32 length, payload), one after the other.
 *
 * `pg` would make an object and an event for every row. So its listener is taken off the socket while the statement
 * runs, and is given only messages other than CopyData. Another statement can follow on the same client once this has ended.
 * A reader that stops early must close the client: the other rows are still on their way.
 *
 * Other statements may stand before and after the COPY in `text`, so that all take one round trip. `before` is given
 * the rows of those before it, ahead of the first chunk.
 */
export async function* copyOut(
  client: pg.Client,
  text: string,
  watch: Watch,
  before: ((rows: readonly TextFields[]) => void) | null = null,
): AsyncGenerator<Buffer, void> {
  const copy = new CopyOut(text, watch);
  client.query(copy);
  for (let first = true; ; first = false) {
    const chunk = copy.shift() ?? (await copy.next());
    if (first) before?.(copy.rows);
    if (chunk === null) return;
    yield chunk;
  }
}

type DataListener = (chunk: Buffer) => void;

/** A row of a statement other than COPY, as text. */
type TextFields = readonly (string | null)[];

/** What `pg` runs as a query: see `Submittable` there. */
class CopyOut implements pg.Submittable {
  /** The rows of the statements other than COPY. */
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
  /** Whether the server reported the end of the rows, and of the statement. */
  #isWhole = false;
  #isComplete = false;
  readonly #watch: Watch;
  /** A message that spans chunks: its head, then (once the head gives its size) the rest. */
  readonly #head = Buffer.alloc(headBytes);
  #held = 0;
  #messages = 0;
  #body: Announced | null = null;

  constructor(text: string, watch: Watch) {
    this.#text = text;
    this.#watch = watch;
  }

  submit(connection: pg.Connection): void {
    this.#stream = connection.stream;
    this.#listeners = connection.stream.listeners("data") as DataListener[];
    for (const listener of this.#listeners) connection.stream.off("data", listener);
    connection.stream.on("data", this.#receive);
    connection.stream.on("close", this.#close);
    connection.query(this.#text);
  }

  /** A chunk that has already arrived. */
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

  /** The next chunk, `null` at the end. Throws the error of the server or the socket. */
  async next(): Promise<Buffer | null> {
    while (this.#chunks.length === 0 && !this.#ended) {
      this.#watch.begin();
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    this.#watch.rest();
    const chunk = this.shift();
    if (chunk !== undefined) return chunk;
    if (this.#error !== null) throw this.#error;
    if (!this.#isWhole || !this.#isComplete) throw new ProtocolBroken("a COPY that ends without its end");
    return null;
  }

  readonly #receive = (chunk: Buffer): void => {
    try {
      this.#take(chunk);
    } catch (thrown) {
      this.#error ??= asBroken(thrown, "a message that can't be read");
      this.#stream?.destroy();
      this.#end();
    }
  };

  #take(chunk: Buffer): void {
    const before = this.#messages;
    let position = this.#held > 0 ? this.#complete(chunk) : 0;
    let start = position;
    while (position + headBytes <= chunk.length) {
      const kind = chunk[position]!;
      const end = position + headBytes + bodyLength(kind, chunk.readUInt32BE(position + 1));
      if (end > chunk.length) break;
      this.#messages += 1;
      if (kind !== kinds.copyData) {
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
    this.#watch.heard(chunk.length, this.#messages > before);
    this.#notify();
  }

  readonly #close = (): void => {
    this.#error ??= new Error("Connection terminated unexpectedly");
    this.#end();
  };

  /** Keeps the beginning of a message that is not complete yet. */
  #hold(chunk: Buffer, position: number): void {
    this.#held = chunk.copy(this.#head, 0, position, position + headBytes);
    if (this.#held < headBytes) return;
    this.#begin();
    this.#body!.take(chunk, position + headBytes);
  }

  #begin(): void {
    const length = headBytes + bodyLength(this.#head[0]!, this.#head.readUInt32BE(1));
    this.#body = new Announced(length);
    this.#body.take(this.#head, 0);
  }

  /** Adds to the message that spans chunks; returns the position in `chunk` after it. */
  #complete(chunk: Buffer): number {
    let position = 0;
    if (this.#body === null) {
      position = chunk.copy(this.#head, this.#held, 0, headBytes - this.#held);
      this.#held += position;
      if (this.#held < headBytes) return position;
      this.#begin();
    }
    position += this.#body!.take(chunk, position);
    const message = this.#body!.whole;
    if (message === null) return position;
    this.#body = null;
    this.#held = 0;
    this.#messages += 1;
    const kind = message[0]!;
    if (kind === kinds.copyData) this.#push(message);
    else this.#pass(kind, message);
    return position;
  }

  #push(messages: Buffer): void {
    if (messages.length === 0) return;
    this.#chunks.push(messages);
    this.#bytes += messages.length;
  }

  /** Everything but CopyData goes to `pg`, so that its state is as if it had read the whole stream. */
  #pass(kind: number, message: Buffer): void {
    if (kind === kinds.copyDone) this.#isWhole = true;
    if (kind === kinds.commandComplete && this.#isWhole) this.#isComplete = true;
    if (kind === kinds.ready) this.#restore();
    for (const listener of this.#listeners) listener(message);
    if (kind === kinds.ready) this.#end();
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

  /** Called by `pg` with an error of the server; ReadyForQuery or the end of the connection follows. */
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
