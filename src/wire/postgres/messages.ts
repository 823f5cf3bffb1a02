import { ProtocolBroken } from "../../net/broken.ts";

/** The kind of a message, and its length. */
export const headBytes = 5;

export const kinds = {
  copyData: 0x64,
  copyDone: 0x63,
  dataRow: 0x44,
  commandComplete: 0x43,
  error: 0x45,
  notice: 0x4e,
  ready: 0x5a,
} as const;

/** All kinds that a server may send: https://www.postgresql.org/docs/15/protocol-message-formats.html */
const known = new Set(Buffer.from("123ACDEGHIKNRSTVWZcdnstv"));

/** PostgreSQL sends no message over 1 GiB; messages without a row have a few kilobytes at most. */
const longestRow = 1 << 30;
const longestOther = 16 << 20;

/** The most memory, approximately, for rows that are returned as objects. A single row may be larger. */
const mostRows = 512 << 20;
const rowOverhead = 200;

/** The bytes after a message's head. Throws {@link ProtocolBroken} if it can't be a head. */
export function bodyLength(kind: number, length: number): number {
  if (!known.has(kind)) throw new ProtocolBroken(`a message of the unknown kind 0x${kind.toString(16)}`);
  const longest = kind === kinds.copyData || kind === kinds.dataRow ? longestRow : longestOther;
  if (length < 4 || length > longest) {
    throw new ProtocolBroken(`a message of kind "${String.fromCharCode(kind)}" and ${length} bytes`);
  }
  return length - 4;
}

/** Checks the heads of a stream of messages before a parser that trusts them reads it. */
export class MessageHeads {
  readonly #head = Buffer.alloc(headBytes);
  #filled = 0;
  #left = 0;
  #rows = 0;
  /** The last two bytes of the body so far, in their order. */
  #last: readonly [number, number] = [0, 0];

  /** Whether a message ended in this chunk. Throws {@link ProtocolBroken}. */
  follow(chunk: Buffer): boolean {
    let ended = false;
    for (let at = 0; at < chunk.length;) {
      if (this.#left > 0) {
        const passed = Math.min(this.#left, chunk.length - at);
        this.#left -= passed;
        at += passed;
        this.#last = [passed > 1 ? chunk[at - 2]! : this.#last[1], chunk[at - 1]!];
      } else {
        const copied = chunk.copy(this.#head, this.#filled, at, at + headBytes - this.#filled);
        this.#filled += copied;
        at += copied;
        if (this.#filled < headBytes) return ended;
        this.#filled = 0;
        this.#begin(this.#head[0]!, this.#head.readUInt32BE(1));
      }
      if (this.#left > 0) continue;
      ended = true;
      this.#end(this.#head[0]!);
    }
    return ended;
  }

  /**
   * The parser of `pg` would search for ever for the end of an error's fields: each ends with a zero byte, and all with
   * another.
   */
  #end(kind: number): void {
    if (kind !== kinds.error && kind !== kinds.notice) return;
    if (this.#last[0] !== 0 || this.#last[1] !== 0) throw new ProtocolBroken("an error without an end");
  }

  #begin(kind: number, length: number): void {
    // An error without fields has one zero byte.
    this.#last = [0, length > 4 ? 0 : 1];
    this.#left = bodyLength(kind, length);
    if (kind === kinds.ready) this.#rows = 0;
    if (kind !== kinds.dataRow) return;
    if (this.#rows > 0 && this.#rows + length > mostRows) {
      throw new ProtocolBroken(`more than ${mostRows >> 20} MiB of rows where a small result was asked for`);
    }
    this.#rows += length + rowOverhead;
  }
}
