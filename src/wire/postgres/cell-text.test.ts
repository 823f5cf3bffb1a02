import fc from "fast-check";
import { expect, test } from "vitest";
import type { Type } from "../../protocol/types.ts";
import { cell, VectorBuilder } from "../../toolkit/vectors.ts";
import { civilFromDays, daysFromCivil } from "../../toolkit/calendar.ts";
import { cellText } from "./cell-text.ts";
import type { Codec } from "./codecs.ts";
import { TextRows } from "./text-decode.ts";

test("days of the calendar, as Date counts them", () => {
  fc.assert(
    fc.property(fc.integer({ min: -100_000_000, max: 100_000_000 }), (days) => {
      const { year, month, day } = civilFromDays(days);
      const date = new Date(days * 86_400_000);
      expect([year, month, day]).toEqual([date.getUTCFullYear(), date.getUTCMonth() + 1, date.getUTCDate()]);
      expect(daysFromCivil(year, month, day)).toBe(days);
    }),
  );
});

test.each<readonly [Type, Codec, fc.Arbitrary<bigint>]>([
  [{ kind: "UTC_DATETIME" }, "timestamp", fc.bigInt({ min: -(2n ** 57n), max: 2n ** 63n - 1n })],
  [{ kind: "NAIVE_DATETIME" }, "timestamp", fc.bigInt({ min: -(2n ** 53n), max: 2n ** 53n })],
  [{ kind: "NAIVE_TIME" }, "time", fc.bigInt({ min: 0n, max: 86_400_000_000n })],
  [{ kind: "NAIVE_DATE" }, "date", fc.bigInt({ min: -2_400_000n, max: 2n ** 31n - 1n })],
  [{ kind: "DECIMAL", precision: 15, scale: 4 }, "numeric", fc.bigInt({ min: 1n - 10n ** 15n, max: 10n ** 15n - 1n })],
  [{ kind: "DECIMAL", precision: 38, scale: 0 }, "numeric", fc.bigInt({ min: 1n - 10n ** 38n, max: 10n ** 38n - 1n })],
  [{ kind: "DECIMAL", precision: 38, scale: 38 }, "numeric", fc.bigInt({ min: 1n - 10n ** 38n, max: 10n ** 38n - 1n })],
  [{ kind: "LONG" }, "int8", fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })],
])("%o: the text of a value is the value again", (type, codec, values) => {
  fc.assert(
    fc.property(values, (value) => {
      const builder = new VectorBuilder(type);
      const text = cellText(type, type.kind === "NAIVE_DATE" ? Number(value) : value);
      new TextRows("t", [{ name: "c", codec, builder }]).decode([text]);
      expect(BigInt(cell(builder.finish(), 0) as bigint | number)).toBe(value);
    }),
    { numRuns: 500 },
  );
});

test("values that are not numbers", () => {
  expect(cellText({ kind: "BOOLEAN" }, false)).toBe("f");
  expect(cellText({ kind: "BINARY" }, Uint8Array.of(0, 255))).toBe("\\x00ff");
  expect(cellText({ kind: "STRING" }, "it's")).toBe("it's");
  expect(cellText({ kind: "DOUBLE" }, -0)).toBe("-0");
});
