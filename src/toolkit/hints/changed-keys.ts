/** When a key was changed first and last, among the changes that are kept. */
interface Changes<At> {
  readonly first: At;
  readonly last: At;
}

interface TableKeys<At> {
  /** By the key's JSON, in the order of their last changes. */
  readonly keys: Map<string, Changes<At>>;
  bytes: number;
  /** When keys of the table were last dropped; `null`: all are here. */
  dropped: At | null;
}

/** All keys take at most this much memory, in bytes. */
const mostBytes = 64 << 20;
/** A key in memory takes about so many bytes besides its text. */
const overhead = 120;

/**
 * The keys that changed, by table. Together they take a bounded number of bytes: if that is exceeded, the keys of the
 * largest table are dropped, and it must be read again. Moments are numbers, or positions in a log, and never go back.
 */
export class ChangedKeys<At extends bigint | number> {
  readonly #most: number;
  readonly #tables = new Map<string, TableKeys<At>>();
  #bytes = 0;

  constructor(most = mostBytes) {
    this.#most = most;
  }

  /** Tables that have keys here, or had keys that were dropped. */
  get tables(): readonly string[] {
    return [...this.#tables].filter(([, { keys, dropped }]) => keys.size > 0 || dropped !== null).map(([name]) => name);
  }

  /** `key`: as JSON, so that equal keys are equal texts. */
  add(table: string, key: string, at: At): void {
    const known = this.#tableOf(table);
    // A reader that goes on from here or before must read the table whole.
    if (known.dropped !== null && at <= known.dropped) return;
    const before = known.keys.get(key);
    // The key goes to the end.
    if (before !== undefined) known.keys.delete(key);
    known.keys.set(key, { first: before?.first ?? at, last: at });
    if (before !== undefined) return;
    this.#count(known, sizeOf(key));
    if (this.#bytes <= this.#most) return;
    const [largest] = [...this.#tables.values()].sort((a, b) => b.bytes - a.bytes);
    this.#drop(largest!, at);
  }

  /** The keys no longer show every change of the table. */
  drop(table: string, at: At): void {
    this.#drop(this.#tableOf(table), at);
  }

  /** Whether the keys do not show every change since `from`. */
  hasDropped(table: string, from: At): boolean {
    const dropped = this.droppedAt(table);
    return dropped !== null && dropped >= from;
  }

  droppedAt(table: string): At | null {
    return this.#tables.get(table)?.dropped ?? null;
  }

  /** The keys of a table, in the order of their last changes. */
  of(table: string): Iterable<readonly [key: string, changes: Changes<At>]> {
    return this.#tables.get(table)?.keys ?? [];
  }

  /** The copy has every earlier change. */
  forget(table: string, before: At): void {
    const known = this.#tables.get(table);
    if (known === undefined) return;
    for (const [key, { last }] of known.keys) {
      if (last >= before) break;
      known.keys.delete(key);
      this.#count(known, -sizeOf(key));
    }
    if (known.dropped !== null && known.dropped < before) known.dropped = null;
  }

  #drop(table: TableKeys<At>, at: At): void {
    this.#count(table, -table.bytes);
    table.keys.clear();
    table.dropped = at;
  }

  #count(table: TableKeys<At>, bytes: number): void {
    table.bytes += bytes;
    this.#bytes += bytes;
  }

  #tableOf(table: string): TableKeys<At> {
    const known = this.#tables.get(table);
    if (known !== undefined) return known;
    const made: TableKeys<At> = { keys: new Map(), bytes: 0, dropped: null };
    this.#tables.set(table, made);
    return made;
  }
}

function sizeOf(key: string): number {
  return overhead + 2 * key.length;
}
