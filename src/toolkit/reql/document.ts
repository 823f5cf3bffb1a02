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
} as const;

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

/** Room for the fields of one document; it grows. */
export class Fields {
  count = 0;
  kinds = new Uint8Array(32);
  names = new Int32Array(64);
  spans = new Int32Array(64);
  numbers = new Float64Array(32);

  grow(): void {
    const size = this.kinds.length * 2;
    this.kinds = enlarged(this.kinds, new Uint8Array(size));
    this.names = enlarged(this.names, new Int32Array(size * 2));
    this.spans = enlarged(this.spans, new Int32Array(size * 2));
    this.numbers = enlarged(this.numbers, new Float64Array(size));
  }
}

function enlarged<A extends { set(from: A): void }>(from: A, to: A): A {
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
