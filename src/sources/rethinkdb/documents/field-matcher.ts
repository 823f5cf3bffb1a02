import type { Column } from "../../../protocol/table.ts";
import { type Document, enlarged, kinds } from "../../../wire/reql/document.ts";
import { kindCount, takes } from "../types.ts";

/** A known field. */
export interface KnownField {
  readonly name: string;
  /** The column of the field; `null`: the field is not written. */
  readonly column: Column | null;
  /** How the column takes each kind of value. */
  readonly taken: Uint8Array;
}

/** A field that is skipped, or was null so far: nothing is written for either. */
export const uninteresting = new Uint8Array(kindCount).fill(takes.plainly);
const nullSoFar = new Uint8Array(kindCount).fill(takes.no);
nullSoFar[kinds.null] = takes.plainly;

/** Limit of remembered fields that are null or skipped; the names of more fields are looked up each time. */
const mostExtra = 1_000;

/** Marks a document's field that is not known. */
export const unknownField = -1;
const passedOver = -2;

/**
 * Finds known fields in documents. Documents of one table are much alike, so the matcher remembers which field followed
 * which. Most names are then only compared with the expected name.
 */
export class FieldMatcher {
  /** For each known field: the index of the document's field; -1: the document does not have it. */
  found: Int32Array;
  /** For each field of the document: the index of the known field, or {@link unknownField}. */
  targets = new Int32Array(32);
  readonly fields: KnownField[];
  readonly #isUninteresting: (name: string) => boolean;
  /** The names as they are written in documents; `null`: the name needs escapes and is not compared byte by byte. */
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

  /** Returns bits: bit `how` is set if any field is taken that way ({@link takes}); `no` also for an unknown field. */
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
