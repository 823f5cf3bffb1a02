/** What a field of a document holds. */
export const kinds = {
  null: 0,
  false: 1,
  true: 2,
  /** A whole number of 32 bits. */
  integer: 3,
  /** Any other number. */
  number: 4,
  /** Text that stands in the bytes as it is … */
  text: 5,
  /** … or behind escapes. */
  escapedText: 6,
  time: 7,
  binary: 8,
  /** An object, an array or a geometry, whose bytes are canonical JSON … */
  json: 9,
  /** … or whose numbers and escapes have yet to be written canonically. */
  looseJson: 10,
  /** A whole number beyond what a double tells apart: RethinkDB may have been given another one. */
  rounded: 11,
} as const;

/** Whole numbers from 2⁵³ to 2⁶⁴. */
export function isRounded(value: number): boolean {
  const size = Math.abs(value);
  return size > Number.MAX_SAFE_INTEGER && size <= 2 ** 64 && Number.isInteger(value);
}

/**
 * The fields of one document at a time, in typed arrays that are reused, and the bytes that they point into. Both ways
 * of decoding give this.
 */
export interface Document {
  readonly bytes: Buffer;
  /** Where the whole document stands; canonical JSON only if `loose` is false. */
  readonly start: number;
  readonly end: number;
  readonly loose: boolean;
  readonly fields: number;
  /** By field: one of {@link kinds}. */
  readonly kinds: Uint8Array;
  /** By field, two each: where its name and its value begin and end, without quotes; names and binaries with escapes. */
  readonly names: Int32Array;
  readonly spans: Int32Array;
  /** By field: a number's value, and a time's in seconds since 1970. */
  readonly numbers: Float64Array;
}

/** Twice as much room for the fields of a document. */
export function enlarged<A extends Uint8Array | Int32Array | Float64Array>(from: A): A {
  const to = new (from.constructor as new (length: number) => A)(from.length * 2);
  to.set(from);
  return to;
}

/** The largest number of seconds that a time may have: microseconds since 1970 in 64 bits, and in DuckDB's range. */
export const latestTime = 9e12;

/** A number as JSON has it: as short as it can be without being another one. */
export function numberText(value: number): string {
  return Object.is(value, -0) ? "-0.0" : String(value);
}

const token = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|\s+/g;

/** JSON with every number and every escape written one way, and without spaces; the order of fields is the server's. */
export function canonicalJson(text: string): string {
  return text.replace(token, (found) => {
    const first = found.charCodeAt(0);
    if (first === 0x22) return found.includes("\\") ? JSON.stringify(JSON.parse(found)) : found;
    return first <= 0x20 ? "" : numberText(Number(found));
  });
}
