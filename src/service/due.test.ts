import { describe, expect, test } from "vitest";
import type { ErrorCode } from "../protocol/errors.ts";
import type { RunRecord, TableRun } from "../protocol/state-store.ts";
import { fruitless, nextSync, nextVerify, type Plan } from "./due.ts";
import { parseSchedule, type Schedule } from "./schedule.ts";

const at = (minutes: number): string => new Date(Date.parse("2026-01-01T00:00:00Z") + minutes * 60_000).toISOString();
const moment = (minutes: number): number => Date.parse(at(minutes));

let runs = 0;
function run(minutes: number, outcome: RunRecord["outcome"], more: Partial<RunRecord> = {}): RunRecord {
  return {
    id: `run-${++runs}`,
    trigger: "schedule",
    started: at(minutes),
    ended: at(minutes + 1),
    outcome,
    tables: [],
    ...more,
  };
}

function failed(minutes: number, code: ErrorCode, tables: readonly TableRun[] = []): RunRecord {
  return run(minutes, "failed", { tables, error: { code, message: "m", hint: null } });
}

function plan(runs: readonly RunRecord[], more: Partial<Plan> = {}): Plan {
  const schedule = parseSchedule("1h") as Schedule;
  return {
    name: "shop",
    schedule,
    verify: parseSchedule("1d") as Schedule,
    runs,
    stopped: null,
    copied: false,
    ...more,
  };
}

const whole: TableRun = {
  table: "t",
  outcome: "whole",
  passes: [],
  rowsRead: 1,
  bytesRead: 1,
  inserted: 0,
  updated: 0,
  deleted: 0,
  milliseconds: 1,
  asOf: null,
  error: null,
};

describe("the next sync", () => {
  test("is due at once where there was none, and never without a schedule", () => {
    expect(nextSync(plan([]))).toEqual({ at: 0, trigger: "schedule" });
    expect(nextSync(plan([], { schedule: null }))).toBe(null);
  });

  test("follows the last one by its schedule; what was missed meanwhile is due once", () => {
    const next = nextSync(plan([run(0, "succeeded")]))!;
    expect(next.at > moment(0) && next.at <= moment(60)).toBe(true);
    // A day later it is still that one moment; the run that makes it up puts the next one in the future.
    const late = nextSync(plan([run(24 * 60, "succeeded"), run(0, "succeeded")]))!;
    expect(late.at > moment(24 * 60) && late.at <= moment(25 * 60)).toBe(true);
  });

  test("comes sooner after what may pass by itself, later with each failure, and not later than scheduled", () => {
    const wait = (failures: number): number => {
      const runs = Array.from({ length: failures }, (_, n) => failed(-n, "CONNECTION_REFUSED"));
      const next = nextSync(plan(runs, { schedule: parseSchedule("30d") as Schedule }))!;
      expect(next.trigger).toBe("retry");
      return (next.at - moment(1)) / 1_000;
    };
    for (const [failures, least, most] of [
      [1, 5, 10],
      [2, 10, 20],
      [3, 20, 40],
      [8, 450, 900],
      [20, 450, 900],
    ] as const) {
      const seconds = wait(failures);
      expect([failures, seconds >= least && seconds <= most]).toEqual([failures, true]);
    }
    expect(
      nextSync(plan([failed(0, "CONNECTION_REFUSED")], { schedule: parseSchedule("1s") as Schedule }))!.trigger,
    ).toBe("schedule");
  });

  test("keeps its schedule after what a person must mend", () => {
    expect(nextSync(plan([failed(0, "LOGIN_FAILED")]))!.trigger).toBe("schedule");
  });

  test("goes on at once after it was stopped with the service, not after a person stopped it", () => {
    const stopped = run(0, "stopped");
    expect(nextSync(plan([stopped]))).toEqual({ at: 0, trigger: "schedule" });
    expect(nextSync(plan([stopped], { stopped: stopped.id }))!.at).toBeGreaterThan(moment(0));
    expect(nextSync(plan([{ ...stopped, trigger: "command line" }]))!.at).toBeGreaterThan(moment(0));
  });

  test("is made again after its process died", () => {
    expect(nextSync(plan([run(0, "died")]))!.trigger).toBe("retry");
  });
});

describe("following", () => {
  const follow = (runs: readonly RunRecord[]) => plan(runs, { schedule: "follow" });
  const lasting = (minutes: number, lasts: number, outcome: RunRecord["outcome"], more: Partial<RunRecord> = {}) =>
    run(minutes, outcome, { kind: "follow", ended: at(minutes + lasts), ...more });

  test("begins at once, and goes on at once after whatever ended it in good order", () => {
    const now = { at: 0, trigger: "schedule" };
    expect(nextSync(follow([]))).toEqual(now);
    expect(nextSync(follow([lasting(0, 5, "succeeded")]))).toEqual(now);
    expect(nextSync(follow([lasting(0, 5, "stopped")]))).toEqual(now);
    expect(nextSync(follow([run(9, "succeeded"), lasting(0, 5, "died")]))).toEqual(now);
    expect(nextSync(follow([run(9, "failed", { kind: "verify" }), lasting(0, 5, "succeeded")]))).toEqual(now);
  });

  test("is tried again sooner after what may pass by itself; what lasted begins a new row of failures", () => {
    const wait = (runs: readonly RunRecord[]): number =>
      (nextSync(follow(runs))!.at - Date.parse(runs[0]!.ended!)) / 1e3;
    const row = [lasting(30, 1, "died"), lasting(20, 1, "died"), lasting(10, 1, "died")];
    expect(wait(row)).toBeGreaterThanOrEqual(20);
    expect(wait([lasting(100, 60, "died"), ...row])).toBeLessThanOrEqual(10);
    const error = { code: "LOGIN_FAILED", message: "m", hint: null } as const;
    expect(wait([lasting(0, 1, "failed", { error })])).toBe(900);
  });

  test("is verified once every copy was whole", () => {
    expect(nextVerify(follow([]))).toBe(null);
    expect(nextVerify({ ...follow([]), copied: true })).toEqual({ at: 0, trigger: "schedule" });
  });
});

describe("a pause after failures", () => {
  test.each([
    ["what a person must mend, in a row", [failed(3, "LOGIN_FAILED"), failed(2, "LOGIN_FAILED")], 2],
    ["what may pass by itself", [failed(3, "CONNECTION_REFUSED"), failed(2, "CONNECTION_REFUSED")], 0],
    ["what copied some tables", [failed(3, "DELETES_STOPPED", [whole])], 0],
    [
      "what ended before one that succeeded",
      [failed(3, "LOGIN_FAILED"), run(2, "succeeded"), failed(1, "LOGIN_FAILED")],
      1,
    ],
    ["what was before a person resumed", [failed(12, "LOGIN_FAILED"), failed(2, "LOGIN_FAILED")], 1],
  ])("counts %s", (_, runs, count) => {
    expect(fruitless(runs, at(runs.length === 2 && runs[0]!.started === at(12) ? 10 : -10))).toBe(count);
  });
});

describe("the next verify", () => {
  test("waits for the first sync, then comes at once, then by its schedule", () => {
    expect(nextVerify(plan([]))).toBe(null);
    expect(nextVerify(plan([failed(0, "LOGIN_FAILED")]))).toBe(null);
    expect(nextVerify(plan([run(0, "succeeded")]))).toEqual({ at: 0, trigger: "schedule" });
    const next = nextVerify(plan([run(5, "succeeded", { kind: "verify" }), run(0, "succeeded")]))!;
    expect(next.at > moment(5) && next.at <= moment(5 + 24 * 60)).toBe(true);
  });
});
