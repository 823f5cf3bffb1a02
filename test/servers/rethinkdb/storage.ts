import { createHash, randomUUID } from "node:crypto";
import type { Failure } from "./failure.ts";
import { compare, compareText, type Datum, type DatumObject, normalize, print } from "./datum.ts";

/** One document, with the bytes that are sent of it. */
export interface Entry {
  readonly key: Datum;
  readonly document: DatumObject;
  readonly text: Buffer;
  /** Decides where it comes in a read without an order. */
  readonly hash: string;
}

/** One place of a document in an order. */
export interface Place {
  readonly value: Datum;
  readonly entry: Entry;
}

export interface Index {
  readonly name: string;
  readonly multi: boolean;
  readonly geo: boolean;
  /** As `indexStatus` shows it. */
  readonly query: string;
  /** `undefined`: the document is not in the index. */
  readonly valueOf: (document: DatumObject) => Datum | undefined;
  ready: boolean;
}

/** Hears of every write of a table. */
interface Listener {
  push(before: DatumObject | null, after: DatumObject | null): void;
  fail(failure: Failure): void;
}

/** Documents in memory. */
export class Table {
  readonly id = randomUUID();
  readonly name: string;
  readonly primaryKey: string;
  readonly indexes = new Map<string, Index>();
  /** Counts the changes: an order that was made before one is out of date. */
  version = 0;
  dropped = false;
  readonly feeds = new Set<Listener>();
  readonly #entries = new Map<string, Entry>();
  readonly #orders = new Map<string, { readonly version: number; readonly places: readonly Place[] }>();

  constructor(name: string, primaryKey: string) {
    this.name = name;
    this.primaryKey = primaryKey;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: Datum): Entry | undefined {
    return this.#entries.get(idOf(key));
  }

  put(document: DatumObject): void {
    const stored = normalize(document) as DatumObject;
    const key = stored[this.primaryKey]!;
    const id = idOf(key);
    const text = Buffer.from(print(stored));
    const before = this.#entries.get(id)?.document ?? null;
    this.#entries.set(id, { key, document: stored, text, hash: createHash("md5").update(id).digest("hex") });
    this.version++;
    for (const feed of this.feeds) feed.push(before, stored);
  }

  remove(key: Datum): void {
    const before = this.get(key)?.document ?? null;
    this.#entries.delete(idOf(key));
    this.version++;
    if (before !== null) for (const feed of this.feeds) feed.push(before, null);
  }

  /** Every feed of it breaks. */
  breakFeeds(failure: Failure): void {
    for (const feed of this.feeds) feed.fail(failure);
  }

  /** All places by primary key, by an index, or as they lie (`null`). */
  order(by: string | null): readonly Place[] {
    const name = by ?? "";
    const known = this.#orders.get(name);
    if (known?.version === this.version) return known.places;
    const places = [...this.#entries.values()].flatMap((entry) =>
      this.#values(by, entry).map((value) => ({ value, entry })),
    );
    places.sort((a, b) => this.position(by, a, b));
    this.#orders.set(name, { version: this.version, places });
    return places;
  }

  /** Which of two places comes first in an order. */
  position(by: string | null, a: Place, b: Place): number {
    if (by === null) return compareText(a.entry.hash, b.entry.hash);
    return compare(a.value, b.value) || compare(a.entry.key, b.entry.key);
  }

  #values(by: string | null, entry: Entry): readonly Datum[] {
    if (by === null || by === this.primaryKey) return [entry.key];
    const index = this.indexes.get(by)!;
    const value = index.valueOf(entry.document);
    const all = index.multi && Array.isArray(value) ? value : value === undefined ? [] : [value];
    return all.filter(indexable);
  }
}

/** Equal keys have one; times are compared without their zones. */
function idOf(key: Datum): string {
  return print(key).replaceAll(/"timezone":"[^"]*"/g, "");
}

/** null, objects and geometries, also inside an array, keep a document out of an index. */
function indexable(value: Datum): boolean {
  if (Array.isArray(value)) return value.every(indexable);
  if (typeof value !== "object") return true;
  const type = value === null ? null : (value as DatumObject)["$reql_type$"];
  return type === "TIME" || type === "BINARY";
}

export interface Database {
  readonly id: string;
  readonly name: string;
  readonly tables: Map<string, Table>;
}

export interface Permissions {
  readonly read?: boolean;
  readonly write?: boolean;
  readonly config?: boolean;
  readonly connect?: boolean;
}

export interface User {
  readonly name: string;
  password: string;
  readonly salt: Buffer;
  readonly iterations: number;
  /** By the id of a database or table; `""`: everywhere. */
  readonly grants: Map<string, Permissions>;
}

/** Everything that a server keeps: it outlives a restart. */
export class Store {
  readonly serverId = randomUUID();
  readonly started = Date.now();
  readonly databases = new Map<string, Database>();
  readonly users = new Map<string, User>();
}

export function makeDatabase(name: string): Database {
  return { id: randomUUID(), name, tables: new Map() };
}
