import { RespError, RespProtocolError } from "./errors.ts";

/** The kinds of RESP2 (https://redis.io/docs/latest/develop/reference/protocol-spec/), by their first byte. */
export const replyKind = {
  simple: 0x2b,
  error: 0x2d,
  integer: 0x3a,
  bulk: 0x24,
  array: 0x2a,
  /** An absent bulk string or array (`$-1`, `*-1`). */
  nil: 0,
} as const;

/** A reply as JavaScript values: for single commands, not for the hot path. Strings are bytes. */
export type ReplyValue = number | string | Buffer | null | RespError | readonly ReplyValue[];

/**
 * Reads a server's bytes as replies without making values of them. `complete` checks whether a whole reply has arrived.
 * Then `next` goes through its parts in order, without looking for their end again.
 *
 * RESP2 only: every server of this family speaks it, and RESP3 would only change the shape of maps.
 */
export class Replies {
  /** The buffer into which `start` and `end` point; `append` may replace it. */
  bytes: Buffer = Buffer.allocUnsafeSlow(1 << 16);
  /** The position of the bytes of a simple string, an error or a bulk string. */
  start = 0;
  end = 0;
  /** The value of an integer (exact within ±2⁵³), or the number of parts of an array. */
  value = 0;
  #position = 0;
  #filled = 0;
  /** How far `complete` has looked, and how many replies are still missing there. */
  #looked = 0;
  #lacking = 1;

  /** The number of unread bytes. */
  get unread(): number {
    return this.#filled - this.#position;
  }

  append(chunk: Uint8Array): void {
    if (this.#filled + chunk.byteLength > this.bytes.byteLength) this.#makeRoom(chunk.byteLength);
    this.bytes.set(chunk, this.#filled);
    this.#filled += chunk.byteLength;
  }

  /** Whether a whole reply has arrived, with all its parts. */
  complete(): boolean {
    const { bytes } = this;
    const filled = this.#filled;
    while (this.#lacking > 0) {
      let at = this.#looked;
      const kind = bytes[at];
      // The shortest reply has three bytes, such as `+\r\n`.
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

  /** Moves to the next part of a complete reply, sets `start`, `end` or `value`, and returns the part's kind. */
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

  /** Ends the reading of a complete reply; its unread parts are skipped. */
  done(): void {
    this.#position = this.#looked;
    this.#lacking = 1;
  }

  /** The text between `start` and `end`. */
  text(): string {
    return this.bytes.toString("utf8", this.start, this.end);
  }

  /** Reads a complete reply as a value. The bytes of strings are copied. */
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

  /** Moves the unread bytes to the front, into a larger buffer if there is not enough room. */
  #makeRoom(more: number): void {
    const unread = this.unread;
    const size = this.bytes.byteLength;
    const wanted = unread + more;
    // A buffer that grew for one huge reply is released.
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
