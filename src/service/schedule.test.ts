import { describe, expect, test } from "vitest";
import { dueAfter, parseSchedule, type Schedule } from "./schedule.ts";

function schedule(text: string): Schedule {
  const parsed = parseSchedule(text);
  if (typeof parsed === "string") throw new Error(parsed);
  return parsed;
}

const minute = 60_000;
const hour = 60 * minute;

function due(text: string, after: string, name = "shop"): string {
  return new Date(dueAfter(schedule(text), name, Date.parse(after))).toISOString();
}

/** The moment of the expression, without what a run may be late by. */
function base(text: string, after: string): string {
  const at = dueAfter(schedule(text), "shop", Date.parse(after));
  return new Date(Math.floor(at / minute) * minute).toISOString();
}

describe("an interval", () => {
  test("has one moment in each of its spans, whenever it is asked for", () => {
    const start = Date.parse("2026-01-01T00:00:00Z");
    const moments = new Set<number>();
    for (let at = start; at < start + 10 * hour; at += 37_000) moments.add(dueAfter(schedule("15m"), "shop", at));
    const sorted = [...moments].sort((a, b) => a - b);
    expect(sorted.slice(1).every((at, index) => 15 * minute === at - sorted[index]!)).toBe(true);
    expect(sorted).toHaveLength(41);
  });

  test("is later than what it is asked after, by no more than the interval", () => {
    for (const name of ["a", "b", "c", "d"]) {
      for (const text of ["1s", "2s", "15m", "7h", "3d"]) {
        const parsed = schedule(text) as { every: number };
        let at = Date.parse("2026-03-01T00:00:00Z");
        for (let times = 0; times < 50; times++) {
          const next = dueAfter(parsed, name, at);
          expect(next).toBeGreaterThan(at);
          expect(next - at).toBeLessThanOrEqual(parsed.every + 1);
          at = next;
        }
      }
    }
  });

  test("is spread over its span by names", () => {
    const after = Date.parse("2026-01-01T00:00:00Z");
    const moments = Array.from({ length: 100 }, (_, n) => dueAfter(schedule("1h"), `connection-${n}`, after) - after);
    const quarters = [0, 1, 2, 3].map((n) => moments.filter((at) => Math.floor(at / (15 * minute)) === n).length);
    expect(quarters.every((count) => count >= 10)).toBe(true);
  });
});

describe("a cron expression", () => {
  test("is late by less than a minute, and by a tenth of what follows", () => {
    for (let n = 0; n < 50; n++) {
      const late = Date.parse(due("0 3 * * *", "2026-01-01T12:00:00Z", `c${n}`)) - Date.parse("2026-01-02T03:00:00Z");
      expect(late >= 0 && late < minute).toBe(true);
      const soon = Date.parse(due("* * * * *", "2026-01-01T12:00:00Z", `c${n}`)) - Date.parse("2026-01-01T12:01:00Z");
      expect(soon >= 0 && soon < 6_000).toBe(true);
    }
  });

  test("is UTC, unless a time zone follows", () => {
    expect(base("0 3 * * *", "2026-07-01T12:00:00Z")).toBe("2026-07-02T03:00:00.000Z");
    expect(base("0 3 * * * Europe/Berlin", "2026-07-01T12:00:00Z")).toBe("2026-07-02T01:00:00.000Z");
    expect(base("0 3 * * * Europe/Berlin", "2026-01-01T12:00:00Z")).toBe("2026-01-02T02:00:00.000Z");
  });

  test("runs once on the day that has an hour less, and once on the day that has one more", () => {
    // 02:30 does not exist on 29 March, and comes twice on 25 October.
    const days = (from: string, to: string): string[] => {
      const found: string[] = [];
      for (let at = from; ;) {
        at = base("30 2 * * * Europe/Berlin", new Date(Date.parse(at) + minute).toISOString());
        if (at > to) return found;
        found.push(at);
      }
    };
    const spring = days("2026-03-27T12:00:00Z", "2026-03-31T00:00:00Z");
    expect(spring.map((at) => at.slice(0, 10))).toEqual(["2026-03-28", "2026-03-29", "2026-03-30"]);
    const autumn = days("2026-10-23T12:00:00Z", "2026-10-27T00:00:00Z");
    expect(autumn.map((at) => at.slice(0, 10))).toEqual(["2026-10-24", "2026-10-25", "2026-10-26"]);
  });
});

test.each([
  ["500ms", "at least"],
  ["soon", "must be an interval"],
  ["* * * *", "must be an interval"],
  ["* * * * * *", "must be an interval"],
  ["61 * * * *", "valid cron expression"],
  ["0 0 31 2 *", "has a next time"],
  ["0 3 * * * Europe/Atlantis", "unknown time zone"],
  ["follow", "must be an interval"],
])("%s is refused", (text, message) => {
  expect(parseSchedule(text)).toContain(message);
});
