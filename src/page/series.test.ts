import { describe, expect, test } from "vitest";
import type { LogLine, Run } from "../service/api.ts";
import { ages, durations, sums, withLive, withRecent } from "./series.ts";

const run = (id: string, ended: number | null, change: Partial<Run> = {}): Run => ({
  id,
  connection: "iot",
  kind: "sync",
  trigger: "schedule",
  started: new Date((ended ?? 10_000) - 10).toISOString(),
  ended: ended === null ? null : new Date(ended).toISOString(),
  outcome: ended === null ? "running" : "succeeded",
  milliseconds: 10,
  tables: { whole: 1, failed: 0, stopped: 0 },
  rowsRead: 5,
  bytesRead: 50,
  inserted: 2,
  updated: 1,
  deleted: 1,
  asOf: ended === null ? null : new Date(ended - 10).toISOString(),
  verdict: null,
  error: null,
  ...change,
});

/** Newest first, as the service gives them. */
const runs = [
  run("e", null),
  run("d", 350, { outcome: "failed", asOf: new Date(90).toISOString() }),
  run("c", 200, { kind: "verify", verdict: "CONVERGED" }),
  run("b", 150),
  run("a", 100),
];

describe("series of runs", () => {
  test("durations of syncs that ended, the oldest first", () => {
    expect(durations(runs)).toEqual({ times: [100, 150, 350], succeeded: [10, 10, null], failed: [null, null, 10] });
  });

  test("sums by intervals; the last one takes what is left", () => {
    const { times, read, written, deleted } = sums(runs, 0, 405, 100);
    expect(times).toEqual([50, 150, 250, 350]);
    expect(read).toEqual([0, 10, 0, 5]);
    expect(written).toEqual([0, 6, 0, 3]);
    expect(deleted).toEqual([0, 2, 0, 1]);
    expect(sums(runs, 100, 150, 50).read).toEqual([10]);
  });

  test("the age grows with the clock, and falls when a run ends", () => {
    // As of 90 from 100 on, as of 140 from 150 on; the failed run left a table at 90.
    expect(ages(runs, 0, 400, 100)).toEqual({ times: [100, 200, 300, 400], highest: [10, 60, 160, 310] });
    expect(ages([], 0, 200, 100).highest).toEqual([null, null]);
    expect(ages([run("x", 150)], 0, 300, 100).highest).toEqual([null, 60, 160]);
  });
});

test("runs that events told of replace those that were loaded, or join them", () => {
  const recent = [run("g", null, { started: new Date(70_000).toISOString() }), run("f", 60_000), run("e", 10_000)];
  const known = withRecent(runs, recent);
  expect(known.map(({ id }) => id)).toEqual(["g", "f", "e", "d", "c", "b", "a"]);
  expect(known[2]).toBe(recent[2]);
  expect(withRecent(runs, [])).toBe(runs);
});

test("live lines follow those that were loaded, each once", () => {
  const line = (at: string, message: string): LogLine => ({ at, level: "info", message });
  const loaded = [line("1", "a"), line("2", "b"), line("2", "c")];
  expect(
    withLive(loaded, [line("1", "a"), line("2", "c"), line("2", "d"), line("3", "e")]).map(({ message }) => message),
  ).toEqual(["a", "b", "c", "d", "e"]);
  expect(withLive([], [line("1", "a")])).toHaveLength(1);
});
