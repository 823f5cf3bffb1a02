import { describe, expect, test } from "vitest";
import { count, counted, duration, moment, rate, size } from "./figures.ts";

describe("figures", () => {
  test.each([
    [0, "0/s"],
    [999, "999/s"],
    [1_000, "1.00k/s"],
    [41_230, "41.2k/s"],
    [412_300, "412k/s"],
    [999_499, "999k/s"],
    [999_500, "1.00M/s"],
  ])("rate %d", (perSecond, shown) => {
    expect(rate(perSecond)).toBe(shown);
  });

  test.each([
    [0, "0.0 s"],
    [9_940, "9.9 s"],
    [9_950, "10 s"],
    [59_400, "59 s"],
    [59_600, "1 m 00 s"],
    [185_000, "3 m 05 s"],
    [3_599_600, "1 h 00 m"],
    [7_620_000, "2 h 07 m"],
  ])("duration %d", (milliseconds, shown) => {
    expect(duration(milliseconds)).toBe(shown);
  });

  test("counts, sizes, moments", () => {
    expect(count(1_204_331)).toBe("1,204,331");
    expect([counted(1, "row"), counted(0, "row"), counted(2, "pass", "passes")]).toEqual([
      "1 row",
      "0 rows",
      "2 passes",
    ]);
    expect([size(512), size(1_500_000)]).toEqual(["512 B", "1.4 MiB"]);
    expect(moment("2026-01-31T09:05:00.123Z")).toBe("2026-01-31 09:05:00Z");
    expect(moment("infinity")).toBe("infinity");
  });
});
