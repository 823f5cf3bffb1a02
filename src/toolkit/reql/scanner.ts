import { type Document, Fields, kinds, latestTime } from "./document.ts";

const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;
const colon = 0x3a;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const zero = 0x30;
const nine = 0x39;
const minus = 0x2d;
const point = 0x2e;

const pseudoType = Buffer.from('{"$reql_type$":"');
const timeHead = Buffer.from('TIME","epoch_time":');
const timeZone = Buffer.from(',"timezone":"');
const binaryHead = Buffer.from('BINARY","data":"');
const rows = Buffer.from('"r":[');

/** Powers of ten that a double holds exactly. */
const powers = Float64Array.from({ length: 23 }, (_, power) => Number(`1e${power}`));

/** The text is not the JSON that it is expected to be. */
export class ScanError extends Error {}

/**
 * Reads documents out of an answer, one after the other, without making a JavaScript value of any. Takes the JSON that
 * RethinkDB writes, and any other: only slower, where it has spaces.
 */
export class Scanner implements Document {
  bytes: Buffer = Buffer.alloc(0);
  start = 0;
  end = 0;
  loose = false;
  readonly #fields = new Fields();
  #position = 0;
  #ended = true;
  /** Whether the JSON that was skipped last is canonical as it stands. */
  #canonical = true;
  #number = 0;
  #isInteger = false;
  /** Whether the number that was read last is written as JavaScript would. */
  #shortest = true;
  #escaped = false;

  get fields(): number {
    return this.#fields.count;
  }

  get kinds(): Uint8Array {
    return this.#fields.kinds;
  }

  get names(): Int32Array {
    return this.#fields.names;
  }

  get spans(): Int32Array {
    return this.#fields.spans;
  }

  get numbers(): Float64Array {
    return this.#fields.numbers;
  }

  /** Begins with the rows of an answer. */
  load(answer: Buffer): void {
    this.bytes = answer;
    const head = answer.subarray(0, 64).indexOf(rows);
    if (head < 0) throw new ScanError(`no rows in ${JSON.stringify(answer.toString("latin1", 0, 80))}`);
    this.#position = head + rows.length;
    this.#ended = this.#skipSpace() === closeBracket;
  }

