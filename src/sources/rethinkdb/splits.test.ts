import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Json } from "../../protocol/json.ts";
import { cutKeys } from "./splits.ts";

function compare(a: Json, b: Json): number {
  if (typeof a === "string" && typeof b === "string") return Buffer.compare(Buffer.from(a), Buffer.from(b));
  return (a as number) - (b as number);
}

/** How many of the keys each split has; a key that is in none or in two is an error. */
function sizes(keys: readonly Json[], parts: number): number[] {
  const sorted = keys.toSorted(compare);
  const splits = cutKeys({ first: sorted[0]!, last: sorted.at(-1)! }, parts);
  const counts = splits.map(
    ({ low, high }) =>
      keys.filter((key) => (low === null || compare(key, low) >= 0) && (high === null || compare(key, high) < 0))
        .length,
  );
  expect(counts.reduce((sum, count) => sum + count, 0)).toBe(keys.length);
  return counts;
}

describe("splits by key", () => {
  test.each([
    ["UUIDs", (n: number) => `${((n * 2_654_435_761) % 2 ** 32).toString(16).padStart(8, "0")}-d8f1-6adf`],
    ["numbers", (n: number) => n],
    ["numbers as text", (n: number) => String(n).padStart(6, "0")],
    [
      "text with a beginning in common",
      (n: number) => `user:${((n * 2_654_435_761) % 2 ** 32).toString(36).padStart(7, "0")}`,
    ],
  ])("%s are shared out evenly", (_what, key) => {
    const counts = sizes(
      Array.from({ length: 4_000 }, (_, n) => key(n)),
      8,
    );
    expect(counts).toHaveLength(8);
    for (const count of counts) expect(count).toBeGreaterThan(200);
  });

  test("times are cut like numbers, other keys are not cut", () => {
    const at = (seconds: number): Json => ({ $reql_type$: "TIME", epoch_time: seconds, timezone: "+00:00" });
    expect(cutKeys({ first: at(0), last: at(100) }, 2)).toEqual([
      { low: null, high: at(50) },
      { low: at(50), high: null },
    ]);
    for (const [first, last] of [
      [[1], [2]],
      [true, "x"],
      [false, true],
      [1, "a"],
    ] as const)
      expect(cutKeys({ first, last }, 4)).toEqual([{ low: null, high: null }]);
  });

  test("every key is in one split", () => {
    const keys = fc.oneof(
      fc.array(fc.string({ unit: "grapheme" }), { minLength: 1 }),
      fc.array(fc.double({ noNaN: true, noDefaultInfinity: true }), { minLength: 1 }),
    );
    fc.assert(fc.property(keys, fc.integer({ min: 1, max: 16 }), (some, parts) => void sizes(some, parts)));
  });
});
