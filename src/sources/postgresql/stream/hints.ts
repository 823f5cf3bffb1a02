import { decodeMessage, type StreamMessage, type StreamRelation, type Tuple } from "./pgoutput.ts";
import { visibleIn } from "./visible.ts";

/** A key that changed, as the server writes its values, with the first and the last commit that changed it. */
interface Hint {
  readonly key: readonly string[];
  first: bigint;
  last: bigint;
}

/** What the stream says of one table. */
interface TableHints {
  /** Each key once. */
  readonly keys: Map<string, Hint>;
  bytes: number;
  /** The last commit after which the table has to be read whole; `null`: there was none. */
  whole: bigint | null;
}

/** A key in memory takes about so many bytes besides its text. */
const keyOverhead = 100;

/**
 * The keys that changed, by table. Together they take at most `mostBytes`: of the table that takes the most they are
 * dropped, and it is to be read whole.
 */
export class Hints {
  /** The key columns by table of the schema. */
  keys: ReadonlyMap<string, readonly string[]>;
  /** Tables that whole transactions have changed since they were last taken from here. */
  readonly fresh = new Set<string>();
  /** All commits that begin before it are here. */
  reached = 0n;
  /** A table looks otherwise than when it was described first. */
  altered = false;
  readonly #schema: string;
  readonly #mostBytes: number;
  readonly #tables = new Map<string, TableHints>();
  readonly #relations = new Map<number, StreamRelation>();
  /** Transactions that no snapshot has shown yet, in the order of their commits. */
  #unseen: { readonly commit: bigint; readonly xid: number }[] = [];
  /** Of the transaction that is read now. */
  readonly #touched = new Set<string>();
  #commit = 0n;
  #at = 0;
  #inside = false;
  #bytes = 0;
  #since: number | null = null;

  constructor(schema: string, keys: ReadonlyMap<string, readonly string[]>, mostBytes: number) {
    this.#schema = schema;
    this.keys = keys;
    this.#mostBytes = mostBytes;
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
    const changed = [...(this.#tables.get(table)?.keys.values() ?? [])];
    return changed.filter(({ first, last }) => last >= position && first < this.reached).map(({ key }) => key);
  }

  /** Whether keys can't tell what happened to the table since `position`. */
  needsWhole(table: string, position: bigint): boolean {
    const whole = this.#tables.get(table)?.whole ?? null;
    return whole !== null && whole >= position;
  }

  /** The copy has all that was committed before `position`. */
  forget(table: string, position: bigint): void {
    const hints = this.#tables.get(table);
    if (hints === undefined) return;
    for (const [text, hint] of hints.keys) {
      if (hint.last < position) {
        hints.keys.delete(text);
        this.#count(hints, -sizeOf(text));
      } else if (hint.first < position) {
        hint.first = position;
      }
    }
    if (hints.whole !== null && hints.whole < position) hints.whole = null;
  }

  /** Tables with keys, or that are to be read whole. */
  get tables(): readonly string[] {
    return [...this.#tables].filter(([, { keys, whole }]) => keys.size > 0 || whole !== null).map(([name]) => name);
  }

  /** Whether the message describes a table whose key is not known, or was another when it was described before. */
  asksForKeys(message: StreamMessage): boolean {
    if (message.kind !== "relation" || message.relation.schema !== this.#schema) return false;
    const before = this.#relations.get(message.id);
    if (before === undefined) return !this.keys.has(message.relation.name);
    const altered = JSON.stringify(before) !== JSON.stringify(message.relation);
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
    const hints = this.#hintsOf(name);
    const text = JSON.stringify(key);
    const known = hints.keys.get(text);
    if (known !== undefined) {
      known.last = this.#commit;
      return;
    }
    hints.keys.set(text, { key, first: this.#commit, last: this.#commit });
    this.#count(hints, sizeOf(text));
    if (this.#bytes <= this.#mostBytes) return;
    const [largest] = [...this.#tables.values()].sort((a, b) => b.bytes - a.bytes);
    this.#drop(largest!);
  }

  #readWhole(id: number): void {
    const name = this.#tableOf(id);
    if (name === null) return;
    this.#touched.add(name);
    this.#drop(this.#hintsOf(name));
  }

  #drop(hints: TableHints): void {
    this.#count(hints, -hints.bytes);
    hints.keys.clear();
    hints.whole = this.#commit;
  }

  #count(hints: TableHints, bytes: number): void {
    hints.bytes += bytes;
    this.#bytes += bytes;
  }

  #hintsOf(table: string): TableHints {
    const known = this.#tables.get(table);
    if (known !== undefined) return known;
    const made: TableHints = { keys: new Map(), bytes: 0, whole: null };
    this.#tables.set(table, made);
    return made;
  }
}

function sizeOf(text: string): number {
  return keyOverhead + 4 * text.length;
}
