import { type Document, enlarged, isRounded, kinds, latestTime } from "./document.ts";

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
const words = { null: Buffer.from("null"), true: Buffer.from("true"), false: Buffer.from("false") };

/** Powers of ten that a double holds exactly. */
const powers = Float64Array.from({ length: 23 }, (_, power) => Number(`1e${power}`));

/** The text is not the expected JSON. */
export class ScanError extends Error {}

// Further results of the functions below, which return a position. None of them is used after a call of `next`. An
// object for them on each value would cost more than reading the value.
let escaped = false;
let canonical = true;
let number = 0;
let isInteger = false;
let isShortest = true;

/**
 * Reads documents from an answer, one after the other, without making JavaScript values. The scanner is made for the
 * JSON that RethinkDB writes; JSON with spaces is read too, but more slowly.
 */
export class Scanner implements Document {
  bytes: Buffer = Buffer.alloc(0);
  start = 0;
  end = 0;
  loose = false;
  fields = 0;
  kinds = new Uint8Array(32);
  names = new Int32Array(64);
  spans = new Int32Array(64);
  numbers = new Float64Array(32);
  #position = 0;
  #ended = true;

  /** Starts to read the rows of an answer. */
  load(answer: Buffer): void {
    this.bytes = answer;
    const head = answer.subarray(0, 64).indexOf(rows);
    if (head < 0) throw new ScanError(`no rows in ${JSON.stringify(answer.toString("latin1", 0, 80))}`);
    this.#position = afterSpace(answer, head + rows.length);
    this.#ended = answer[this.#position] === closeBracket;
  }

  /** Moves to the next document; `false`: there are no more. */
  next(): boolean {
    if (this.#ended) return false;
    const { bytes } = this;
    this.loose = false;
    this.fields = 0;
    let position = this.#space(this.#position);
    if (bytes[position] !== openBrace) throw unexpected("a document", bytes, position);
    this.start = position;
    position = this.#space(position + 1);
    if (bytes[position] === closeBrace) position++;
    else {
      do position = this.#field(this.#space(position));
      while (bytes[position - 1] === comma);
    }
    this.end = position;
    position = this.#space(position);
    this.#ended = bytes[position] === closeBracket;
    if (!this.#ended && bytes[position] !== comma) throw unexpected("the next document", bytes, position);
    this.#position = position + 1;
    return true;
  }

  /** Reads one field, with the comma or brace that follows. */
  #field(start: number): number {
    const { bytes, fields: field } = this;
    if (field === this.kinds.length) this.#grow();
    if (bytes[start] !== quote) throw unexpected("a field's name", bytes, start);
    let position = afterText(bytes, start);
    if (escaped) this.loose = true;
    this.names[field * 2] = start + 1;
    this.names[field * 2 + 1] = position - 1;
    if (bytes[position] !== colon) position = this.#space(position);
    if (bytes[position] !== colon) throw unexpected("a colon", bytes, position);
    position = this.#value(field, this.#space(position + 1));
    this.fields = field + 1;
    const after = bytes[position];
    if (after === comma || after === closeBrace) return position + 1;
    position = this.#space(position);
    if (bytes[position] === comma || bytes[position] === closeBrace) return position + 1;
    throw unexpected("the next field", bytes, position);
  }

  #value(field: number, start: number): number {
    const { bytes } = this;
    switch (bytes[start]) {
      case quote: {
        const end = afterText(bytes, start);
        if (escaped) this.loose = true;
        this.kinds[field] = escaped ? kinds.escapedText : kinds.text;
        return this.#span(field, start + 1, end - 1, end);
      }
      case openBrace: {
        const end = this.#pseudo(field, start);
        return end > 0 ? end : this.#nested(field, start);
      }
      case openBracket:
        return this.#nested(field, start);
      case 0x6e:
        this.kinds[field] = kinds.null;
        return afterWord(bytes, start, words.null);
      case 0x74:
        this.kinds[field] = kinds.true;
        return afterWord(bytes, start, words.true);
      case 0x66:
        this.kinds[field] = kinds.false;
        return afterWord(bytes, start, words.false);
      default: {
        const end = afterNumber(bytes, start);
        if (!isShortest) this.loose = true;
        this.kinds[field] = isInteger ? kinds.integer : isRounded(number) ? kinds.rounded : kinds.number;
        this.numbers[field] = number;
        return end;
      }
    }
  }

  #span(field: number, start: number, end: number, after: number): number {
    this.spans[field * 2] = start;
    this.spans[field * 2 + 1] = end;
    return after;
  }

  /** Reads a time or a binary in RethinkDB's form and returns the position after it; 0: the value is neither. */
  #pseudo(field: number, start: number): number {
    const { bytes } = this;
    if (!isAt(bytes, start, pseudoType)) return 0;
    const name = start + pseudoType.length;
    if (isAt(bytes, name, timeHead)) {
      const zone = afterNumber(bytes, name + timeHead.length);
      if (!isAt(bytes, zone, timeZone) || Math.abs(number) >= latestTime) return 0;
      const end = afterText(bytes, zone + timeZone.length - 1);
      if (bytes[end] !== closeBrace) return 0;
      if (!isShortest || escaped) this.loose = true;
      this.kinds[field] = kinds.time;
      this.numbers[field] = number;
      return end + 1;
    }
    if (!isAt(bytes, name, binaryHead)) return 0;
    const data = name + binaryHead.length;
    const end = afterText(bytes, data - 1);
    if (bytes[end] !== closeBrace) return 0;
    if (escaped) this.loose = true;
    this.kinds[field] = kinds.binary;
    return this.#span(field, data, end - 1, end + 1);
  }

  #nested(field: number, start: number): number {
    canonical = true;
    const end = afterNested(this.bytes, start);
    if (!canonical) this.loose = true;
    this.kinds[field] = canonical ? kinds.json : kinds.looseJson;
    return this.#span(field, start, end, end);
  }

  /** The position after spaces. RethinkDB writes no spaces. */
  #space(position: number): number {
    if (this.bytes[position]! > 0x20) return position;
    this.loose = true;
    return afterSpace(this.bytes, position);
  }

  #grow(): void {
    this.kinds = enlarged(this.kinds);
    this.names = enlarged(this.names);
    this.spans = enlarged(this.spans);
    this.numbers = enlarged(this.numbers);
  }
}

