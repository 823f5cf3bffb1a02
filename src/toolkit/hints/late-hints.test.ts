import { afterEach, expect, test, vi } from "vitest";
import { LateHints, type LatePosition } from "./late-hints.ts";

const { signal } = new AbortController();
let now = 0;
vi.spyOn(performance, "now").mockImplementation(() => now);
afterEach(() => {
  now = 0;
});

/** The keys of `t` that are looked up at a moment, and where that leaves its stream. */
function takeAt(hints: LateHints, moment: number, from: LatePosition): readonly [unknown, LatePosition] {
  now = moment;
  const { keys, next } = hints.take("t", from)!;
  return [keys, next];
}

async function begun(hints: LateHints): Promise<LatePosition> {
  now = 100_000;
  return hints.start("t", signal);
}

test("a key is looked up at once, and once again when its last hint has settled", async () => {
  const hints = new LateHints();
  let from = await begun(hints);
  hints.hear("t", "[1]");
  let keys;
  [keys, from] = takeAt(hints, 100_010, from);
  expect(keys).toEqual([[1]]);
  hints.forget("t", from);
  [keys, from] = takeAt(hints, 105_000, from);
  expect(keys).toEqual([]);
  // Changed again: the first hint no longer counts, since a later look-up is due anyway.
  hints.hear("t", "[1]");
  [keys, from] = takeAt(hints, 105_010, from);
  expect(keys).toEqual([[1]]);
  [keys, from] = takeAt(hints, 130_020, from);
  expect(keys).toEqual([]);
  hints.forget("t", from);
  [keys, from] = takeAt(hints, 135_001, from);
  expect(keys).toEqual([[1]]);
  hints.forget("t", from);
  [keys, from] = takeAt(hints, 400_000, from);
  expect(keys).toEqual([]);
});

test("what was not committed is looked up again", async () => {
  const hints = new LateHints();
  const from = await begun(hints);
  hints.hear("t", "1");
  expect(takeAt(hints, 100_010, from)[0]).toEqual([1]);
  expect(takeAt(hints, 100_020, from)[0]).toEqual([1]);
  const [, looked] = takeAt(hints, 100_030, from);
  expect(takeAt(hints, 131_000, looked)[0]).toEqual([1]);
  // The commit of the second look-up failed too.
  expect(takeAt(hints, 131_010, looked)[0]).toEqual([1]);
});

test("what is told shortly before a pass, and may be invisible to it, is looked up after it", async () => {
  const hints = new LateHints();
  now = 99_000;
  hints.hear("t", "1");
  now = 60_000;
  const from = await begun(hints);
  expect(takeAt(hints, 100_001, from)[0]).toEqual([1]);
});

test("keys are dropped where they take too much, and the pass that heals it waits until they have settled", async () => {
  const hints = new LateHints({ most: 1_000, settle: 50 });
  vi.mocked(performance.now).mockRestore();
  const from = await hints.start("t", signal);
  for (let key = 0; key < 20; key++) hints.hear("t", String(key));
  expect(hints.take("t", from)).toBeNull();
  const dropped = hints.now;
  const again = await hints.start("t", signal);
  expect(hints.now - dropped).toBeGreaterThan(49);
  expect(hints.take("t", again)).toMatchObject({ keys: expect.any(Array) });
});

test("a table is told when something was heard of it, and when that has settled", async () => {
  const hints = new LateHints({ settle: 200 });
  let from = await hints.start("t", signal);
  const among = new Set(["t", "u"]);
  expect(await hints.changed(10, among, signal)).toEqual({ tables: [], since: null, altered: false });
  setTimeout(() => hints.hear("t", "1", 7), 20);
  expect(await hints.changed(10_000, among, signal)).toEqual({ tables: ["t"], since: 7, altered: false });
  from = hints.take("t", from)!.next;
  const began = performance.now();
  expect(await hints.changed(10_000, among, signal)).toEqual({ tables: ["t"], since: null, altered: false });
  expect(performance.now() - began).toBeGreaterThan(100);
  const second = hints.take("t", from)!;
  expect(second.keys).toEqual([1]);
  hints.forget("t", second.next);
  expect(await hints.changed(10, among, signal)).toEqual({ tables: [], since: null, altered: false });
});

test("after a position of another session, all hints of this one count", async () => {
  const hints = new LateHints();
  const from = { session: "another", seen: hints.now + 1e9, settled: hints.now + 1e9 };
  hints.hear("t", "1");
  expect(hints.take("t", from)!.keys).toEqual([1]);
});
