/** Random numbers that a seed repeats. */
export interface Random {
  /** A whole number from 0 to below `most`. */
  below(most: number): number;
}

/** mulberry32, a public-domain generator of 32 bits. */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  return {
    below(most) {
      state = (state + 0x6d2b79f5) >>> 0;
      let mixed = Math.imul(state ^ (state >>> 15), state | 1);
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
      return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * most);
    },
  };
}