function afterSpace(bytes: Buffer, position: number): number {
  let after = position;
  while (bytes[after]! <= 0x20) after++;
  return after;
}

/** The position after a text; `start` is its opening quote. */
function afterText(bytes: Buffer, start: number): number {
  const { length } = bytes;
  let position = start + 1;
  escaped = false;
  while (position < length) {
    const byte = bytes[position]!;
    if (byte === quote) return position + 1;
    if (byte === backslash) {
      escaped = true;
      position++;
    }
    position++;
  }
  throw unexpected("the end of a text", bytes, start);
}

/** The position after an object or array; `start` is its opening bracket. */
function afterNested(bytes: Buffer, start: number): number {
  const { length } = bytes;
  let position = start;
  let depth = 0;
  while (position < length) {
    const byte = bytes[position]!;
    if (byte === quote) {
      position = afterText(bytes, position);
      if (escaped) canonical = false;
    } else if ((byte >= zero && byte <= nine) || byte === minus) {
      const end = afterNumberText(bytes, position);
      if (!isShortestText(bytes, position, end)) canonical = false;
      position = end;
    } else {
      position++;
      if (byte === openBrace || byte === openBracket) depth++;
      else if (byte === closeBrace || byte === closeBracket) {
        if (--depth === 0) return position;
      } else if (byte <= 0x20) canonical = false;
    }
  }
  throw unexpected("the end of a value", bytes, start);
}

function afterNumber(bytes: Buffer, start: number): number {
  let position = start;
  const negative = bytes[position] === minus;
  if (negative) position++;
  const digits = position;
  let mantissa = 0;
  let byte = bytes[position]!;
  for (; byte >= zero && byte <= nine; byte = bytes[++position]!) mantissa = mantissa * 10 + (byte - zero);
  let significant = position - digits;
  if (significant === 0) throw unexpected("a value", bytes, start);
  let fraction = 0;
  if (byte === point) {
    const from = position + 1;
    for (byte = bytes[++position]!; byte >= zero && byte <= nine; byte = bytes[++position]!)
      mantissa = mantissa * 10 + (byte - zero);
    fraction = position - from;
    significant += fraction;
  }
  if (significant <= 15 && !isNumberByte(byte)) {
    // Both operands are exact, so the division is rounded once and correctly (Clinger 1990).
    const value = fraction === 0 ? mantissa : mantissa / powers[fraction]!;
    number = negative ? -value : value;
    isShortest = fraction === 0 ? mantissa > 0 || !negative : isShortestText(bytes, start, position);
  } else {
    position = afterNumberText(bytes, position);
    number = Number(bytes.toString("latin1", start, position));
    isShortest = false;
  }
  // -2³¹ is excluded, so that code elsewhere can ignore the sign.
  isInteger = (number | 0) === number && number !== -0x80000000 && !Object.is(number, -0);
  return position;
}

function afterNumberText(bytes: Buffer, start: number): number {
  let position = start;
  while (isNumberByte(bytes[position]!)) position++;
  return position;
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
 * Whether a number is written as JavaScript would write it. Up to 15 digits always survive a round trip, unless the
 * fraction ends with a zero. Doubtful cases return `false`.
 */
function isShortestText(bytes: Buffer, start: number, end: number): boolean {
  const first = bytes[start] === minus ? start + 1 : start;
  if (end - first > 15) return false;
  let dot = -1;
  for (let index = first; index < end; index++) {
    const byte = bytes[index]!;
    if (byte === point) dot = index;
    else if (byte < zero || byte > nine) return false;
  }
  if (dot < 0) return bytes[first] !== zero || (end === first + 1 && first === start);
  // JavaScript writes small numbers with an exponent.
  return bytes[end - 1] !== zero && (bytes[first] !== zero || (dot === first + 1 && end - dot <= 7));
}

function afterWord(bytes: Buffer, start: number, word: Buffer): number {
  if (!isAt(bytes, start, word)) throw unexpected("a value", bytes, start);
  return start + word.length;
}

function isAt(bytes: Buffer, at: number, expected: Buffer): boolean {
  for (let index = 0; index < expected.length; index++) if (bytes[at + index] !== expected[index]) return false;
  return true;
}

function unexpected(wanted: string, bytes: Buffer, at: number): ScanError {
  const near = bytes.toString("latin1", Math.max(0, at - 20), at + 20);
  return new ScanError(`${wanted} was expected at byte ${at}, near ${JSON.stringify(near)}`);
}
