import { ChangedKeys } from "../../../toolkit/hints/changed-keys.ts";
import { decodeMessage, type StreamMessage, type StreamRelation, type Tuple } from "./pgoutput.ts";
import type { Committed, Sees } from "./visible.ts";

/** The keys that changed, by table, and the commits that changed them. */
export class Hints {
  /** Tables changed by whole transactions since they were last taken from here. */
  readonly fresh = new Set<string>();
  /** All commits that begin before this position are here. */
  reached = 0n;
  /** When the last complete transaction was committed: milliseconds since 1970; 0: there is none. */
  reachedAt = 0;
  /** A table is new, or has changed since it was first described. */
  altered = false;
  readonly #schema: string;
  readonly #changed: ChangedKeys<bigint>;
  readonly #relations = new Map<number, StreamRelation>();
  #keys: ReadonlyMap<string, readonly string[]>;
  /** By relation: the places of the key's columns. */
  readonly #places = new Map<number, readonly number[]>();
  /** Transactions that are not visible to any snapshot yet, in the order of their commits. */
  #unseen: (Committed & { readonly commit: bigint })[] = [];
  /** The tables of the transaction that is being read. */
  readonly #touched = new Set<string>();
  #commit = 0n;
  #at = 0;
  #inside = false;
  #since: number | null = null;

  constructor(schema: string, keys: ReadonlyMap<string, readonly string[]>, mostBytes?: number) {
    this.#schema = schema;
    this.#keys = keys;
    this.#changed = new ChangedKeys(mostBytes);
  }

  /** The key columns by table of the schema. */
  get keys(): ReadonlyMap<string, readonly string[]> {
    return this.#keys;
  }

  set keys(keys: ReadonlyMap<string, readonly string[]>) {
    this.#keys = keys;
    this.#places.clear();
  }

  /** The places of the key's columns, in their order; empty: keys of the relation are not collected. */
  placesOf(id: number): readonly number[] {
    const known = this.#places.get(id);
    if (known !== undefined) return known;
    const name = this.#tableOf(id);
    const columns = this.#relations.get(id)?.columns ?? [];
    const places = name === null ? [] : this.#keys.get(name)!.map((column) => columns.indexOf(column));
    this.#places.set(id, places);
    return places;
  }

  /**
   * The first commit that is not visible yet: a look-up may not see its changes, so the position stays before it.
   * `null`: all are visible.
   */
  get unseen(): bigint | null {
    return this.#unseen[0]?.commit ?? null;
  }

  /** Notes what look-ups see from now on. Returns whether more transactions have become visible. */
  see(sees: Sees): boolean {
    const before = this.#unseen.length;
    this.#unseen = this.#unseen.filter((transaction) => !sees(transaction));
    return this.#unseen.length < before;
  }

  /** When the oldest change since the last call was committed: milliseconds since 1970. */
  takeSince(): number | null {
    const since = this.#since;
    this.#since = null;
    return since;
  }

  /** The keys of a table that changed since `position`, in complete transactions. */
  of(table: string, position: bigint): readonly (readonly string[])[] {
    const changed: (readonly string[])[] = [];
    for (const [key, { first, last }] of this.#changed.of(table))
      if (last >= position && first < this.reached) changed.push(JSON.parse(key) as readonly string[]);
    return changed;
  }

  /** Whether the keys do not show everything that happened to the table since `position`. */
  needsWhole(table: string, position: bigint): boolean {
    return this.#changed.hasDropped(table, position);
  }

  /** The copy has everything that was committed before `position`. */
  forget(table: string, position: bigint): void {
    this.#changed.forget(table, position);
  }

  /** Tables that have keys here, or must be read whole. */
  get tables(): readonly string[] {
    return this.#changed.tables;
  }

  /** Whether the message describes a table whose key is unknown, or has changed since it was last described. */
  asksForKeys(message: StreamMessage): boolean {
    if (message.kind !== "relation" || message.relation.schema !== this.#schema) return false;
    const before = this.#relations.get(message.id);
    // A table with an unknown name was created or renamed since the keys were requested.
    const altered =
      before === undefined
        ? !this.keys.has(message.relation.name)
        : JSON.stringify(before) !== JSON.stringify(message.relation);
    if (altered) this.altered = true;
    return altered;
  }

  take(bytes: Buffer): void {
    this.takeMessage(decodeMessage(bytes, (id) => this.placesOf(id)));
  }

  takeMessage(message: StreamMessage): void {
    switch (message.kind) {
      case "begin":
        this.#inside = true;
        this.#touched.clear();
        this.#commit = message.commit;
        this.#at = message.at;
        this.#unseen.push({ commit: message.commit, xid: message.xid, at: message.at });
        break;
      case "commit":
        this.#inside = false;
        this.reached = message.end;
        this.reachedAt = this.#at;
        // A transaction that changes none of our tables may become visible at any time.
        if (this.#touched.size > 0) this.#since ??= this.#at;
        else if (this.#unseen.at(-1)?.commit === this.#commit) this.#unseen.pop();
        for (const table of this.#touched) this.fresh.add(table);
        break;
      case "relation":
        this.#relations.set(message.id, message.relation);
        this.#places.delete(message.id);
        break;
      case "change":
        for (const tuple of message.tuples) this.#change(message.id, tuple);
        break;
      case "truncate":
        for (const id of message.ids) this.#readWhole(id);
        break;
      case "other":
    }
  }

  /** The server has sent all commits that begin before `end`, unless a transaction is being received. */
  reach(end: bigint): void {
    if (!this.#inside && end > this.reached) this.reached = end;
  }

  /** The table name of a relation, if it is a table of the schema with a key. */
  #tableOf(id: number): string | null {
    const relation = this.#relations.get(id);
    return relation?.schema === this.#schema && this.keys.has(relation.name) ? relation.name : null;
  }

  #change(id: number, tuple: Tuple): void {
    const name = this.#tableOf(id);
    if (name === null) return;
    const key = this.placesOf(id).map((place) => tuple[place]);
    // Columns were renamed since, or the replica identity does not hold the key.
    if (!key.every((value) => typeof value === "string")) return this.#readWhole(id);
    this.#touched.add(name);
    this.#changed.add(name, JSON.stringify(key), this.#commit);
  }

  #readWhole(id: number): void {
    const name = this.#tableOf(id);
    if (name === null) return;
    this.#touched.add(name);
    this.#changed.drop(name, this.#commit);
  }
}
