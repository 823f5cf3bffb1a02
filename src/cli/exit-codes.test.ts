import { describe, expect, test } from "vitest";
import { errorCodes, type ErrorCode } from "../protocol/errors.ts";
import { outcomeOf } from "./errors.ts";
import { exitCode, exitCodes, type Outcome, worst } from "./exit-codes.ts";

const run = {
  table: "devices",
  passes: [],
  rowsRead: 0,
  bytesRead: 0,
  inserted: 0,
  updated: 0,
  deleted: 0,
  milliseconds: 0,
  asOf: null,
};

describe("exit codes", () => {
  test("every outcome has a code of its own", () => {
    const codes = Object.values(exitCodes).map(([code]) => code);
    expect(codes).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 130]);
  });

  test.each<[Outcome[], Outcome]>([
    [[], "ok"],
    [["ok", "ok"], "ok"],
    [["ok", "retry"], "retry"],
    [["retry", "reconfigure"], "reconfigure"],
    [["reconfigure", "resync"], "resync"],
    [["resync", "diverged"], "diverged"],
    [["not proven", "ok"], "not proven"],
    [["diverged", "report"], "report"],
    [["report", "stopped"], "stopped"],
  ])("%j ends as %s", (outcomes, expected) => {
    expect(worst(outcomes)).toBe(expected);
  });

  test("a table that failed ends by the remedy of its error", () => {
    for (const [code, [remedy]] of Object.entries(errorCodes)) {
      expect(
        outcomeOf({ ...run, outcome: "failed", error: { code: code as ErrorCode, message: "something", hint: null } }),
      ).toBe(remedy);
    }
    expect(outcomeOf({ ...run, outcome: "failed", error: null })).toBe("report");
    expect(outcomeOf({ ...run, outcome: "whole", error: null })).toBe("ok");
    expect(outcomeOf({ ...run, outcome: "stopped", error: null })).toBe("stopped");
    expect(exitCode("stopped")).toBe(130);
  });
});
