import { murmur3Token } from "../../../wire/cql/murmur3.ts";

/** What is known of the entries of one part of the log: of some streams, and of a short time. */
interface Slot {
  /** Of all entries that were read of it. */
  readonly digest: bigint;
  /** They were looked up, or looked up again, long enough after they were written. */
  readonly settled: boolean;
}

/** A part of the log that is read now. */
export interface SlotReading {
  /** Of entries that a pass before may have read. */
  again: bigint;
  /** Of entries that no pass has read. */
  fresh: bigint;
}

/**
 * Which parts of the log of one table were read with the same entries before, so that reading them again for late entries
 * costs no look-ups. Nothing counts before the pass that read it is durable; nothing outlives the process.
 */
export class Seen {
  readonly #slots = new Map<string, Slot & { readonly at: number }>();
  #staged: { readonly position: string; readonly slots: Map<string, Slot & { readonly at: number }> } | null = null;

  /** A pass begins that ends at `position`; `durable` is where the stored one ended. Slots that begin before `since` are dropped. */
  begin(durable: string, position: string, since: number): void {
    if (this.#staged?.position === durable) for (const [key, slot] of this.#staged.slots) this.#slots.set(key, slot);
    for (const [key, { at }] of this.#slots) if (at < since) this.#slots.delete(key);
    this.#staged = { position, slots: new Map() };
  }

  /** Whether the entries that were read again are those that were settled before. */
  isSettled(key: string, { again }: SlotReading): boolean {
    const known = this.#slots.get(key);
    return known !== undefined && known.settled && known.digest === again;
  }

  /** `again`: the whole slot was read, not only what is fresh. */
  add(key: string, at: number, { again, fresh }: SlotReading, isWhole: boolean): void {
    const known = this.#slots.get(key);
    const before = isWhole ? again : (known?.digest ?? 0n);
    // Late entries are looked up once more: the first time they may have been read before the row itself was there.
    const settled = again === 0n ? (known?.settled ?? true) : known?.digest === again;
    this.#staged?.slots.set(key, { digest: before ^ fresh, settled, at });
  }
}

export function digestOf(entry: Buffer): bigint {
  return murmur3Token(entry);
}
