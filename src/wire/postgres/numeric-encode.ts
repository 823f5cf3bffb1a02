import type { DecimalType } from "../../protocol/types.ts";

/** The number that is being written, as `numeric_recv` reads it: digits of base 10,000, aligned at the point. */
export interface NumericDigits {
  /** Digits in use. */
  count: number;
  /** The power of 10,000 that the first digit stands for. */
  weight: number;
  negative: boolean;
  readonly digits: Uint16Array;
}

const base = 10_000;
const two32 = 2 ** 32;

/**
 * Splits a DECIMAL's unscaled integers into digits, row by row, into `target`. A number that a double holds (nearly always
 * up to 15 digits) is divided as a double; longer ones as BigInt.
 */
export function numericDigits(type: DecimalType, values: Uint8Array, target: NumericDigits): (row: number) => void {
  const { precision, scale } = type;
  const words = new Int32Array(values.buffer, values.byteOffset, values.byteLength >> 2);
  const wide = precision > 18;
  const one = 10 ** scale;
  const behind = Math.ceil(scale / 4);
  /** The decimal digits that the base-10,000 digits after the point hold; the last one may be padded with zeros. */
  const places = Array.from({ length: behind }, (_, index) => 10 ** (scale - 4 * (index + 1)));

  const small = (value: number): void => {
    target.negative = value < 0;
    const all = Math.abs(value);
    let before = Math.floor(all / one);
    // A quotient may have been rounded up.
    if (before * one > all) before -= 1;
    let rest = all - before * one;
    const groups = before === 0 ? 0 : before < 1e4 ? 1 : before < 1e8 ? 2 : before < 1e12 ? 3 : 4;
    for (let index = groups - 1; index >= 0; index--) {
      const next = Math.floor(before / base);
      target.digits[index] = before - next * base;
      before = next;
    }
    for (let index = 0; index < behind; index++) {
      const place = places[index]!;
      const digit = Math.floor(place >= 1 ? rest / place : rest * Math.round(1 / place));
      target.digits[groups + index] = digit;
      if (place >= 1) rest -= digit * place;
    }
    target.weight = groups - 1;
    target.count = groups + behind;
  };

  const large = (value: bigint): void => {
    target.negative = value < 0n;
    const text = (value < 0n ? -value : value).toString().padStart(scale + 1, "0");
    const before = text.length - scale;
    const head = Math.ceil(before / 4);
    const padded = text.padStart(text.length + head * 4 - before, "0").padEnd((head + behind) * 4, "0");
    for (let index = 0; index < head + behind; index++) {
      target.digits[index] = Number(padded.slice(index * 4, index * 4 + 4));
    }
    target.weight = head - 1;
    target.count = head + behind;
  };

  if (!wide) {
    return (row) => {
      const high = words[row * 2 + 1]!;
      const low = words[row * 2]! >>> 0;
      // Within ±2⁵³ the sum is exact.
      if (high >= -0x20_0000 && high < 0x20_0000) small(high * two32 + low);
      else large((BigInt(high) << 32n) | BigInt(low));
    };
  }
  return (row) => {
    const word = row * 4;
    const [low, high] = [words[word]! >>> 0, words[word + 1]!];
    const sign = high >> 31;
    const fits = words[word + 2] === sign && words[word + 3] === sign && high >= -0x20_0000 && high < 0x20_0000;
    if (fits && scale <= 22) return small(high * two32 + low);
    const upper = (BigInt(words[word + 3]!) << 32n) | BigInt(words[word + 2]! >>> 0);
    return large((upper << 64n) | (BigInt(high >>> 0) << 32n) | BigInt(low));
  };
}
