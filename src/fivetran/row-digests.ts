import { hash } from "node:crypto";
import { deflateRawSync, inflateRawSync } from "node:zlib";
import type { Rows } from "../protocol/rows.ts";
import type { Table } from "../protocol/table.ts";
import type { Type } from "../protocol/types.ts";
import { typeName } from "../toolkit/types.ts";
import { type Cell, cell, rowsOf } from "../toolkit/vectors.ts";

/** Bytes of an MD5. */
const digestBytes = 16;

/** Keys that are looked up, or deleted, at a time. */
const batchKeys = 1_000;

/** A memory as it is kept between syncs. */
export interface StoredDigests {
  /** Names and types of the key columns: of other ones it says nothing. */
  readonly signature: string;
  /** The keys as a JSON list of texts, deflated, in base64. */
  readonly keys: string;
  /** Their digests, one after the other, in base64. */
  readonly digests: string;
}

/**
 * What Fivetran was sent of one table: the digest of each row by its key. It stands for the copy, which can't be read:
 * rows that are equal are not sent again, keys that a whole pass did not meet are gone.
 */
export class RowDigests {
  readonly signature: string;
  /** About the bytes that it takes. */
  bytes = 0;
  readonly #digests = new Map<string, string>();
  /** Keys that the pass under way did not meet yet, of those that were there before it. */
  #unmet = new Set<string>();
  #before = 0;

  constructor(signature: string) {
    this.signature = signature;
  }

  static parse({ signature, keys, digests }: StoredDigests): RowDigests {
    const memory = new RowDigests(signature);
    const texts = JSON.parse(inflateRawSync(Buffer.from(keys, "base64")).toString()) as readonly string[];
    const bytes = Buffer.from(digests, "base64");
    texts.forEach((key, index) => {
      memory.#keep(key, bytes.toString("latin1", index * digestBytes, (index + 1) * digestBytes));
    });
    return memory;
  }

  /** Sorted, so that neighbours share their beginnings and take little room. */
  json(): StoredDigests {
    const keys = [...this.#digests.keys()].sort();
    const digests = keys.map((key) => this.#digests.get(key)!).join("");
    return {
      signature: this.signature,
      keys: deflateRawSync(JSON.stringify(keys)).toString("base64"),
      digests: Buffer.from(digests, "latin1").toString("base64"),
    };
  }

  get size(): number {
    return this.#digests.size;
  }

  /** A pass over every row begins. */
  begin(): void {
    this.#unmet = new Set(this.#digests.keys());
    this.#before = this.#unmet.size;
  }

  /** Of the pass under way: keys that were there before it, and those of them that it did not meet. */
  get standing(): { readonly before: number; readonly unmet: number } {
    return { before: this.#before, unmet: this.#unmet.size };
  }

  /** Whether the row is new or another than before; from now on it is known. */
  meet(key: string, bytes: Buffer, start: number, end: number): boolean {
    const digest = hash("md5", bytes.subarray(start, end), "binary");
    this.#unmet.delete(key);
    if (this.#digests.get(key) === digest) return false;
    this.#keep(key, digest);
    return true;
  }

  /** A part of the row was sent: it is there, but its digest is not known. */
  touch(key: string): void {
    if (this.#digests.has(key)) this.#digests.set(key, "\0".repeat(digestBytes));
  }

  forget(key: string): void {
    if (this.#digests.delete(key)) this.bytes -= sizeOf(key);
    this.#unmet.delete(key);
  }

  /** The keys that the pass did not meet, as rows of the key columns. */
  *unmet(table: Table): Generator<Rows> {
    const columns = keyColumns(table);
    const keys = [...this.#unmet];
    for (let from = 0; from < keys.length; from += batchKeys) {
      yield rowsOf(
        columns,
        keys.slice(from, from + batchKeys).map((key) => cellsOf(key, columns)),
      );
    }
  }

  /** The pass is over: what it did not meet is gone. */
  end(): void {
    for (const key of [...this.#unmet]) this.forget(key);
  }

  #keep(key: string, digest: string): void {
    if (!this.#digests.has(key)) this.bytes += sizeOf(key);
    this.#digests.set(key, digest);
  }
}

/** What a memory of a table must have as its signature. */
export function signatureOf(table: Table): string {
  return keyColumns(table)
    .map(({ name, type }) => `${JSON.stringify(name)} ${typeName(type)}`)
    .join(", ");
}

/** A function that gives the key of a row of a batch as one text. */
export function keysOf(table: Table, rows: Rows): (row: number) => string {
  const vectors = table.key.map((name) => rows.values[rows.columns.indexOf(name)]!);
  return (row) => JSON.stringify(vectors.map((vector) => cellText(cell(vector, row))));
}

function keyColumns(table: Table): readonly { readonly name: string; readonly type: Type }[] {
  return table.key.map((name) => table.columns.find((column) => column.name === name)!);
}

function sizeOf(key: string): number {
  return key.length + digestBytes;
}

function cellText(value: Cell): string | null {
  if (value === null) return null;
  return value instanceof Uint8Array ? Buffer.from(value).toString("base64") : String(value);
}

function cellsOf(key: string, columns: readonly { readonly type: Type }[]): Cell[] {
  return (JSON.parse(key) as readonly (string | null)[]).map((text, index) =>
    text === null ? null : cellOf(text, columns[index]!.type),
  );
}

function cellOf(text: string, { kind }: Type): Cell {
  switch (kind) {
    case "BOOLEAN":
      return text === "true";
    case "SHORT":
    case "INT":
    case "NAIVE_DATE":
    case "FLOAT":
    case "DOUBLE":
      return Number(text);
    case "BINARY":
      return Buffer.from(text, "base64");
    case "STRING":
    case "JSON":
    case "XML":
      return text;
    default:
      return BigInt(text);
  }
}
