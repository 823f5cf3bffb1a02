import { ProtocolBroken } from "../../net/broken.ts";
import { RespError, RespProtocolError } from "./errors.ts";

/** Lines are numbers and short sentences; a bulk string has at most what `max_value_bytes` allows, and a reply as much. */
const longestLine = 1 << 20;
const longestReply = (1 << 30) + (64 << 20);
/** No command of ours is answered by arrays in arrays of more levels. */
const deepest = 16;

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
  /** How far `complete` has looked: at whole parts, and in the line after them. */
  #looked = 0;
  #line = 0;
  /** How many parts are still missing, on each level of arrays in arrays. */
  readonly #lacking = new Float64Array(deepest + 1);
  #level = 0;

  constructor() {
    this.#lacking[0] = 1;
  }

  /** The number of unread bytes. */
  get unread(): number {
    return this.#filled - this.#position;
  }

  append(chunk: Uint8Array): void {
    if (this.#filled + chunk.byteLength > this.bytes.byteLength) this.#makeRoom(chunk.byteLength);
    this.bytes.set(chunk, this.#filled);
    this.#filled += chunk.byteLength;
  }

  /** Whether a whole reply has arrived, with all its parts. Throws if it can't be one. */
  complete(): boolean {
    const { bytes } = this;
    const filled = this.#filled;
    const lacking = this.#lacking;
    while (lacking[this.#level]! > 0) {
      let at = this.#looked;
      const kind = bytes[at];
      // The shortest reply has three bytes, such as `+\r\n`.
      if (at + 3 > filled) return false;
      if (kind === replyKind.simple || kind === replyKind.error || kind === replyKind.integer) {
        at = Math.max(at, this.#line);
        while (at < filled && bytes[at] !== 10) at += 1;
        if (at - this.#looked > longestLine) throw new ProtocolBroken(`a line of more than ${longestLine >> 20} MiB`);
        this.#line = at;
        if (at === filled) return false;
        if (bytes[at - 1] !== 13) throw foreign(bytes.subarray(this.#looked, filled));
        this.#looked = at + 1;
        this.#partEnds();
        continue;
      }
      if (kind !== replyKind.bulk && kind !== replyKind.array) throw foreign(bytes.subarray(at, filled));
      let length = 0;
      const negative = bytes[++at] === 0x2d;
      if (negative) at += 1;
      const digits = at;
      for (; ; at++) {
        if (at + 1 >= filled) {
          if (length > longestReply) throw new ProtocolBroken(`a length of ${length}`);
          return false;
        }
        const digit = bytes[at]! - 48;
        if (digit < 0 || digit > 9) break;
        length = length * 10 + digit;
      }
      if (bytes[at] !== 13 || bytes[at + 1] !== 10 || at === digits)
        throw foreign(bytes.subarray(this.#looked, filled));
      // Each part of an array takes three bytes at least.
      const size = kind === replyKind.array ? length * 3 : length;
      if (size > longestReply || at - this.#position + size > longestReply) {
        throw new ProtocolBroken(`a reply of more than ${longestReply >> 20} MiB`);
      }
      at += 2;
      if (kind === replyKind.bulk && !negative) {
        at += length + 2;
        if (at > filled) return false;
        if (bytes[at - 2] !== 13 || bytes[at - 1] !== 10)
          throw new ProtocolBroken("a string that is longer than it says");
      }
      this.#looked = at;
      if (kind === replyKind.array && !negative && length > 0) this.#open(length);
      else this.#partEnds();
    }
    return true;
  }

  #open(parts: number): void {
    if (this.#level === deepest) throw new ProtocolBroken(`arrays in arrays of more than ${deepest} levels`);
    this.#level += 1;
    this.#lacking[this.#level] = parts;
  }

  #partEnds(): void {
    const lacking = this.#lacking;
    while ((lacking[this.#level]! -= 1) === 0 && this.#level > 0) this.#level -= 1;
  }

  /** Moves to the next part of a complete reply, sets `start`, `end` or `value`, and returns the part's kind. */
  next(): number {
    const { bytes } = this;
    let at = this.#position;
    if (at >= this.#looked) throw new ProtocolBroken("a reply with fewer parts than are due");
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

  /** Moves to the next part, an array, and returns the number of its parts. */
  array(what: string): number {
    if (this.next() !== replyKind.array) throw new ProtocolBroken(`${what} is no array`);
    return this.value;
  }

  /** Moves to the next part, a string. */
  string(what: string): void {
    const kind = this.next();
    if (kind !== replyKind.bulk && kind !== replyKind.simple) throw new ProtocolBroken(`${what} is no string`);
  }

  /** Moves to the next part, an integer, and returns it. */
  integer(what: string): number {
    if (this.next() !== replyKind.integer) throw new ProtocolBroken(`${what} is no number`);
    return this.value;
  }

  /** Moves to the next part, the cursor where a scan goes on, and returns it; "0": the scan has ended. */
  cursor(what: string): string {
    this.string(what);
    const text = this.end - this.start > 20 ? "" : this.text();
    if (!/^(?:0|[1-9]\d*)$/.test(text)) throw new ProtocolBroken(`${what} is no cursor`);
    return text;
  }

  /** Ends the reading of a complete reply; its unread parts are skipped. */
  done(): void {
    this.#position = this.#looked;
    this.#lacking[0] = 1;
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
    this.#line -= this.#position;
    this.#filled = unread;
    this.#position = 0;
  }
}

function foreign(bytes: Buffer): RespProtocolError {
  return new RespProtocolError(bytes.subarray(0, 64));
}
