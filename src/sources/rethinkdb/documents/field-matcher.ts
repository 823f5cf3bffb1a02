import type { Column } from "../../../protocol/table.ts";
import { type Document, enlarged, kinds } from "../../../wire/reql/document.ts";
import { kindCount, takes } from "../types.ts";

/** A field that is known. */
export interface KnownField {
  readonly name: string;
  /** What it goes to; `null`: nothing is written of it. */
  readonly column: Column | null;
  /** By kind of value: how it is taken. */
  readonly taken: Uint8Array;
}

/** A field of which no value is of interest, and one that was null so far: its place would be empty all the same. */
export const uninteresting = new Uint8Array(kindCount).fill(takes.plainly);
const nullSoFar = new Uint8Array(kindCount).fill(takes.no);
nullSoFar[kinds.null] = takes.plainly;

/** Fields that are remembered for being null or uninteresting; the names of more are looked up each time. */
const mostExtra = 1_000;

/** A field of a document that is not known. */
export const unknownField = -1;
const passedOver = -2;

/**
 * Finds known fields in documents. Those of one table are much alike: which field came after which is remembered, so
 * that most names are only compared with the one that is expected.
 */
export class FieldMatcher {
  /** By known field: which field of the document it is, -1: it has none. */
  found: Int32Array;
  /** By field of the document: which known one it is, or {@link unknownField}. */
  targets = new Int32Array(32);
  readonly fields: KnownField[];
  readonly #isUninteresting: (name: string) => boolean;
  /** As the names stand in documents; `null`: it needs escapes, and is not compared byte by byte. */
  readonly #names: (Buffer | null)[];
  readonly #index: Map<string, number>;
  readonly #most: number;
  #after: Int32Array;

  constructor(fields: readonly KnownField[], isUninteresting: (name: string) => boolean) {
    this.fields = [...fields];
    this.#isUninteresting = isUninteresting;
    this.#most = fields.length + mostExtra;
    this.#names = fields.map(({ name }) => inDocument(name));
    this.#index = new Map(fields.map(({ name }, index) => [name, index]));
    this.#after = new Int32Array(fields.length + 1).fill(unknownField);
    this.found = new Int32Array(fields.length);
  }

  /** Bit `how` of the answer is set where a field is taken so ({@link takes}); `no` also where one is not known. */
  match(document: Document): number {
    const { fields, bytes } = document;
    if (fields > this.targets.length) this.targets = new Int32Array(fields * 2);
    const { targets, fields: known } = this;
    const { names, kinds } = document;
    this.found.fill(-1);
    let previous = 0;
    let ways = 0;
    for (let field = 0; field < fields; field++) {
      let index = this.#after[previous]!;
      if (index < 0 || !isNamed(bytes, names[field * 2]!, names[field * 2 + 1]!, this.#names[index]!)) {
        index = this.#lookUp(document, field);
        if (index >= 0) this.#after[previous] = index;
      }
      targets[field] = index;
      if (index >= 0) {
        this.found[index] = field;
        previous = index + 1;
        ways |= 1 << known[index]!.taken[kinds[field]!]!;
      } else if (index === unknownField) ways |= 1 << takes.no;
    }
    return ways;
  }

  #lookUp(document: Document, field: number): number {
    const name = nameOf(document, field);
    const known = this.#index.get(name);
    if (known !== undefined) return known;
    if (this.#isUninteresting(name)) return this.#add(name, uninteresting);
    return document.kinds[field] === kinds.null ? this.#add(name, nullSoFar) : unknownField;
  }

  #add(name: string, taken: Uint8Array): number {
    if (this.fields.length >= this.#most) return passedOver;
    const index = this.fields.push({ name, column: null, taken }) - 1;
    this.#names.push(inDocument(name));
    this.#index.set(name, index);
    if (index >= this.found.length) this.found = enlarged(this.found).fill(-1, index);
    if (index + 1 >= this.#after.length) this.#after = enlarged(this.#after).fill(unknownField, index + 1);
    return index;
  }
}

export function nameOf({ bytes, names }: Document, field: number): string {
  const name = bytes.toString("utf8", names[field * 2], names[field * 2 + 1]);
  return name.includes("\\") ? (JSON.parse(`"${name}"`) as string) : name;
}

function inDocument(name: string): Buffer | null {
  return name.includes("\\") ? null : Buffer.from(name);
}

function isNamed(bytes: Buffer, start: number, end: number, name: Buffer | null): boolean {
  if (name === null || end - start !== name.length) return false;
  for (let index = 0; index < name.length; index++) if (bytes[start + index] !== name[index]) return false;
  return true;
}
