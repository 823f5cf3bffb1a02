import { murmur3Token } from "../../../wire/cql/murmur3.ts";

/** What is known about the entries in a slot: a part of the log, of some streams and a short time. */
interface Slot {
  /** A digest of all entries that were read in it. */
  readonly digest: bigint;
  /** Whether they were looked up (again) long enough after they were written. */
  readonly settled: boolean;
}

/** A slot that is being read. */
export interface SlotReading {
  /** A digest of the entries that an earlier pass may have read. */
  again: bigint;
  /** A digest of the entries that no pass has read. */
  fresh: bigint;
}

/**
 * Remembers which slots of one table's log were read before with the same entries, so that reading them again for late
 * entries costs no look-ups. A slot counts only once the pass that read it is durable. Nothing outlives the process.
 */
export class Seen {
  readonly #slots = new Map<string, Slot & { readonly at: number }>();
  #staged: { readonly position: string; readonly slots: Map<string, Slot & { readonly at: number }> } | null = null;

  /**
   * Begins a pass that ends at `position`; `durable`: where the stored pass ended. Slots that begin before `since` are
   * dropped.
   */
  begin(durable: string, position: string, since: number): void {
    if (this.#staged?.position === durable) for (const [key, slot] of this.#staged.slots) this.#slots.set(key, slot);
    for (const [key, { at }] of this.#slots) if (at < since) this.#slots.delete(key);
    this.#staged = { position, slots: new Map() };
  }

  /** Whether the entries that were read again are the same as those settled before. */
  isSettled(key: string, { again }: SlotReading): boolean {
    const known = this.#slots.get(key);
    return known !== undefined && known.settled && known.digest === again;
  }

  /** `isWhole`: the whole slot was read, not only its fresh entries. */
  add(key: string, at: number, { again, fresh }: SlotReading, isWhole: boolean): void {
    const known = this.#slots.get(key);
    const before = isWhole ? again : (known?.digest ?? 0n);
    // Late entries are looked up once more: the first look-up may have come before the row itself was there.
    const settled = again === 0n ? (known?.settled ?? true) : known?.digest === again;
    this.#staged?.slots.set(key, { digest: before ^ fresh, settled, at });
  }
}

export function digestOf(entry: Buffer): bigint {
  return murmur3Token(entry);
}
