import type { VectorBuilder } from "../../toolkit/vectors.ts";
import { asString, type OutOfRange, type ValueDecoder } from "./codecs.ts";

/** A numeric's digits are base 10,000: https://www.postgresql.org/docs/15/datatype-numeric.html, `numeric_send`. */
const base = 10_000;
const positive = 0x0000;
const negative = 0x4000;
const powers = [1, 10, 100, 1_000] as const;

/**
 * Decodes binary `numeric` into a DECIMAL's unscaled integer, exactly. A number with more digits after or before the point
 * than the column's type is out of range, and so are NaN and the infinities. Up to 15 digits a double holds
 * the integer; longer ones use four 32-bit limbs, each multiplied in a double (2³² · 10⁴ < 2⁵³), so no BigInt is made.
 */
export function numericDecoder(builder: VectorBuilder, fail: OutOfRange): ValueDecoder {
  const { type } = builder;
  if (type.kind !== "DECIMAL") throw new TypeError(`numeric goes into DECIMAL, not ${type.kind}`);
  const { precision, scale } = type;
  const wholeGroups = Math.floor(scale / 4);
  const rest = scale % 4;
  const restPower = powers[rest as 0 | 1 | 2 | 3];
  const restDivisor = base / restPower;
  const tooLarge = (): never => fail(`a number has more than ${precision - scale} digits before the point`, asString);
  const tooFine = (): never => fail(`a number has more than ${scale} digits after the point`, asString);

  /** Reads sign and weight; returns the number of base-10,000 digits before the last, partial one of the scale. */
  const groupsOf = (view: DataView, start: number): number => {
    const sign = view.getUint16(start + 4);
    if (sign !== positive && sign !== negative) {
      fail(
        `a number is ${sign === 0xc000 ? "NaN" : "infinite"}, which DECIMAL(${precision},${scale}) can't hold`,
        asString,
      );
    }
    return view.getInt16(start + 2) + 1 + wholeGroups;
  };
  const digitAt = (view: DataView, start: number, count: number, index: number): number =>
    index >= 0 && index < count ? view.getUint16(start + 8 + index * 2) : 0;
  /** Digits beyond the scale must be zeros; of the partial digit the upper part is used. */
  const partial = (view: DataView, start: number, count: number, groups: number): number => {
    const digit = digitAt(view, start, count, groups);
    const upper = Math.floor(digit / restDivisor);
    if (upper * restDivisor !== digit) tooFine();
    for (let index = Math.max(0, groups + 1); index < count; index++) {
      if (digitAt(view, start, count, index) !== 0) tooFine();
    }
    return upper;
  };

  if (precision <= 15) {
    const limit = 10 ** precision;
    const slowly = (view: DataView, start: number): number => {
      const count = view.getInt16(start);
      const groups = groupsOf(view, start);
      let value = 0;
      for (let index = 0; index < groups; index++) {
        value = value * base + (index < count ? view.getUint16(start + 8 + index * 2) : 0);
        if (value >= limit) tooLarge();
      }
      value = value * restPower + partial(view, start, count, groups);
      return value < limit ? value : tooLarge();
    };
    return (_bytes, view, start) => {
      const count = view.getInt16(start);
      const groups = view.getInt16(start + 2) + 1 + wholeGroups;
      const sign = view.getUint16(start + 4);
      let value = -1;
      // Nearly every number has no digit beyond the scale, and few before the point.
      if ((sign === positive || sign === negative) && groups >= 0 && groups <= 4 && count <= groups + 1) {
        let place = start + 8;
        value = 0;
        for (let index = 0; index < groups; index++, place += 2) {
          value = value * base + (index < count ? view.getUint16(place) : 0);
        }
        const digit = count > groups ? view.getUint16(place) : 0;
        value = digit % restDivisor === 0 ? value * restPower + digit / restDivisor : -1;
      }
      if (value < 0 || value >= limit) value = slowly(view, start);
      builder.int64Number(sign === negative ? -value : value);
    };
  }

  const limit = 10n ** BigInt(precision);
  // Numbers with fewer digits can't reach the limit; only longer ones are compared with it.
  const surelyFits = Math.floor((precision - scale) / 4);
  const wide = precision > 18;
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  const multiplyAdd = (factor: number, addend: number): void => {
    let product = a * factor + addend;
    a = product % 2 ** 32;
    product = b * factor + Math.floor(product / 2 ** 32);
    b = product % 2 ** 32;
    product = c * factor + Math.floor(product / 2 ** 32);
    c = product % 2 ** 32;
    product = d * factor + Math.floor(product / 2 ** 32);
    if (product >= 2 ** 31) tooLarge();
    d = product;
  };
  return (_bytes, view, start) => {
    const count = view.getInt16(start);
    const groups = groupsOf(view, start);
    a = b = c = d = 0;
    for (let index = 0; index < groups; index++) {
      multiplyAdd(base, index < count ? view.getUint16(start + 8 + index * 2) : 0);
    }
    multiplyAdd(restPower, partial(view, start, count, groups));
    if (view.getInt16(start + 2) + 1 > surelyFits) {
      const value = (BigInt(d) << 96n) | (BigInt(c) << 64n) | (BigInt(b) << 32n) | BigInt(a);
      if (value >= limit) tooLarge();
    }
    if (view.getUint16(start + 4) === negative) {
      // Two's complement: invert, add one, carry while a limb is zero.
      a = -a;
      b = a === 0 ? -b : ~b;
      c = a === 0 && b === 0 ? -c : ~c;
      d = a === 0 && b === 0 && c === 0 ? -d : ~d;
    }
    if (wide) builder.int128(a, b, c, d);
    else builder.int64(a, b);
  };
}
