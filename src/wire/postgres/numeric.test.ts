import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { DecimalType } from "../../protocol/types.ts";
import { cell, VectorBuilder } from "../../toolkit/vectors.ts";
import { outOfRange } from "./codecs.ts";
import { numericDecoder } from "./numeric.ts";

/** What `numeric_send` gives of `unscaled · 10^−scale`: base-10,000 digits without zeros at either end. */
function encode(unscaled: bigint, scale: number): Buffer {
  const padding = (4 - (scale % 4)) % 4;
  let rest = (unscaled < 0n ? -unscaled : unscaled) * 10n ** BigInt(padding);
  let weight = -(scale + padding) / 4 - 1;
  const digits: number[] = [];
  for (; rest > 0n; rest /= 10_000n, weight++) digits.unshift(Number(rest % 10_000n));
  while (digits.at(-1) === 0) digits.pop();
  const bytes = Buffer.alloc(8 + digits.length * 2);
  bytes.writeInt16BE(digits.length, 0);
  bytes.writeInt16BE(digits.length === 0 ? 0 : weight, 2);
  bytes.writeUInt16BE(unscaled < 0n ? 0x4000 : 0, 4);
  bytes.writeInt16BE(scale, 6);
  for (const [index, digit] of digits.entries()) bytes.writeUInt16BE(digit, 8 + index * 2);
  return bytes;
}

function decode(type: DecimalType, bytes: Buffer): bigint {
  const builder = new VectorBuilder(type);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  numericDecoder(builder, outOfRange("t", "c"))(bytes, view, 0, bytes.length);
  return BigInt(cell(builder.finish(), 0) as bigint);
}

/** Any DECIMAL, with a number that it holds. */
const decimals = fc.integer({ min: 1, max: 38 }).chain((precision) =>
  fc.record({
    precision: fc.constant(precision),
    scale: fc.integer({ min: 0, max: precision }),
    value: fc.oneof(
      fc.bigInt({ min: 1n - 10n ** BigInt(precision), max: 10n ** BigInt(precision) - 1n }),
      fc.constantFrom(
        0n,
        1n,
        -1n,
        10n ** BigInt(precision) - 1n,
        1n - 10n ** BigInt(precision),
        10n ** BigInt(precision - 1),
      ),
      fc.integer({ min: 0, max: precision - 1 }).map((power) => -(10n ** BigInt(power))),
    ),
  }),
);

describe("numeric", () => {
  test("every number of every precision and scale", () => {
    fc.assert(
      fc.property(decimals, ({ precision, scale, value }) => {
        expect(decode({ kind: "DECIMAL", precision, scale }, encode(value, scale))).toBe(value);
      }),
      { numRuns: 5_000 },
    );
  });

  test("fewer digits after the point than the type has", () => {
    fc.assert(
      fc.property(decimals, fc.nat(38), ({ precision, scale, value }, fewer) => {
        const own = Math.max(0, scale - fewer);
        const power = 10n ** BigInt(scale - own);
        const held = value / power;
        expect(decode({ kind: "DECIMAL", precision, scale }, encode(held, own))).toBe(held * power);
      }),
      { numRuns: 2_000 },
    );
  });

  test("one digit too many before or after the point is out of range", () => {
    fc.assert(
      fc.property(decimals, ({ precision, scale, value }) => {
        const type: DecimalType = { kind: "DECIMAL", precision, scale };
        const finer = value * 10n + (value < 0n ? -3n : 3n);
        expect(() => decode(type, encode(finer, scale + 1))).toThrow('table "t", column "c": a number has more than');
        const larger = 10n ** BigInt(precision) + (value < 0n ? -value : value);
        expect(() => decode(type, encode(larger, scale))).toThrow('table "t", column "c": a number has more than');
      }),
      { numRuns: 2_000 },
    );
  });

  test.each([
    [0xc000, "a number is NaN"],
    [0xd000, "a number is infinite"],
    [0xf000, "a number is infinite"],
  ])("%i", (sign, message) => {
    const bytes = Buffer.alloc(8);
    bytes.writeUInt16BE(sign, 4);
    expect(() => decode({ kind: "DECIMAL", precision: 10, scale: 2 }, bytes)).toThrow(message);
  });
});
