import { expect, test } from "vitest";
import { digestOf, Seen } from "./seen.ts";

const [one, two, late] = ["one", "two", "late"].map((text) => digestOf(Buffer.from(text))) as [bigint, bigint, bigint];

test("entries that were read are not looked up again, once that is durable", () => {
  const seen = new Seen();
  seen.begin("0", "1", 0);
  seen.add("slot", 10, { again: 0n, fresh: one }, false);
  expect(seen.isSettled("slot", { again: one, fresh: 0n })).toBe(false);
  seen.begin("1", "2", 0);
  expect(seen.isSettled("slot", { again: one, fresh: 0n })).toBe(true);
  seen.add("slot", 10, { again: 0n, fresh: two }, false);
  seen.begin("2", "3", 0);
  expect(seen.isSettled("slot", { again: one ^ two, fresh: 0n })).toBe(true);
});

test("a pass that was undone does not count", () => {
  const seen = new Seen();
  seen.begin("0", "1", 0);
  seen.add("slot", 10, { again: 0n, fresh: one }, false);
  seen.begin("0", "1a", 0);
  expect(seen.isSettled("slot", { again: one, fresh: 0n })).toBe(false);
});

test("late entries are looked up twice", () => {
  const seen = new Seen();
  seen.begin("0", "1", 0);
  seen.add("slot", 10, { again: 0n, fresh: one }, false);
  seen.begin("1", "2", 0);
  const [before, after] = [
    { again: one, fresh: 0n },
    { again: one ^ late, fresh: 0n },
  ];
  expect([seen.isSettled("slot", before), seen.isSettled("slot", after)]).toEqual([true, false]);
  seen.add("slot", 10, after, true);
  seen.begin("2", "3", 0);
  expect(seen.isSettled("slot", after)).toBe(false);
  seen.add("slot", 10, after, true);
  seen.begin("3", "4", 0);
  expect(seen.isSettled("slot", after)).toBe(true);
});

test("what no entry can come into any more is forgotten", () => {
  const seen = new Seen();
  seen.begin("0", "1", 0);
  seen.add("slot", 10, { again: 0n, fresh: one }, false);
  seen.begin("1", "2", 11);
  expect(seen.isSettled("slot", { again: one, fresh: 0n })).toBe(false);
});
