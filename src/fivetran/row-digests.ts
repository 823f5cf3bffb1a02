import { hash } from "node:crypto";
import { deflateRawSync, inflateRawSync } from "node:zlib";
import type { Rows } from "../protocol/rows.ts";
import type { Table } from "../protocol/table.ts";
import type { Type } from "../protocol/types.ts";
import { typeName } from "../toolkit/types.ts";
import { type Cell, cell, rowsOf } from "../toolkit/vectors.ts";

/** Bytes of an MD5. */
const digestBytes = 16;

/** How many keys are looked up, or deleted, at a time. */
const batchKeys = 1_000;

/** Row digests as they are stored between syncs. */
export interface StoredDigests {
  /** Names and types of the key columns that they are for. */
  readonly signature: string;
  /** The keys as a JSON list of texts, deflated, in base64. */
  readonly keys: string;
  /** Their digests, one after the other, in base64. */
  readonly digests: string;
}

/**
 * The digest of each row of one table that Fivetran was sent, by its key. They replace the copy, which can't be read: equal
 * rows are not sent again, and keys that a whole pass does not meet are gone.
 */
export class RowDigests {
  readonly signature: string;
  /** The approximate size in memory. */
  bytes = 0;
  readonly #digests = new Map<string, string>();
  /** The keys from before the current pass that it has not met yet. */
  #unmet = new Set<string>();

  constructor(signature: string) {
    this.signature = signature;
  }

  /** `null`: they are damaged. */
  static parse({ signature, keys, digests }: StoredDigests): RowDigests | null {
    const rows = new RowDigests(signature);
    const texts = keysFrom(keys);
    const bytes = Buffer.from(digests, "base64");
    if (texts === null || bytes.length !== texts.length * digestBytes) return null;
    texts.forEach((key, index) => {
      rows.#keep(key, bytes.toString("latin1", index * digestBytes, (index + 1) * digestBytes));
    });
    return rows;
  }

  /** Sorted, so that neighbours have a common beginning and compress well. */
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
  }

  /** How many keys from before the current pass it has not met yet. */
  get unmetCount(): number {
    return this.#unmet.size;
  }

  /** Whether the row is new or has changed; stores its digest. */
  meet(key: string, bytes: Buffer, start: number, end: number): boolean {
    const digest = hash("md5", bytes.subarray(start, end), "binary");
    this.#unmet.delete(key);
    if (this.#digests.get(key) === digest) return false;
    this.#keep(key, digest);
    return true;
  }

  /** A part of the row was sent: it exists, but its digest is unknown. */
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

  /** The pass has ended: keys that it did not meet are gone. */
  end(): void {
    for (const key of [...this.#unmet]) this.forget(key);
  }

  #keep(key: string, digest: string): void {
    if (!this.#digests.has(key)) this.bytes += sizeOf(key);
    this.#digests.set(key, digest);
  }
}

/** The most bytes that the keys of one table may take. A state has far fewer, unless it is damaged. */
const mostKeyBytes = 64 << 20;

function keysFrom(stored: string): readonly string[] | null {
  try {
    const text = inflateRawSync(Buffer.from(stored, "base64"), { maxOutputLength: mostKeyBytes }).toString();
    const keys: unknown = JSON.parse(text);
    return Array.isArray(keys) && keys.every(isKey) && new Set(keys).size === keys.length ? keys : null;
  } catch {
    // Ignored here: the caller is told that they are damaged.
    return null;
  }
}

/** A list of texts, as {@link keysOf} writes it. */
function isKey(text: unknown): text is string {
  if (typeof text !== "string") return false;
  const cells: unknown = JSON.parse(text);
  return Array.isArray(cells) && cells.every((value) => value === null || typeof value === "string");
}

/** The signature for a table's digests. A UUID has the same key as its text, as which releases up to 0.1.0 had it. */
export function signatureOf(table: Table): string {
  return keyColumns(table)
    .map(({ name, type }) => `${JSON.stringify(name)} ${type.kind === "UUID" ? "STRING" : typeName(type)}`)
    .join(", ");
}

/** A function that returns the key of a row of a batch as text. */
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
    case "UUID":
    case "JSON":
    case "XML":
      return text;
    default:
      return BigInt(text);
  }
}