  /** Goes to the next document; `false`: there is none. */
  next(): boolean {
    if (this.#ended) return false;
    const bytes = this.bytes;
    if (this.#skipSpace() !== openBrace) throw this.#unexpected("a document");
    this.start = this.#position++;
    this.loose = false;
    this.#fields.count = 0;
    if (this.#skipSpace() === closeBrace) this.#position++;
    else while (this.#field());
    this.end = this.#position;
    const after = this.#skipSpace();
    this.#position++;
    if (after === closeBracket) this.#ended = true;
    else if (after !== comma) throw this.#unexpected("the next document");
    else if (bytes[this.#position] === undefined) throw this.#unexpected("the next document");
    return true;
  }

  /** Reads one field; `false`: it was the last. */
  #field(): boolean {
    const fields = this.#fields;
    const field = fields.count;
    if (field === fields.kinds.length) fields.grow();
    const bytes = this.bytes;
    if (this.#skipSpace() !== quote) throw this.#unexpected("a field's name");
    const name = this.#position + 1;
    this.#skipText();
    if (this.#escaped) this.loose = true;
    fields.names[field * 2] = name;
    // An escaped name is told by its quotes: few documents have one.
    fields.names[field * 2 + 1] = this.#position - 1;
    if (bytes[this.#position] !== colon && this.#skipSpace() !== colon) throw this.#unexpected("a colon");
    this.#position++;
    fields.kinds[field] = this.#value(field);
    fields.count = field + 1;
    const after = this.#skipSpace();
    this.#position++;
    if (after === comma) return true;
    if (after === closeBrace) return false;
    throw this.#unexpected("the next field");
  }

  #value(field: number): number {
    const first = this.#skipSpace();
    const start = this.#position;
    const { spans } = this.#fields;
    switch (first) {
      case quote:
        this.#skipText();
        spans[field * 2] = start + 1;
        spans[field * 2 + 1] = this.#position - 1;
        if (!this.#escaped) return kinds.text;
        this.loose = true;
        return kinds.escapedText;
      case openBrace: {
        const kind = this.#pseudo(field);
        return kind >= 0 ? kind : this.#nested(field, start);
      }
      case openBracket:
        return this.#nested(field, start);
      case 0x6e:
        this.#position += 4;
        return kinds.null;
      case 0x74:
        this.#position += 4;
        return kinds.true;
      case 0x66:
        this.#position += 5;
        return kinds.false;
      default:
        this.#readNumber();
        this.#fields.numbers[field] = this.#number;
        if (this.#isInteger) return kinds.integer;
        if (!this.#shortest) this.loose = true;
        return kinds.number;
    }
  }

  /** A time or a binary, as RethinkDB writes them; -1: the position is where it was. */
  #pseudo(field: number): number {
    const start = this.#position;
    if (!this.#is(pseudoType, start)) return -1;
    const name = start + pseudoType.length;
    const { spans, numbers } = this.#fields;
    if (this.#is(timeHead, name)) {
      this.#position = name + timeHead.length;
      this.#readNumber();
      const seconds = this.#number;
      if (!this.#shortest) this.loose = true;
      if (this.#is(timeZone, this.#position) && Math.abs(seconds) < latestTime) {
        this.#position += timeZone.length - 1;
        this.#skipText();
        if (this.bytes[this.#position] === closeBrace) {
          this.#position++;
          numbers[field] = seconds;
          return kinds.time;
        }
      }
    } else if (this.#is(binaryHead, name)) {
      this.#position = name + binaryHead.length - 1;
      spans[field * 2] = this.#position + 1;
      this.#skipText();
      spans[field * 2 + 1] = this.#position - 1;
      if (this.#escaped) this.loose = true;
      if (this.bytes[this.#position] === closeBrace) {
        this.#position++;
        return kinds.binary;
      }
    }
    this.#position = start;
    return -1;
  }

  #nested(field: number, start: number): number {
    const { spans } = this.#fields;
    this.#canonical = true;
    this.#skipNested();
    spans[field * 2] = start;
    spans[field * 2 + 1] = this.#position;
    if (this.#canonical) return kinds.json;
    this.loose = true;
    return kinds.looseJson;
  }

  /** From an opening bracket behind the one that closes it. */
  #skipNested(): void {
    const bytes = this.bytes;
    const length = bytes.length;
    let depth = 0;
    while (this.#position < length) {
      const byte = bytes[this.#position]!;
      if (byte === quote) {
        this.#skipText();
        if (this.#escaped) this.#canonical = false;
      } else if ((byte >= zero && byte <= nine) || byte === minus) this.#skipNumber();
      else {
        this.#position++;
        if (byte === openBrace || byte === openBracket) depth++;
        else if (byte === closeBrace || byte === closeBracket) {
          if (--depth === 0) return;
        } else if (byte <= 0x20) this.#canonical = false;
      }
    }
    throw this.#unexpected("the end of a value");
  }

  #skipNumber(): void {
    const bytes = this.bytes;
    const start = this.#position;
    let position = start;
    let dot = -1;
    for (let byte = bytes[++position]!; isNumberByte(byte); byte = bytes[++position]!)
      if (byte === point) dot = position;
    this.#position = position;
    if (!isShortest(bytes, start, dot, position)) this.#canonical = false;
  }

  /** From a quote behind the one that ends the text. */
  #skipText(): void {
    const bytes = this.bytes;
    const length = bytes.length;
    let position = this.#position + 1;
    this.#escaped = false;
    for (;;) {
      const byte = bytes[position];
      if (byte === quote) break;
      if (byte === backslash) {
        this.#escaped = true;
        position += 2;
      } else {
        position++;
        if (position >= length) throw this.#unexpected("the end of a text");
      }
    }
    this.#position = position + 1;
  }

  #readNumber(): void {
    const bytes = this.bytes;
    const start = this.#position;
    let position = start;
    const negative = bytes[position] === minus;
    if (negative) position++;
    let mantissa = 0;
    const digits = position;
    let byte = bytes[position]!;
    for (; byte >= zero && byte <= nine; byte = bytes[++position]!) mantissa = mantissa * 10 + (byte - zero);
    let dot = -1;
    let significant = position - digits;
    if (significant === 0) throw this.#unexpected("a value");
    let fraction = 0;
    if (byte === point) {
      dot = position;
      const from = position + 1;
      for (byte = bytes[++position]!; byte >= zero && byte <= nine; byte = bytes[++position]!)
        mantissa = mantissa * 10 + (byte - zero);
      fraction = position - from;
      significant += fraction;
    }
    if (significant <= 15 && fraction <= 22 && !isNumberByte(byte)) {
      // Both are exact, so the one rounding of the division is right (Clinger 1990).
      const value = fraction === 0 ? mantissa : mantissa / powers[fraction]!;
      this.#number = negative ? -value : value;
      this.#isInteger = fraction === 0 && mantissa <= 0x7fffffff && !(negative && mantissa === 0);
    } else {
      while (isNumberByte(bytes[position]!)) position++;
      this.#number = Number(bytes.toString("latin1", start, position));
      this.#isInteger = false;
    }
    this.#shortest = this.#isInteger || isShortest(bytes, start, dot, position);
    this.#position = position;
  }

  #is(expected: Buffer, at: number): boolean {
    const bytes = this.bytes;
    for (let index = 0; index < expected.length; index++) if (bytes[at + index] !== expected[index]) return false;
    return true;
  }

  /** To the next byte that is no space, and that byte. */
  #skipSpace(): number {
    const bytes = this.bytes;
    let byte = bytes[this.#position]!;
    while (byte <= 0x20) {
      this.loose = true;
      byte = bytes[++this.#position]!;
    }
    return byte;
  }

  #unexpected(wanted: string): ScanError {
    const at = this.#position;
    const near = this.bytes.toString("latin1", Math.max(0, at - 20), at + 20);
    return new ScanError(`${wanted} was expected at byte ${at}, near ${JSON.stringify(near)}`);
  }
}

function isNumberByte(byte: number): boolean {
  return (
    (byte >= zero && byte <= nine) ||
    byte === point ||
    byte === minus ||
    byte === 0x2b ||
    byte === 0x65 ||
    byte === 0x45
  );
}

/**
 * Whether a number is written as JavaScript would: up to 15 digits always come back as they were, if they end with no
 * zero behind the point. `dot`: where the point is, -1: there is none. What it can't tell it denies.
 */
function isShortest(bytes: Buffer, start: number, dot: number, end: number): boolean {
  const first = bytes[start] === minus ? start + 1 : start;
  if (end - first > 15) return false;
  for (let index = first; index < end; index++)
    if (index !== dot && (bytes[index]! < zero || bytes[index]! > nine)) return false;
  if (dot < 0) return bytes[first] !== zero || (end === first + 1 && first === start);
  // Small ones get an exponent in JavaScript.
  return bytes[end - 1] !== zero && (bytes[first] !== zero || (dot === first + 1 && end - dot <= 7));
}
