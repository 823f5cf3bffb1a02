import { RespError, RespProtocolError } from "./errors.ts";

/** The kinds of RESP2 (https://redis.io/docs/latest/develop/reference/protocol-spec/), by their first byte. */
export const replyKind = {
  simple: 0x2b,
  error: 0x2d,
  integer: 0x3a,
  bulk: 0x24,
  array: 0x2a,
  /** A bulk string or an array that is absent (`$-1`, `*-1`). */
  nil: 0,
} as const;

/** A reply as JavaScript values: for single commands, not for the hot path. Strings are bytes. */
export type ReplyValue = number | string | Buffer | null | RespError | readonly ReplyValue[];

/**
 * The bytes that came from a server, read as replies without making a value of any of them. `complete` tells whether
 * a whole reply is there; then `next` goes through its parts, in order and without looking for their end again.
 *
 * RESP2 only: each server of this family speaks it, and of RESP3 only the shape of maps would differ.
 */
export class Replies {
  /** What `start` and `end` are positions in; changes with `append`. */
  bytes: Buffer = Buffer.allocUnsafeSlow(1 << 16);
  /** Of a simple string, an error or a bulk string: where its bytes are. */
  start = 0;
  end = 0;
  /** Of an integer its value (exact within ±2⁵³), of an array the count of its parts. */
  value = 0;
  #position = 0;
  #filled = 0;
  /** Up to where `complete` has looked, and how many replies it still lacks there. */
  #looked = 0;
  #lacking = 1;

  /** Bytes that were not read yet. */
  get unread(): number {
    return this.#filled - this.#position;
  }

  append(chunk: Uint8Array): void {
    if (this.#filled + chunk.byteLength > this.bytes.byteLength) this.#makeRoom(chunk.byteLength);
    this.bytes.set(chunk, this.#filled);
    this.#filled += chunk.byteLength;
  }

  /** Whether a whole reply, with all its parts, is there. */
  complete(): boolean {
    const { bytes } = this;
    const filled = this.#filled;
    while (this.#lacking > 0) {
      let at = this.#looked;
      const kind = bytes[at];
      // The shortest reply has three bytes, as `+\r\n`.
      if (at + 3 > filled) return false;
      if (kind === replyKind.simple || kind === replyKind.error || kind === replyKind.integer) {
        while (at < filled && bytes[at] !== 10) at += 1;
        if (at === filled) return false;
        this.#looked = at + 1;
        this.#lacking -= 1;
        continue;
      }
      if (kind !== replyKind.bulk && kind !== replyKind.array) throw foreign(bytes.subarray(at, filled));
      let length = 0;
      const negative = bytes[++at] === 0x2d;
      if (negative) at += 1;
      for (; ; at++) {
        if (at + 1 >= filled) return false;
        const digit = bytes[at]! - 48;
        if (digit < 0 || digit > 9) break;
        length = length * 10 + digit;
      }
      if (bytes[at] !== 13) throw foreign(bytes.subarray(this.#looked, filled));
      at += 2;
      if (kind === replyKind.bulk && !negative) {
        at += length + 2;
        if (at > filled) return false;
      }
      this.#looked = at;
      this.#lacking -= kind === replyKind.array && !negative ? 1 - length : 1;
    }
    return true;
  }

  /** Goes on to the next part of a complete reply: its kind; `start`, `end` and `value` are set as it has them. */
  next(): number {
    const { bytes } = this;
    let at = this.#position;
    const kind = bytes[at++]!;
    if (kind === replyKind.simple || kind === replyKind.error) {
      this.start = at;
      while (bytes[at] !== 13) at += 1;
      this.end = at;
      this.#position = at + 2;
      return kind;
    }
    const negative = bytes[at] === 0x2d;
    if (negative) at += 1;
    let value = 0;
    for (; ; at++) {
      const digit = bytes[at]! - 48;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
    }
    at += 2;
    if (kind === replyKind.integer) {
      this.value = negative ? -value : value;
    } else if (negative) {
      this.#position = at;
      return replyKind.nil;
    } else if (kind === replyKind.bulk) {
      this.start = at;
      this.end = at + value;
      at += value + 2;
    } else {
      this.value = value;
    }
    this.#position = at;
    return kind;
  }

  /** Ends the reading of a complete reply: of what is left of it nothing is read. */
  done(): void {
    this.#position = this.#looked;
    this.#lacking = 1;
  }

  /** The text between `start` and `end`. */
  text(): string {
    return this.bytes.toString("utf8", this.start, this.end);
  }

  /** A complete reply as a value; the bytes of strings are copied. */
  take(): ReplyValue {
    const value = this.#takePart();
    this.done();
    return value;
  }

  #takePart(): ReplyValue {
    switch (this.next()) {
      case replyKind.simple:
        return this.text();
      case replyKind.error:
        return new RespError(this.text());
      case replyKind.integer:
        return this.value;
      case replyKind.bulk:
        return Buffer.from(this.bytes.subarray(this.start, this.end));
      case replyKind.array: {
        const parts: ReplyValue[] = [];
        for (let left = this.value; left > 0; left--) parts.push(this.#takePart());
        return parts;
      }
      default:
        return null;
    }
  }

  /** Moves what was not read to the front, into a larger buffer where that is not enough. */
  #makeRoom(more: number): void {
    const unread = this.unread;
    const size = this.bytes.byteLength;
    const wanted = unread + more;
    // After one huge reply the buffer is let go of.
    const next = wanted > size ? Math.max(wanted, size * 2) : size > 1 << 20 && wanted < size / 8 ? 1 << 16 : size;
    const target = next === size ? this.bytes : Buffer.allocUnsafeSlow(Math.max(next, wanted));
    this.bytes.copy(target, 0, this.#position, this.#filled);
    this.bytes = target;
    this.#looked -= this.#position;
    this.#filled = unread;
    this.#position = 0;
  }
}

function foreign(bytes: Buffer): RespProtocolError {
  return new RespProtocolError(bytes.subarray(0, 64));
}
