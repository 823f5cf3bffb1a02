import { describe, expect, test } from "vitest";
import type { ConnectionReport, TableProgress } from "../service/api.ts";
import {
  age,
  attention,
  compact,
  fraction,
  freshness,
  grouped,
  here,
  localTime,
  matches,
  percent,
  problemsFirst,
  relative,
  stateOf,
} from "./format.ts";

const now = Date.parse("2026-01-31T09:05:00Z");
const before = (milliseconds: number): string => new Date(now - milliseconds).toISOString();

describe("figures", () => {
  test.each([
    [-5, "0 s"],
    [59_999, "59 s"],
    [60_000, "1 m"],
    [7_199_000, "119 m"],
    [7_200_000, "2 h"],
    [172_799_000, "47 h"],
    [172_800_000, "2 d"],
  ])("age %d", (milliseconds, text) => {
    expect(age(milliseconds)).toBe(text);
  });

  test.each([
    [before(180_000), "3 m ago"],
    [before(-720_000), "in 12 m"],
    [before(999), "now"],
  ])("relative %s", (iso, text) => {
    expect(relative(iso, now)).toBe(text);
  });

  test.each([
    [0, "0"],
    [950, "950"],
    [1_204, "1.2k"],
    [41_230, "41.2k"],
    [3_000_000, "3M"],
  ])("compact %d", (value, text) => {
    expect(compact(value)).toBe(text);
  });

  test("percent", () => {
    expect([0, 0.0001, 0.001, 0.824, 0.8246, 1].map(percent)).toEqual([
      "0%",
      "< 0.1%",
      "0.1%",
      "82.4%",
      "82.5%",
      "100%",
    ]);
  });

  test("local times have a form of their own; other text stays", () => {
    expect(localTime("2026-01-31T09:05:00Z")).toMatch(/^2026-0\d-\d\d \d\d:\d\d:00$/);
    expect(localTime("infinity")).toBe("infinity");
  });
});

describe("the age of a copy beside its limit", () => {
  const hour = 3_600_000;

  test.each([
    [
      { asOf: null, freshness: hour },
      { tone: "none", used: null, text: "never whole" },
    ],
    [
      { asOf: before(180_000), freshness: null },
      { tone: "none", used: null, text: "3 m" },
    ],
    [
      { asOf: before(180_000), freshness: hour },
      { tone: "ok", used: 0.05, text: "3 m of 1 h" },
    ],
    [
      { asOf: before(0.9 * hour), freshness: hour },
      { tone: "warn", used: 0.9, text: "54 m of 1 h" },
    ],
    [
      { asOf: before(hour), freshness: hour },
      { tone: "warn", used: 1, text: "60 m of 1 h" },
    ],
    [
      { asOf: before(hour + 1), freshness: hour },
      { tone: "bad", used: 1, text: "60 m of 1 h" },
    ],
    [
      { asOf: before(-5_000), freshness: 90_000 },
      { tone: "ok", used: 0, text: "0 s of 1 m 30 s" },
    ],
  ])("%j", (connection, shown) => {
    expect(freshness(connection, now)).toEqual(shown);
  });
});

describe("the fraction of a pass", () => {
  const reading: TableProgress = {
    table: "t",
    state: "reading",
    pass: "full",
    rows: 50,
    bytes: 0,
    rowsPerSecond: 0,
    estimatedRows: 100,
    splits: 4,
    splitsDone: 1,
    written: 0,
    left: null,
    note: null,
  };

  test.each([
    [{}, 0.5],
    [{ rows: 1_000 }, 0.99],
    [{ splitsDone: 3 }, 0.75],
    [{ splitsDone: 4 }, 1],
    [{ estimatedRows: null }, 0.25],
    [{ estimatedRows: null, splits: 0, splitsDone: 0 }, null],
    [{ pass: null }, null],
    [{ state: "settling" as const }, 1],
    [{ state: "whole" as const, pass: null }, 1],
  ])("%j", (change, expected) => {
    expect(fraction({ ...reading, ...change })).toBe(expected);
  });
});

describe("what asks for a person", () => {
  const error = { code: "CONNECTION_REFUSED", message: "refused", hint: null, remedy: "retry" } as const;
  const of = (name: string, state: ConnectionReport["state"], more: Partial<ConnectionReport> = {}): ConnectionReport =>
    ({ name, state, says: "", error: null, held: [], lastProof: null, ...more }) as ConnectionReport;

  test("comes first, the others by name", () => {
    const all = [
      of("d", "ok"),
      of("c", "running", { error }),
      of("b", "late"),
      of("a", "waiting", { error }),
      of("e", "paused", { error }),
      of("w", "waiting"),
      of("p", "paused"),
      of("z", "problem"),
    ];
    expect(problemsFirst(all).map(({ name }) => name)).toEqual(["z", "b", "a", "e", "c", "d", "p", "w"]);
  });

  test.each([
    [of("a", "ok"), undefined],
    [of("a", "running", { error }), undefined],
    [of("a", "waiting"), undefined],
    [of("a", "waiting", { error }), "CONNECTION_REFUSED"],
    [of("a", "late"), "LATE"],
    [of("a", "problem", { held: [{ table: "t", gone: 1, of: 2 }] }), "DELETES_STOPPED"],
    [of("a", "problem", { lastProof: { verdict: "DIVERGED" } as ConnectionReport["lastProof"] }), "DIVERGED"],
  ])("has a code: %j", (connection, code) => {
    expect(attention(connection)?.code).toBe(code);
  });

  test("has its remedy on the page", () => {
    const stopped = { ...error, code: "DELETES_STOPPED", hint: "run sync with --accept-deletes" };
    expect(here(stopped).hint).toContain("review the deletes here");
  });

  test("waiting for a turn is no warning", () => {
    expect([stateOf(of("a", "waiting")), stateOf(of("a", "waiting", { error }))]).toEqual([
      ["idle", "Waiting"],
      ["warn", "Waiting"],
    ]);
  });
});

test("a search wants each of its words", () => {
  expect(matches("", "iot")).toBe(true);
  expect(matches("IOT duck", "iot", "DuckDB")).toBe(true);
  expect(matches("iot lake", "iot", "DuckDB")).toBe(false);
});

test("groups keep the order of their first", () => {
  expect(grouped(["b1", "a1", "b2"], (text) => text[0]!)).toEqual([["b1", "b2"], ["a1"]]);
});
