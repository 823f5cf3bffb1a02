/** The constant part of a command, as bytes: see {@link commandHead}. */
export type CommandHead = Uint8Array;

/**
 * The start of a RESP command: the number of all its arguments, and the arguments that never change. The other
 * arguments are added by `argument` or `text`.
 */
export function commandHead(count: number, ...fixed: readonly string[]): CommandHead {
  return Buffer.from(`*${count}\r\n${fixed.map((text) => `$${Buffer.byteLength(text)}\r\n${text}\r\n`).join("")}`);
}

/** Writes commands one after the other, so that many are sent at once. No string is made of a key. */
export class Commands {
  /** The number of commands that `take` will return. */
  count = 0;
  #bytes = Buffer.allocUnsafeSlow(1 << 14);
  #used = 0;

  /** Begins a command. The arguments that are missing in the head must follow. */
  begin(head: CommandHead): void {
    this.count += 1;
    this.#reserve(head.byteLength);
    this.#bytes.set(head, this.#used);
    this.#used += head.byteLength;
  }

  argument(source: Uint8Array, start = 0, end = source.byteLength): void {
    const length = end - start;
    this.#reserve(length + 16);
    let to = this.#length(length);
    const bytes = this.#bytes;
    if (length > 60) bytes.set(source.subarray(start, end), to);
    else for (let from = start, at = to; from < end;) bytes[at++] = source[from++]!;
    to += length;
    bytes[to] = 13;
    bytes[to + 1] = 10;
    this.#used = to + 2;
  }

  text(text: string): void {
    this.argument(Buffer.from(text));
  }

  /** Writes a whole command. */
  add(...parts: readonly (string | Uint8Array)[]): void {
    this.begin(commandHead(parts.length));
    for (const part of parts) {
      if (typeof part === "string") this.text(part);
      else this.argument(part);
    }
  }

  /** Returns the written bytes and starts over with a new buffer, because the bytes may still be on their way. */
  take(): Uint8Array {
    const taken = this.#bytes.subarray(0, this.#used);
    this.#bytes = Buffer.allocUnsafeSlow(this.#bytes.byteLength);
    this.#used = 0;
    this.count = 0;
    return taken;
  }

  /** Writes `$<length>\r\n` and returns the position after it. */
  #length(length: number): number {
    const bytes = this.#bytes;
    let to = this.#used;
    bytes[to++] = 0x24;
    if (length < 10) bytes[to++] = 48 + length;
    else if (length < 100) {
      bytes[to++] = 48 + ((length / 10) | 0);
      bytes[to++] = 48 + (length % 10);
    } else to += bytes.write(String(length), to, "latin1");
    bytes[to++] = 13;
    bytes[to++] = 10;
    return to;
  }

  #reserve(more: number): void {
    const needed = this.#used + more;
    if (needed <= this.#bytes.byteLength) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.byteLength * 2));
    larger.set(this.#bytes.subarray(0, this.#used));
    this.#bytes = larger;
  }
}
