import { hash } from "node:crypto";
import { shortestNumber } from "./shortest-number.ts";
import { isText, marked } from "./text.ts";
import type { Members } from "./members.ts";

const [quote, backslash, comma, colon] = [0x22, 0x5c, 0x2c, 0x3a];
const [openBracket, closeBracket, openBrace, closeBrace] = [0x5b, 0x5d, 0x7b, 0x7d];
const nine = 0x39;
/** Doubles tell all numbers of up to 15 digits apart. */
const shortScore = 15;
const hexDigits = Buffer.from("0123456789abcdef");

/** The character after the backslash for control characters with a short form, as in `JSON.stringify`. */
const shortEscapes: Readonly<Record<number, number>> = { 8: 0x62, 9: 0x74, 10: 0x6e, 12: 0x66, 13: 0x72 };

/** Initial size of the buffer, and the size that is kept for the next value. */
const [firstBytes, keptBytes] = [1 << 16, 1 << 20];

/**
 * Writes a value in its canonical form, byte by byte: the same value gives the same bytes, in whatever order the server
 * keeps it. The other inputs of the row's version stand before the value, so that one digest covers both.
 */
export class ValueWriter {
  bytes = Buffer.allocUnsafeSlow(firstBytes);
  /** Where the value begins and ends. */
  start = 0;
  end = 0;
  /** The value is not text: the bytes from `start` to `end` are unchanged. */
  binary = false;

  /** Starts a new value. `prefix` goes into the version only. */
  begin(prefix: Buffer): void {
    this.end = 0;
    this.raw(prefix);
    this.#byte(0);
    this.start = this.end;
    this.binary = false;
  }

  /** Ends the use of the value. Memory of a large value is not kept while its row is written. */
  release(): void {
    this.end = 0;
    if (this.bytes.byteLength > keptBytes) this.bytes = Buffer.allocUnsafeSlow(firstBytes);
  }

  /** Writes bytes as they are. */
  raw(source: Buffer, start = 0, end = source.length): void {
    this.#reserve(end - start);
    // A call costs more than a short loop.
    if (end - start > 100) source.copy(this.bytes, this.end, start, end);
    else for (let from = start, to = this.end, { bytes } = this; from < end;) bytes[to++] = source[from++]!;
    this.end += end - start;
  }

  /** A string value. In `column` mode, bytes that are not text are not marked; they set `binary` instead. */
  text(source: Buffer, start: number, end: number, mode: "base64" | "column"): void {
    if (isText(source, start, end)) return this.raw(source, start, end);
    if (mode === "base64") return this.raw(marked(source, start, end));
    this.binary = true;
    this.raw(source, start, end);
  }

  /** Makes room at once for the least size of the members. */
  #expect(members: Members): void {
    this.#reserve(members.span + members.pieces * 4);
  }

  /** `["a","b"]`, in the order of the pieces or in a given order. */
  array(members: Members, order: Uint32Array | null): void {
    this.#expect(members);
    const length = order?.length ?? members.length;
    this.#byte(openBracket);
    for (let index = 0; index < length; index++) {
      const piece = order === null ? index : order[index]!;
      if (index > 0) this.#byte(comma);
      this.#string(members.bytes, members.starts[piece]!, members.ends[piece]!);
    }
    this.#byte(closeBracket);
  }

  /** `{"field":"value"}` */
  object(members: Members, order: Uint32Array): void {
    this.#expect(members);
    this.#byte(openBrace);
    for (let index = 0; index < order.length; index++) {
      const piece = order[index]!;
      if (index > 0) this.#byte(comma);
      this.#string(members.bytes, members.starts[piece]!, members.ends[piece]!);
      this.#byte(colon);
      this.#string(members.bytes, members.starts[piece + 1]!, members.ends[piece + 1]!);
    }
    this.#byte(closeBrace);
  }

  /** `[["member",1.5]]`. JSON has no infinity, so an infinite score is a string. */
  scored(members: Members): void {
    this.#expect(members);
    this.#byte(openBracket);
    for (let piece = 0; piece < members.pieces; piece += 2) {
      if (piece > 0) this.#byte(comma);
      this.#byte(openBracket);
      this.#string(members.bytes, members.starts[piece]!, members.ends[piece]!);
      this.#byte(comma);
      this.#score(members.bytes, members.starts[piece + 1]!, members.ends[piece + 1]!);
      this.#byte(closeBracket);
    }
    this.#byte(closeBracket);
  }

  /** A double in its shortest form; the server also has `inf`, `-inf` and `nan`. Short texts of digits are that already. */
  #score(source: Buffer, start: number, end: number): void {
    let short = end - start <= shortScore;
    for (let at = start; at < end; at++) if (source[at]! > nine) short = false;
    if (short) return this.raw(source, start, end);
    const value = Number(source.toString("latin1", start, end));
    if (!Number.isFinite(value)) return this.#string(source, start, end);
    const text = Buffer.from(shortestNumber(value));
    this.raw(text, 0, text.length);
  }

  /** MD5 of prefix and value as a string of 16 characters, one per byte: cheaper to make than a buffer (measured). */
  digest(): string {
    return hash("md5", this.bytes.subarray(0, this.end), "latin1" as "hex");
  }

  #string(source: Buffer, start: number, end: number): void {
    if (!isText(source, start, end)) {
      const text = marked(source, start, end);
      return this.#escaped(text, 0, text.length);
    }
    this.#escaped(source, start, end);
  }

  #escaped(source: Buffer, start: number, end: number): void {
    this.#reserve((end - start) * 6 + 2);
    const { bytes } = this;
    let to = this.end;
    bytes[to++] = quote;
    for (let at = start; at < end; at++) {
      const byte = source[at]!;
      if (byte >= 0x20 && byte !== quote && byte !== backslash) {
        bytes[to++] = byte;
        continue;
      }
      bytes[to++] = backslash;
      const short = byte === quote || byte === backslash ? byte : shortEscapes[byte];
      if (short !== undefined) {
        bytes[to++] = short;
        continue;
      }
      to += bytes.write("u00", to, "latin1");
      bytes[to++] = hexDigits[byte >> 4]!;
      bytes[to++] = hexDigits[byte & 15]!;
    }
    bytes[to++] = quote;
    this.end = to;
  }

  #byte(byte: number): void {
    this.#reserve(1);
    this.bytes[this.end++] = byte;
  }

  #reserve(more: number): void {
    const needed = this.end + more;
    if (needed <= this.bytes.byteLength) return;
    const larger = Buffer.allocUnsafeSlow(Math.ceil(Math.max(needed, this.bytes.byteLength * 1.25)));
    larger.set(this.bytes.subarray(0, this.end));
    this.bytes = larger;
  }
}
