import { ChangedKeys } from "../../../toolkit/hints/changed-keys.ts";
import { decodeMessage, type StreamMessage, type StreamRelation, type Tuple } from "./pgoutput.ts";
import { visibleIn } from "./visible.ts";

/** The keys that changed, by table, and the commits that changed them. */
export class Hints {
  /** The key columns by table of the schema. */
  keys: ReadonlyMap<string, readonly string[]>;
  /** Tables that whole transactions have changed since they were last taken from here. */
  readonly fresh = new Set<string>();
  /** All commits that begin before it are here. */
  reached = 0n;
  /** A table looks otherwise than when it was described first, or is new. */
  altered = false;
  readonly #schema: string;
  readonly #changed: ChangedKeys<bigint>;
  readonly #relations = new Map<number, StreamRelation>();
  /** Transactions that no snapshot has shown yet, in the order of their commits. */
  #unseen: { readonly commit: bigint; readonly xid: number }[] = [];
  /** Of the transaction that is read now. */
  readonly #touched = new Set<string>();
  #commit = 0n;
  #at = 0;
  #inside = false;
  #since: number | null = null;

  constructor(schema: string, keys: ReadonlyMap<string, readonly string[]>, mostBytes?: number) {
    this.#schema = schema;
    this.keys = keys;
    this.#changed = new ChangedKeys(mostBytes);
  }

  /**
   * The first commit that no snapshot has shown yet: a look-up may not see what it changed, so the position stays before it.
   * `null`: all were shown.
   */
  get unseen(): bigint | null {
    return this.#unseen[0]?.commit ?? null;
  }

  /** `snapshot`: one that look-ups see at least. Resolves to whether it shows transactions that none did before. */
  see(snapshot: string): boolean {
    const isVisible = visibleIn(snapshot);
    const before = this.#unseen.length;
    this.#unseen = this.#unseen.filter(({ xid }) => !isVisible(xid));
    return this.#unseen.length < before;
  }

  /** When the oldest of the changes was committed that came since this was last asked: milliseconds since 1970. */
  takeSince(): number | null {
    const since = this.#since;
    this.#since = null;
    return since;
  }

  /** The keys of a table that changed since `position`, in transactions that were read whole. */
  of(table: string, position: bigint): readonly (readonly string[])[] {
    const changed: (readonly string[])[] = [];
    for (const [key, { first, last }] of this.#changed.of(table))
      if (last >= position && first < this.reached) changed.push(JSON.parse(key) as readonly string[]);
    return changed;
  }

  /** Whether keys can't tell what happened to the table since `position`. */
  needsWhole(table: string, position: bigint): boolean {
    return this.#changed.hasDropped(table, position);
  }

  /** The copy has all that was committed before `position`. */
  forget(table: string, position: bigint): void {
    this.#changed.forget(table, position);
  }

  /** Tables with keys, or that are to be read whole. */
  get tables(): readonly string[] {
    return this.#changed.tables;
  }

  /** Whether the message describes a table whose key is not known, or was another when it was described before. */
  asksForKeys(message: StreamMessage): boolean {
    if (message.kind !== "relation" || message.relation.schema !== this.#schema) return false;
    const before = this.#relations.get(message.id);
    // One that is not known by this name was made or renamed since the keys were asked for.
    const altered =
      before === undefined
        ? !this.keys.has(message.relation.name)
        : JSON.stringify(before) !== JSON.stringify(message.relation);
    if (altered) this.altered = true;
    return altered;
  }

  take(bytes: Buffer): void {
    this.takeMessage(decodeMessage(bytes));
  }

  takeMessage(message: StreamMessage): void {
    switch (message.kind) {
      case "begin":
        this.#inside = true;
        this.#touched.clear();
        this.#commit = message.commit;
        this.#at = message.at;
        this.#unseen.push({ commit: message.commit, xid: message.xid });
        break;
      case "commit":
        this.#inside = false;
        this.reached = message.end;
        // What changes no table of ours may be seen at any time.
        if (this.#touched.size > 0) this.#since ??= this.#at;
        else if (this.#unseen.at(-1)?.commit === this.#commit) this.#unseen.pop();
        for (const table of this.#touched) this.fresh.add(table);
        break;
      case "relation":
        this.#relations.set(message.id, message.relation);
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

  /** The server has sent all commits that begin before `end`, unless a transaction is on its way. */
  reach(end: bigint): void {
    if (!this.#inside && end > this.reached) this.reached = end;
  }

  /** The name of the table of a relation, if it is one of the schema that has a key. */
  #tableOf(id: number): string | null {
    const relation = this.#relations.get(id);
    return relation?.schema === this.#schema && this.keys.has(relation.name) ? relation.name : null;
  }

  #change(id: number, tuple: Tuple): void {
    const name = this.#tableOf(id);
    if (name === null) return;
    const { columns } = this.#relations.get(id)!;
    const key = this.keys.get(name)!.map((column) => tuple[columns.indexOf(column)]);
    // Columns that were renamed since, or a replica identity that does not hold the key.
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
