import { type NativeType, nativeTypes } from "../types.ts";

/** Keys of one type in a row, before the next key is assumed to have that type too. */
const enough = 16;
/** With more wrong guesses than this, guessing stops. */
const mostWrong = 3;
/** Prefixes that are remembered. */
const mostPrefixes = 4_096;

interface Seen {
  type: NativeType | null;
  times: number;
  wrong: number;
}

/**
 * Guesses the type of a key from the prefix before its first colon, so that TYPE need not be asked. A wrong guess does
 * no harm: the server refuses a command for another type. A module's type is never guessed, because its keys are read
 * by DUMP, which accepts keys of every type.
 */
export class TypeGuess {
  readonly #seen = new Map<number, Seen>();

  /** `null`: no guess, so TYPE must be asked. */
  guess(bytes: Uint8Array, start: number, end: number): NativeType | null {
    const seen = this.#seen.get(prefixHash(bytes, start, end));
    return seen !== undefined && seen.times >= enough && seen.wrong <= mostWrong ? seen.type : null;
  }

  /** Learns the type of a key; `guessed`: another type had been guessed. */
  learn(bytes: Uint8Array, start: number, end: number, type: NativeType, guessed: boolean): void {
    const hash = prefixHash(bytes, start, end);
    const seen = this.#seen.get(hash) ?? { type: null, times: 0, wrong: 0 };
    seen.times = !nativeTypes.includes(type) ? 0 : seen.type === type ? seen.times + 1 : 1;
    seen.type = type;
    if (guessed) seen.wrong += 1;
    if (this.#seen.size < mostPrefixes) this.#seen.set(hash, seen);
  }
}

/** FNV-1a of the prefix; 0 without a colon. Two prefixes with the same hash only make guesses worse. */
function prefixHash(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let at = start; at < end; at++) {
    if (bytes[at] === 0x3a) return hash;
    hash = Math.imul(hash ^ bytes[at]!, 0x01000193);
  }
  return 0;
}
