import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decimalText, doubleText, floatText, parseDecimal, readVarint, rescale, writeVarint } from "./numbers.ts";

const big = fc.bigInt({ min: -(2n ** 200n), max: 2n ** 200n });

describe("numbers", () => {
  test("a varint is read back as it was written, padded or not", () => {
    fc.assert(
      fc.property(big, fc.nat(3), (value, padding) => {
        const bytes = writeVarint(value);
        const padded = Buffer.concat([Buffer.alloc(padding, value < 0n ? 0xff : 0), bytes]);
        expect(readVarint(padded, 0, padded.length)).toBe(value);
      }),
    );
  });

  test.each([
    [150n, 2, "1.50"],
    [-5n, 3, "-0.005"],
    [0n, 2, "0.00"],
    [12n, -90, "12E+90"],
    [1n, 1_000, "1E-1000"],
    [123n, 0, "123"],
  ])("%s of scale %s is %s", (unscaled, scale, text) => {
    expect(decimalText(unscaled, scale)).toBe(text);
    expect(parseDecimal(text)).toEqual({ unscaled, scale });
  });

  test("text of a decimal is read back with its scale", () => {
    fc.assert(
      fc.property(big, fc.integer({ min: -2_000_000_000, max: 2_000_000_000 }), (unscaled, scale) => {
        expect(parseDecimal(decimalText(unscaled, scale))).toEqual({ unscaled, scale });
      }),
    );
  });

  test("another scale loses no digit", () => {
    expect(rescale(15n, 1, 3)).toBe(1_500n);
    expect(rescale(1_500n, 3, 1)).toBe(15n);
    expect(rescale(1_501n, 3, 1)).toBeNull();
    expect(rescale(0n, -2_000_000_000, 18)).toBe(0n);
    expect(rescale(1n, -2_000_000_000, 18)).toBeNull();
    expect(rescale(1n, 2_000_000_000, 18)).toBeNull();
  });

  test("floats are the shortest text that reads back", () => {
    fc.assert(
      fc.property(fc.float(), (value) => {
        const text = floatText(value);
        expect(Math.fround(Number(text))).toBe(value);
        expect(text.length).toBeLessThanOrEqual(doubleText(value).length);
      }),
    );
    expect(floatText(Math.fround(0.1))).toBe("0.1");
    expect([NaN, -Infinity, -0].map(floatText)).toEqual(["NaN", "-Infinity", "-0.0"]);
    expect(doubleText(-0)).toBe("-0.0");
  });
});
