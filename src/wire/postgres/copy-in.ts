import type { Duplex } from "node:stream";
import type pg from "pg";
import { ProtocolBroken } from "../../net/broken.ts";
import type { Watch } from "../../net/watch.ts";

/** CopyDone and CopyFail (without a text), as messages. */
const copyDone = Buffer.from([0x63, 0, 0, 0, 4]);
const copyFail = Buffer.from([0x66, 0, 0, 0, 5, 0]);

/** How many bytes may wait to be sent before a writer has to wait. */
const highWater = 1 << 20;

/**
 * A `COPY … FROM STDIN` under way on a client of `pg`. It is written as CopyData messages,
 * heads included. Nothing waits for the server's answer before the end, so that sending and working overlap. The next
 * `write` or `end` reports an error; the server ignores what else was sent. No other statement may
 * run until `end` or `fail` has resolved.
 */
export class CopyIn implements pg.Submittable {
  readonly #text: string;
  readonly #over: Promise<void>;
  #end!: () => void;
  #connection: pg.Connection | null = null;
  #ended = false;
  #error: unknown = null;
  #rows: number | null = null;
  readonly #watch: Watch;

  /** `onEnd` is called once the statement is over, however it ended. */
  constructor(text: string, watch: Watch, onEnd: () => void) {
    this.#text = text;
    this.#watch = watch;
    this.#over = new Promise((resolve) => {
      this.#end = () => {
        this.#ended = true;
        onEnd();
        resolve();
      };
    });
  }

  /** Resolves when there is room for more. Do not change the messages before `sent` is called. */
  async write(messages: Uint8Array, sent: () => void = () => {}): Promise<void> {
    if (this.#error !== null) throw this.#error;
    const { stream } = this.#connection!;
    stream.write(messages, () => {
      this.#watch.heard(messages.byteLength, true);
      sent();
    });
    if (stream.writableLength > highWater) await this.#wait(Promise.race([drained(stream), this.#over]));
  }

  /** Resolves to how many rows the server has taken. */
  async end(): Promise<number> {
    if (this.#error === null) this.#connection!.stream.write(copyDone);
    await this.#wait(this.#over);
    if (this.#error !== null) throw this.#error;
    if (this.#rows === null) throw new ProtocolBroken("a COPY that ends without the number of its rows");
    return this.#rows;
  }

  /** Aborts the COPY: the server undoes the statement, and with it its transaction. */
  async fail(): Promise<void> {
    if (!this.#ended && this.#error === null) this.#connection!.stream.write(copyFail);
    await this.#wait(this.#over);
  }

  async #wait(what: Promise<void>): Promise<void> {
    this.#watch.begin();
    await what;
    this.#watch.rest();
  }

  /** The methods from here on are called by `pg`. */
  submit(connection: pg.Connection): void {
    this.#connection = connection;
    connection.stream.once("close", this.#close);
    connection.query(this.#text);
  }

  readonly #close = (): void => {
    this.#error ??= new Error("Connection terminated unexpectedly");
    this.#end();
  };

  handleCopyInResponse(): void {}

  handleCommandComplete(message: { readonly text: string }): void {
    this.#rows = Number(message.text.replace("COPY ", ""));
  }

  /** An error of the server, after which `pg` calls nothing more here, or the end of the connection. */
  handleError(error: Error): void {
    this.#error ??= error;
    this.handleReadyForQuery();
  }

  handleReadyForQuery(): void {
    this.#connection?.stream.off("close", this.#close);
    this.#end();
  }
}

function drained(stream: Duplex): Promise<void> {
  return new Promise((resolve) => {
    stream.once("drain", () => resolve());
  });
}
