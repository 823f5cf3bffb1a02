/** The kinds of values that a field of a document can hold. */
export const kinds = {
  null: 0,
  false: 1,
  true: 2,
  /** A whole number of 32 bits. */
  integer: 3,
  /** Any other number. */
  number: 4,
  /** Text that is in the bytes without escapes … */
  text: 5,
  /** … or with escapes. */
  escapedText: 6,
  time: 7,
  binary: 8,
  /** An object, an array or a geometry, whose bytes are canonical JSON … */
  json: 9,
  /** … or whose numbers and escapes must still be written canonically. */
  looseJson: 10,
  /** A whole number too large for a double to be exact: the number given to RethinkDB may have been another. */
  rounded: 11,
} as const;

/** Whole numbers from 2⁵³ to 2⁶⁴. */
export function isRounded(value: number): boolean {
  const size = Math.abs(value);
  return size > Number.MAX_SAFE_INTEGER && size <= 2 ** 64 && Number.isInteger(value);
}

/**
 * The fields of one document at a time, in reused typed arrays, and the bytes that they point into. Both decoders
 * provide this interface.
 */
export interface Document {
  readonly bytes: Buffer;
  /** The position of the whole document. It is canonical JSON only if `loose` is false. */
  readonly start: number;
  readonly end: number;
  readonly loose: boolean;
  readonly fields: number;
  /** By field: one of {@link kinds}. */
  readonly kinds: Uint8Array;
  /**
   * By field, two numbers each: the start and end of its name and of its value, without quotes. Names and binaries may
   * contain escapes.
   */
  readonly names: Int32Array;
  readonly spans: Int32Array;
  /** By field: the value of a number, or a time in seconds since 1970. */
  readonly numbers: Float64Array;
}

/** A copy of an array with room for twice as many fields. */
export function enlarged<A extends Uint8Array | Int32Array | Float64Array>(from: A): A {
  const to = new (from.constructor as new (length: number) => A)(from.length * 2);
  to.set(from);
  return to;
}

/**
 * The largest number of seconds that a time may have: it fits microseconds since 1970 in 64 bits, and DuckDB's range.
 */
export const latestTime = 9e12;

/** A number in JSON: the shortest text that reads back as the same number. */
export function numberText(value: number): string {
  return Object.is(value, -0) ? "-0.0" : String(value);
}

const token = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|\s+/g;

/** JSON without spaces and with numbers and escapes in one canonical form. The fields keep the server's order. */
export function canonicalJson(text: string): string {
  return text.replace(token, (found) => {
    const first = found.charCodeAt(0);
    if (first === 0x22) return found.includes("\\") ? JSON.stringify(JSON.parse(found)) : found;
    return first <= 0x20 ? "" : numberText(Number(found));
  });
}
