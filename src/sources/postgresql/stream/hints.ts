import { decodeMessage, type StreamRelation, type Tuple } from "./pgoutput.ts";

/** What the stream says of one table. */
interface TableHints {
  /** The keys that changed, as the server writes their values, each once, with the last commit that changed it. */
  readonly keys: Map<string, { readonly key: readonly string[]; commit: bigint }>;
  bytes: number;
  /** The last commit after which the table has to be read whole; `null`: there was none. */
  whole: bigint | null;
}

/** The parts of a snapshot of transactions: `xmin:xmax:xip,…`, with epochs. */
interface VisibleTransactions {
  readonly oldest: bigint;
  readonly next: bigint;
  readonly running: ReadonlySet<bigint>;
}

/** A key in memory takes about so many bytes besides its text. */
const keyOverhead = 100;

/**
 * The keys that changed, by table. Together they take at most `mostBytes`: of the table that takes the most they are
 * dropped, and it is to be read whole.
 */
export class Hints {
  readonly #keys: ReadonlyMap<string, readonly string[]>;
  readonly #schema: string;
  readonly #visible: VisibleTransactions;
  readonly #mostBytes: number;
  readonly #tables = new Map<string, TableHints>();
  readonly #relations = new Map<number, StreamRelation>();
  #commit = 0n;
  #bytes = 0;
  #unseen: bigint | null = null;

  /** `keys`: the key columns by table of `schema`. `snapshot`: taken after the end of what is read. */
  constructor(schema: string, keys: ReadonlyMap<string, readonly string[]>, snapshot: string, mostBytes: number) {
    this.#schema = schema;
    this.#keys = keys;
    this.#visible = visibleIn(snapshot);
    this.#mostBytes = mostBytes;
  }

  /**
   * The first commit that the snapshot does not show yet: a look-up may not see what it changed, so the position stays
   * before it. `null`: it shows all.
   */
  get unseen(): bigint | null {
    return this.#unseen;
  }

  /** The keys of a table that changed since `position`. */
  of(table: string, position: bigint): readonly (readonly string[])[] {
    const changed = [...(this.#tables.get(table)?.keys.values() ?? [])];
    return changed.filter(({ commit }) => commit >= position).map(({ key }) => key);
  }

  /** Whether keys can't tell what happened to the table since `position`. */
  needsWhole(table: string, position: bigint): boolean {
    const whole = this.#tables.get(table)?.whole ?? null;
    return whole !== null && whole >= position;
  }

  take(bytes: Buffer): void {
    const message = decodeMessage(bytes);
    switch (message.kind) {
      case "begin":
        this.#commit = message.commit;
        if (!isVisible(message.xid, this.#visible) && this.#unseen === null) this.#unseen = message.commit;
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

  /** The name of the table of a relation, if it is one of the schema that has a key. */
  #tableOf(id: number): string | null {
    const relation = this.#relations.get(id);
    return relation?.schema === this.#schema && this.#keys.has(relation.name) ? relation.name : null;
  }

  #change(id: number, tuple: Tuple): void {
    const name = this.#tableOf(id);
    if (name === null) return;
    const { columns } = this.#relations.get(id)!;
    const key = this.#keys.get(name)!.map((column) => tuple[columns.indexOf(column)]);
    // Columns that were renamed since, or a replica identity that does not hold the key.
    if (!key.every((value) => typeof value === "string")) return this.#readWhole(id);
    const hints = this.#hintsOf(name);
    const text = JSON.stringify(key);
    const known = hints.keys.get(text);
    if (known !== undefined) {
      known.commit = this.#commit;
      return;
    }
    hints.keys.set(text, { key, commit: this.#commit });
    const bytes = keyOverhead + 4 * text.length;
    hints.bytes += bytes;
    this.#bytes += bytes;
    if (this.#bytes <= this.#mostBytes) return;
    const [largest] = [...this.#tables.values()].sort((a, b) => b.bytes - a.bytes);
    this.#drop(largest!);
  }

  #readWhole(id: number): void {
    const name = this.#tableOf(id);
    if (name !== null) this.#drop(this.#hintsOf(name));
  }

  #drop(hints: TableHints): void {
    this.#bytes -= hints.bytes;
    hints.keys.clear();
    hints.bytes = 0;
    hints.whole = this.#commit;
  }

  #hintsOf(table: string): TableHints {
    const known = this.#tables.get(table);
    if (known !== undefined) return known;
    const made: TableHints = { keys: new Map(), bytes: 0, whole: null };
    this.#tables.set(table, made);
    return made;
  }
}

function visibleIn(snapshot: string): VisibleTransactions {
  const [oldest = "0", next = "0", running = ""] = snapshot.split(":");
  const ids = running === "" ? [] : running.split(",").map(BigInt);
  return { oldest: BigInt(oldest), next: BigInt(next), running: new Set(ids) };
}

/** `xid` has no epoch: it is the transaction with this number that is nearest to the snapshot's. */
function isVisible(xid: number, { oldest, next, running }: VisibleTransactions): boolean {
  const lap = 1n << 32n;
  let full = (next / lap) * lap + BigInt(xid);
  if (full > next + lap / 2n) full -= lap;
  else if (full < next - lap / 2n) full += lap;
  return full < oldest || (full < next && !running.has(full));
}
