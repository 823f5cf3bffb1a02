import { Announced } from "../../net/announced.ts";
import { ReqlConnectionError } from "./failures.ts";

/** The header is the token and the length. */
const headerBytes = 12;

/** The longest answer that is accepted. Answers of 143 MB were seen; a document has at most 64 MB. */
const longestFrame = 1 << 30;

/** Assembles answers from a socket's chunks: int64 token, uint32 length, JSON. */
export class FrameReader {
  readonly #onFrame: (token: bigint, text: Buffer) => void;
  readonly #header = Buffer.alloc(headerBytes);
  #headerFilled = 0;
  #body: Announced | null = null;

  constructor(onFrame: (token: bigint, text: Buffer) => void) {
    this.#onFrame = onFrame;
  }

  /** Where the connection would end if it ended now: between answers, or inside an answer. */
  get ending(): string {
    if (this.#body !== null) return `it ended after ${this.#body.filled} of ${this.#body.length} bytes of an answer`;
    return this.#headerFilled > 0 ? "it ended inside an answer" : "the server closed it";
  }

  push(chunk: Buffer): void {
    let position = 0;
    while (position < chunk.length) {
      if (this.#body === null) {
        const taken = chunk.copy(
          this.#header,
          this.#headerFilled,
          position,
          position + headerBytes - this.#headerFilled,
        );
        this.#headerFilled += taken;
        position += taken;
        if (this.#headerFilled < headerBytes) return;
        this.#begin();
        if (this.#body === null) continue;
      }
      const body = this.#body!;
      position += body.take(chunk, position);
      if (body.whole !== null) this.#end(body.whole);
    }
  }

  #begin(): void {
    const length = this.#header.readUInt32LE(8);
    if (length > longestFrame)
      throw new ReqlConnectionError("not RethinkDB", `an answer of ${length} bytes was announced`);
    this.#body = new Announced(length);
    if (length === 0) this.#end(Buffer.alloc(0));
  }

  #end(body: Buffer): void {
    this.#body = null;
    this.#headerFilled = 0;
    this.#onFrame(this.#header.readBigInt64LE(0), body);
  }
}
