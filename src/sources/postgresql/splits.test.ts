import { describe, expect, test } from "vitest";
import { partOf } from "./statement/select.ts";
import { correlation, quantiles } from "./splits.ts";
import { decimalOf } from "./types.ts";
import type { Position, Work } from "./work.ts";

describe("the order of a file", () => {
  const rising = Array.from({ length: 100 }, (_, index) => index);

  test("is the key's, or its reverse", () => {
    expect(correlation(rising)).toBe(1);
    expect(correlation(rising.toReversed())).toBe(-1);
    expect(correlation(rising.map((block) => Math.floor(block / 4)))).toBe(1);
  });

  test("is not the key's", () => {
    // Multiplied by a number that has no factor in common with 101, they are scattered.
    expect(Math.abs(correlation(rising.map((block) => (block * 37) % 101)))).toBeLessThan(0.3);
  });

  test("is about the key's", () => {
    expect(correlation(rising.map((block) => block + (block % 7)))).toBeGreaterThan(0.98);
  });
});

test("bounds are distinct, and as many as there are", () => {
  const keys = ["a", "a", "b", "c", "c", "c", "d", "e"].map((key) => [key]);
  expect(quantiles(keys, 4)).toEqual([["b"], ["c"], ["d"]]);
  expect(quantiles(keys, 8)).toEqual([["a"], ["b"], ["c"], ["d"], ["e"]]);
  expect(quantiles([], 4)).toEqual([]);
  expect(quantiles(keys, 1)).toEqual([]);
});

describe("the parts of a split that is read in pieces", () => {
  const base = { heap: null, window: null };
  const start: Position = { after: null, from: null, span: null };

  test("all of it, until a read took too long", () => {
    const work: Work = { ...base, order: "hash", from: ["100"], to: ["200"], span: 100 };
    expect(partOf(work, start)).toEqual({ to: ["200"], limit: null, next: null });
  });

  test("hash codes and blocks by their numbers, to the end", () => {
    const hash: Work = { ...base, order: "hash", from: ["100"], to: ["200"], span: 100 };
    expect(partOf(hash, { ...start, span: 50 })).toEqual({ to: ["150"], limit: null, next: ["150"] });
    expect(partOf(hash, { after: ["149", "k"], from: null, span: 50 })).toEqual({
      to: ["199"],
      limit: null,
      next: ["199"],
    });
    expect(partOf(hash, { after: null, from: ["150"], span: 50 })).toEqual({ to: ["200"], limit: null, next: null });
    const last: Work = { ...base, order: "ctid", from: ["(10,0)"], to: null, span: 10 };
    expect(partOf(last, { ...start, span: 5 })).toEqual({ to: ["(15,0)"], limit: null, next: ["(15,0)"] });
    // The file may have grown: the last part has no end.
    expect(partOf(last, { after: ["(15,7)"], from: null, span: 5 })).toEqual({ to: null, limit: null, next: null });
  });

  test("keys by a limit", () => {
    const work: Work = { ...base, order: "key", from: null, to: ["z"], span: 100_000 };
    expect(partOf(work, { after: ["m"], from: null, span: 500 })).toEqual({ to: ["z"], limit: 500, next: null });
  });
});

test("a modifier of numeric, with scales below zero and above the precision", () => {
  const modifier = (precision: number, scale: number): number => ((precision << 16) | (scale & 0x7ff)) + 4;
  expect(decimalOf(modifier(10, 2))).toEqual({ kind: "DECIMAL", precision: 10, scale: 2 });
  expect(decimalOf(modifier(5, -2))).toEqual({ kind: "DECIMAL", precision: 7, scale: 0 });
  expect(decimalOf(modifier(3, 5))).toEqual({ kind: "DECIMAL", precision: 5, scale: 5 });
  expect(decimalOf(modifier(38, 38))).toEqual({ kind: "DECIMAL", precision: 38, scale: 38 });
  expect(decimalOf(modifier(39, 0))).toBeNull();
  expect(decimalOf(modifier(30, -10))).toBeNull();
  expect(decimalOf(-1)).toBeNull();
});
