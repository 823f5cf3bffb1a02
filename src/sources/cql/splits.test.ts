import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { cutRing, cutWindow, estimateSize, greatestToken, leastToken, shuffled, splitCount } from "./splits.ts";

const token = fc.bigInt({ min: leastToken, max: greatestToken });

describe("the ring", () => {
  test("is covered once, whatever the boundaries and the count", () => {
    fc.assert(
      fc.property(fc.array(token, { maxLength: 60 }), fc.integer({ min: 1, max: 200 }), (boundaries, count) => {
        const ranges = cutRing(boundaries, count);
        expect(ranges[0]!.low).toBe(leastToken);
        expect(ranges.at(-1)!.high).toBe(greatestToken);
        for (const [index, range] of ranges.entries()) {
          expect(range.low < range.high).toBe(true);
          if (index > 0) expect(range.low).toBe(ranges[index - 1]!.high);
        }
      }),
    );
  });

  test("is cut where owners change, where there are splits enough", () => {
    const boundaries = [-(2n ** 62n), 0n, 2n ** 62n];
    const edges = new Set(cutRing(boundaries, 32).map((range) => range.high));
    for (const boundary of boundaries) expect(edges.has(boundary)).toBe(true);
  });

  test("neighbours are taken together, where there are more owners' ranges than splits", () => {
    const boundaries = Array.from({ length: 768 }, (_, index) => leastToken + (BigInt(index + 1) * 2n ** 64n) / 769n);
    const ranges = cutRing(boundaries, 10);
    expect(ranges).toHaveLength(10);
    for (const { high } of ranges.slice(0, -1)) expect(boundaries).toContain(high);
  });

  test("shuffling keeps every split", () => {
    fc.assert(
      fc.property(fc.array(fc.integer()), (items) => {
        expect(shuffled(items).sort()).toEqual([...items].sort());
      }),
    );
  });
});

describe("sizes", () => {
  test("a part of the ring stands for the whole", () => {
    const half = { start: leastToken, end: 0n, partitions: 500, meanPartitionBytes: 100 };
    expect(estimateSize([half])).toEqual({ partitions: 1_000, bytes: 100_000 });
    const over = { start: 2n ** 62n, end: -(2n ** 62n), partitions: 500, meanPartitionBytes: 100 };
    expect(estimateSize([over])).toEqual({ partitions: 1_000, bytes: 100_000 });
  });

  test("where nothing is said, nothing is known", () => {
    expect(estimateSize([])).toBeNull();
    expect(estimateSize([{ start: leastToken, end: 0n, partitions: 0, meanPartitionBytes: 0 }])).toBeNull();
  });

  test("splits are many for large tables, few for small ones, and never without end", () => {
    expect(splitCount(null)).toBe(32);
    expect(splitCount({ partitions: 10, bytes: 1_000 })).toBe(4);
    expect(splitCount({ partitions: 10_000_000, bytes: 1 << 30 })).toBe(200);
    expect(splitCount({ partitions: 1, bytes: 1 << 30 })).toBe(32);
    expect(splitCount({ partitions: 1e12, bytes: 1e15 })).toBe(4_096);
  });
});

describe("windows", () => {
  const hour = 3_600_000;

  test("parts follow one another, and the last has no end", () => {
    fc.assert(
      fc.property(fc.nat(1e13), fc.nat(1e10), fc.integer({ min: 1, max: 100 }), (low, length, hours) => {
        const windows = cutWindow(low, low + length, hours, 32);
        expect(windows.length).toBeLessThanOrEqual(33);
        expect(windows[0]!.low).toBe(low);
        for (const [index, window] of windows.entries())
          expect(window.high).toBe(index === windows.length - 1 ? null : windows[index + 1]!.low);
      }),
    );
  });

  test("six hours as in the published example; one window where it is not set", () => {
    expect(cutWindow(0, 13 * hour, 6, 32)).toEqual([
      { low: 0, high: 6 * hour },
      { low: 6 * hour, high: 12 * hour },
      { low: 12 * hour, high: null },
    ]);
    expect(cutWindow(0, 13 * hour, null, 32)).toEqual([{ low: 0, high: null }]);
  });
});
