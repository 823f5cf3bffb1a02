import { afterEach, expect, test, vi } from "vitest";
import { CommitClock } from "./commit-clock.ts";

afterEach(() => void vi.useRealTimers());

test("stamps are the time in microseconds, each later than the one before", () => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.parse("2026-01-01T00:00:00.007Z") });
  const clock = new CommitClock(null);
  expect([clock.next(), clock.next()]).toEqual(["2026-01-01T00:00:00.007000Z", "2026-01-01T00:00:00.007001Z"]);
  vi.setSystemTime(Date.parse("2025-12-31T00:00:00Z"));
  expect(clock.next()).toBe("2026-01-01T00:00:00.007002Z");
  vi.setSystemTime(Date.parse("2026-01-01T00:00:01Z"));
  expect(clock.next()).toBe("2026-01-01T00:00:01.000000Z");
});

test.each([
  ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000001Z"],
  ["2026-01-01T00:00:00.5Z", "2026-01-01T00:00:00.500001Z"],
  ["2026-01-01T00:00:00.999999Z", "2026-01-01T00:00:01.000000Z"],
])("it goes on after %s, whatever the clock says", (last, next) => {
  vi.useFakeTimers({ toFake: ["Date"], now: 0 });
  expect(new CommitClock(last).next()).toBe(next);
});
