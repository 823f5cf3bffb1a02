import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { clockOf, daysOf, momentOf, naiveOf } from "./moments.ts";

describe("dates and times as text", () => {
  test("every moment that a Date holds is read as JavaScript reads it", () => {
    fc.assert(
      fc.property(fc.date({ noInvalidDate: true }), (date) => {
        expect(momentOf(date.toISOString())).toBe(BigInt(date.getTime()) * 1_000n);
      }),
    );
  });

  test.each([
    ["2024-05-17T08:30:00Z", "2024-05-17T08:30:00.000Z", 0n],
    ["2024-05-17 08:30Z", "2024-05-17T08:30:00.000Z", 0n],
    ["2024-05-17T10:30:00.000001+02:00", "2024-05-17T08:30:00.000Z", 1n],
    ["2024-05-17T03:00:00-0530", "2024-05-17T08:30:00.000Z", 0n],
    ["2024-02-29T23:59:59.999999Z", "2024-02-29T23:59:59.999Z", 999n],
  ])("%s", (text, iso, more) => {
    expect(momentOf(text)).toBe(BigInt(Date.parse(iso)) * 1_000n + more);
  });

  test.each(["2024-05-17T08:30:00", "2023-02-29T00:00:00Z", "2024-13-01T00:00:00Z", "2024-05-17T24:00:00Z", "now", ""])(
    "%s is no moment",
    (text) => {
      expect(momentOf(text)).toBeNull();
    },
  );

  test("what has a zone is not naive, and nothing finer than microseconds is cut", () => {
    expect(naiveOf("2024-05-17T08:30:00")).toBe(BigInt(Date.UTC(2024, 4, 17, 8, 30)) * 1_000n);
    expect(naiveOf("2024-05-17T08:30:00Z")).toBeNull();
    expect(naiveOf("2024-05-17T08:30:00.000000001")).toBeNull();
    expect(naiveOf("2024-05-17T08:30:00.100000000")).not.toBeNull();
  });

  test("dates and clocks", () => {
    expect([daysOf("1970-01-02"), daysOf("1969-12-31"), daysOf("2024-02-30"), daysOf("2024-2-3")]).toEqual([
      1,
      -1,
      null,
      null,
    ]);
    expect([clockOf("00:00"), clockOf("23:59:59.5"), clockOf("24:00"), clockOf("1:00")]).toEqual([
      0n,
      86_399_500_000n,
      null,
      null,
    ]);
  });
});
