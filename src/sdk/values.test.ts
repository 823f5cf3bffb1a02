import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseType } from "../toolkit/types.ts";
import { cellOf, Misfit } from "./values.ts";

/** The cell, or why there is none. */
function given(type: string, value: unknown): unknown {
  const cell = cellOf(value, parseType(type)!);
  return cell instanceof Misfit ? cell.reason : cell;
}

const day = Date.UTC(2024, 4, 17);

describe("values of declared columns", () => {
  test.each<[string, unknown, unknown]>([
    ["BOOLEAN", true, true],
    ["BOOLEAN", 1, "is no BOOLEAN"],
    ["SHORT", -32_768, -32_768],
    ["SHORT", 32_768, "does not fit SHORT"],
    ["INT", 2_147_483_647, 2_147_483_647],
    ["INT", 2_147_483_648, "does not fit INT"],
    ["INT", 1.5, "is no INT"],
    ["INT", "1", "is no INT"],
    ["INT", 7n, 7],
    ["INT", 2n ** 40n, "is no INT"],
    ["LONG", 2 ** 53 - 1, 2 ** 53 - 1],
    ["LONG", 2 ** 53, "is beyond ±2⁵³, where numbers are no longer exact"],
    ["LONG", 2n ** 63n - 1n, 2n ** 63n - 1n],
    ["LONG", 2n ** 63n, "does not fit LONG"],
    ["LONG", Number.NaN, "is no LONG"],
    ["DECIMAL(10,2)", "12.5", 1_250n],
    ["DECIMAL(10,2)", 0.1, 10],
    ["DECIMAL(10,2)", -1e3, -100_000],
    ["DECIMAL(10,2)", "1.50000", 150n],
    ["DECIMAL(10,2)", 0.1 + 0.2, "has more than 2 digits after the point"],
    ["DECIMAL(10,2)", "123456789.1", "does not fit DECIMAL(10,2)"],
    ["DECIMAL(10,2)", "1,5", "is no DECIMAL(10,2)"],
    ["DECIMAL(10,2)", ".", "is no DECIMAL(10,2)"],
    ["DECIMAL(38,0)", 10n ** 37n, 10n ** 37n],
    ["DECIMAL(38,0)", 2 ** 60, "is beyond ±2⁵³, where numbers are no longer exact"],
    ["FLOAT", 1.5, 1.5],
    ["FLOAT", 1e39, "does not fit FLOAT"],
    ["DOUBLE", 1e300, 1e300],
    ["DOUBLE", "1", "is no DOUBLE"],
    ["UUID", "0190C5A2-7d4e-7b1a-9f3c-2a6b8c0d1e2f", "0190c5a2-7d4e-7b1a-9f3c-2a6b8c0d1e2f"],
    ["UUID", "{0190c5a2-7d4e-7b1a-9f3c-2a6b8c0d1e2f}", "is no UUID"],
    ["UUID", 7, "is no UUID"],
    ["NAIVE_DATE", "2024-05-17", day / 86_400_000],
    ["NAIVE_DATE", "17.5.2024", "is no NAIVE_DATE"],
    ["NAIVE_TIME", "08:30", 30_600_000_000n],
    ["NAIVE_DATETIME", "2024-05-17T00:00", BigInt(day) * 1_000n],
    ["NAIVE_DATETIME", new Date(day), "is no NAIVE_DATETIME"],
    ["UTC_DATETIME", new Date(day), day * 1_000],
    ["UTC_DATETIME", new Date(8.64e15), 8_640_000_000_000_000_000n],
    ["UTC_DATETIME", new Date("nonsense"), "is an invalid Date"],
    ["UTC_DATETIME", "2024-05-17T00:00:00", "is no UTC_DATETIME"],
    ["UTC_DATETIME", day, "is no UTC_DATETIME"],
    ["STRING", "é", "é"],
    ["STRING", 5, "is no STRING"],
    ["STRING", "\uD800", "has half a surrogate pair"],
    ["JSON", { a: [1, null] }, '{"a":[1,null]}'],
    ["JSON", "text", '"text"'],
    ["JSON", () => 1, "can't be JSON"],
  ])("%s from %o", (type, value, cell) => {
    expect(given(type, value)).toEqual(cell);
  });

  test("a decimal is the same from a number as from its shortest text", () => {
    const numbers = fc.oneof(
      fc.double({ noNaN: true, min: -1e12, max: 1e12 }),
      fc.tuple(fc.integer(), fc.constantFrom(1, 10, 100, 1_000)).map(([whole, part]) => whole / part),
    );
    fc.assert(
      fc.property(numbers, fc.constantFrom("DECIMAL(10,2)", "DECIMAL(18,3)", "DECIMAL(38,20)"), (number, type) => {
        const [one, other] = [given(type, number), given(type, String(number))];
        expect(typeof one === "number" ? BigInt(one) : one).toEqual(other);
      }),
      { numRuns: 2_000 },
    );
  });

  test("a bigint in JSON is refused, not rounded", () => {
    expect(given("JSON", { a: 1n })).toMatch(/^can't be JSON: /);
  });

  test("a decimal's text is its value, whatever its form", () => {
    const digits = fc.bigInt({ min: -(10n ** 20n), max: 10n ** 20n });
    fc.assert(
      fc.property(digits, fc.nat(6), (unscaled, scale) => {
        const size = unscaled < 0n ? -unscaled : unscaled;
        const padded = String(size).padStart(scale + 1, "0");
        const text = `${unscaled < 0n ? "-" : ""}${padded.slice(0, padded.length - scale)}.${padded.slice(padded.length - scale)}`;
        expect(given("DECIMAL(38,6)", text)).toBe(unscaled * 10n ** BigInt(6 - scale));
        expect(given("DECIMAL(38,6)", `${unscaled}e-${scale}`)).toBe(unscaled * 10n ** BigInt(6 - scale));
      }),
    );
  });
});
