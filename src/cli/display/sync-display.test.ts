import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Pipe, Screen } from "../../../test/cli/screen.ts";
import type { SyncHappening } from "../../engine/events.ts";
import { HeadwatersError } from "../../protocol/errors.ts";
import type { RunRecord, TableRun } from "../../protocol/state-store.ts";
import { type OutputStream, Output } from "../output.ts";
import { Redactor } from "../redact.ts";
import { type SyncDisplay, syncDisplay } from "./sync-display.ts";

const tables = ["devices", "sensor_readings", "alerts"];

function ended(table: string, outcome: TableRun["outcome"], rowsRead: number): TableRun {
  const asOf = outcome === "whole" ? "2026-01-31T09:05:00.000Z" : null;
  const error = outcome === "failed" ? "PRIVILEGE_MISSING: the user reader may not read" : null;
  const changes = { inserted: rowsRead, updated: 0, deleted: 0 };
  return {
    table,
    outcome,
    passes: ["full"],
    rowsRead,
    bytesRead: rowsRead * 100,
    ...changes,
    milliseconds: 1_500,
    asOf,
    error: error === null ? null : { code: "PRIVILEGE_MISSING", message: error, hint: null },
  };
}

const refused = new HeadwatersError("PRIVILEGE_MISSING", "the user reader may not read alerts", {
  hint: "GRANT SELECT ON alerts TO reader;",
});

const run: RunRecord = {
  id: "1",
  started: "2026-01-31T09:05:00.000Z",
  ended: "2026-01-31T09:05:04.000Z",
  outcome: "failed",
  tables: [ended("devices", "whole", 500), ended("sensor_readings", "whole", 200_000), ended("alerts", "failed", 0)],
};

function pass(table: string, estimatedRows: number | null, splits = 8): SyncHappening {
  return { kind: "pass", table, pass: "full", resumed: false, splits, splitsDone: 0, estimatedRows };
}

function read(table: string, rows: number, splitsDone = 0): SyncHappening {
  return { kind: "read", table, rows, bytes: rows * 100, splitsDone };
}

function start(stdout: OutputStream, stderr: OutputStream, how: { json?: boolean; quiet?: boolean } = {}) {
  const redactor = new Redactor();
  const output = new Output(stdout, stderr, {}, redactor);
  const tell = (connection: string | null, value: object): void => output.json({ connection, ...value });
  const { json = false, quiet = false } = how;
  const display = syncDisplay({
    output,
    connection: "iot",
    prefix: "",
    tell,
    json,
    quiet,
    now: () => performance.now(),
  });
  return { display, output, redactor };
}

const origin = { at: "2026-01-31T09:05:00.000Z", run: "1", connection: "iot" };

function happens(display: SyncDisplay, happening: SyncHappening): void {
  display.event({ ...origin, ...happening });
}

/** A sync of three tables over four seconds, the last of which fails. */
function play(display: SyncDisplay, look: () => void = () => {}): void {
  happens(display, { kind: "selected", tables });
  happens(display, pass("devices", 500, 1));
  happens(display, read("devices", 500, 1));
  happens(display, { kind: "settling", table: "devices" });
  happens(display, { kind: "finished", result: run.tables[0]!, error: null });
  happens(display, pass("sensor_readings", 200_000));
  for (let second = 1; second <= 3; second++) {
    for (let tenth = 0; tenth < 10; tenth++) {
      vi.advanceTimersByTime(100);
      happens(display, read("sensor_readings", 5_000, second));
    }
    look();
  }
  happens(display, { kind: "retry", table: "alerts", error: refused, milliseconds: 2_000 });
  vi.advanceTimersByTime(1_000);
  look();
  happens(display, read("sensor_readings", 50_000, 8));
  happens(display, { kind: "finished", result: run.tables[1]!, error: null });
  happens(display, { kind: "finished", result: run.tables[2]!, error: refused });
}

const summary = `table            passes     read  inserted  updated  deleted  as of                  time  state
devices          full        500       500        0        0  2026-01-31 09:05:00Z  1.5 s  whole
sensor_readings  full    200,000   200,000        0        0  2026-01-31 09:05:00Z  1.5 s  whole
alerts           full          0         0        0        0  never whole           1.5 s  failed
iot: failed; 2 of 3 tables whole; 200,500 rows read in 4.0 s (50.1k/s)`;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance", "Date"] });
});

afterEach(() => {
  vi.useRealTimers();
});

describe("on a terminal", () => {
  test("draws a table in place and ends with the summary", () => {
    const screen = new Screen();
    const { display } = start(screen, screen);
    const looks: string[] = [];
    play(display, () => looks.push(screen.text));
    expect(looks[1]).toBe(
      `table            pass           rows    rows/s  done                 left   splits  state
devices          full            500            ██████████ 100%                1/1  whole
sensor_readings  full         95,000   47.5k/s  █████░░░░░  47%     2.2 s      2/8  reading
alerts                                                                              waiting
95,500 rows, 9.1 MiB in 2.0 s, 47.8k/s`,
    );
    display.end(run, "reconfigure");
    expect(screen.text).toBe(
      `alerts: the user reader may not read alerts (PRIVILEGE_MISSING); tried again in 2.0 s\n${summary}
error alerts: the user reader may not read alerts (PRIVILEGE_MISSING)
  GRANT SELECT ON alerts TO reader;`,
    );
    expect(screen.cursorVisible).toBe(true);
  });

  test("never shows an empty region between two frames", () => {
    const screen = new Screen();
    const { display } = start(screen, screen);
    const full = new Set<number>();
    play(display, () => full.add(screen.text.split("\n").length));
    const frames = screen.writes.filter((text) => text.includes("reading"));
    expect(frames.length).toBeGreaterThan(20);
    // One write a frame, which clears nothing before it writes.
    for (const frame of frames) expect(frame.indexOf("\x1b[J")).toBeGreaterThan(frame.lastIndexOf("\x1b[K"));
    display.end(run, "reconfigure");
  });

  test("logs go above the table", () => {
    const screen = new Screen();
    const { display, output } = start(screen, screen);
    play(display, () => output.error("a line of the log"));
    const [first, second] = screen.text.split("\n");
    expect([first, second]).toEqual(["a line of the log", "a line of the log"]);
    display[Symbol.dispose]();
    expect(screen.cursorVisible).toBe(true);
  });

  test("more tables than lines: those at work stay, the others are counted", () => {
    const screen = new Screen(100, 12);
    const { display } = start(screen, screen);
    const many = Array.from({ length: 40 }, (_, index) => `table_${String(index).padStart(2, "0")}`);
    happens(display, { kind: "selected", tables: many });
    for (const table of many.slice(0, 10))
      happens(display, { kind: "finished", result: ended(table, "whole", 1), error: null });
    happens(display, pass("table_20", 1_000));
    happens(display, read("table_20", 100));
    vi.advanceTimersByTime(100);
    const lines = screen.text.split("\n");
    expect(lines.length).toBeLessThan(12);
    expect(screen.text).toContain("table_20");
    expect(screen.text).toMatch(/… \d+ whole, \d+ waiting; 100 rows/);
    display[Symbol.dispose]();
  });

  test("a narrow terminal cuts lines instead of wrapping them", () => {
    const screen = new Screen(30, 24);
    const { display } = start(screen, screen);
    happens(display, { kind: "selected", tables });
    happens(display, pass("sensor_readings", 200_000));
    vi.advanceTimersByTime(200);
    for (const line of screen.text.split("\n")) expect(line.length).toBeLessThan(30);
    display[Symbol.dispose]();
  });

  test("NO_COLOR and a dumb terminal", () => {
    const colors = (environment: NodeJS.ProcessEnv): string =>
      new Output(new Screen(), new Screen(), environment, new Redactor()).paint("red", "x");
    expect(colors({})).toBe("\x1b[31mx\x1b[39m");
    expect(colors({ NO_COLOR: "1" })).toBe("x");
    expect(colors({ NO_COLOR: "" })).toBe("\x1b[31mx\x1b[39m");
    expect(colors({ TERM: "dumb" })).toBe("x");
    expect(new Output(new Screen(), new Screen(), { TERM: "dumb" }, new Redactor()).live).toBe(false);
  });
});

describe("elsewhere", () => {
  test("plain lines: what begins, how far it is, how it ended", () => {
    const [out, error] = [new Pipe(), new Pipe()];
    const { display } = start(out, error);
    play(display);
    vi.advanceTimersByTime(5_000);
    display.end(run, "reconfigure");
    expect(out.text).toBe(`iot: 3 tables: devices, sensor_readings, alerts
devices: full pass, 1 split, about 500 rows
devices: all read, 500 rows; settling
devices: whole
sensor_readings: full pass, 8 splits, about 200,000 rows
sensor_readings: whole
alerts: failed
${summary}
`);
    expect(error.text).toBe(`alerts: the user reader may not read alerts (PRIVILEGE_MISSING); tried again in 2.0 s
error alerts: the user reader may not read alerts (PRIVILEGE_MISSING)
  GRANT SELECT ON alerts TO reader;
`);
  });

  test("a line of progress every few seconds", () => {
    const [out, error] = [new Pipe(), new Pipe()];
    const { display } = start(out, error);
    happens(display, pass("sensor_readings", 200_000));
    for (let tenth = 0; tenth < 50; tenth++) {
      happens(display, read("sensor_readings", 1_000, Math.floor(tenth / 10)));
      vi.advanceTimersByTime(100);
    }
    expect(out.text.split("\n").at(-2)).toBe("sensor_readings: 50,000 rows read, 25%, 10.0k/s, 4/8 splits, 15 s left");
    display[Symbol.dispose]();
  });

  test("a pass that goes on says so", () => {
    const [out, error] = [new Pipe(), new Pipe()];
    const { display } = start(out, error);
    happens(display, {
      kind: "pass",
      table: "alerts",
      pass: "keys",
      resumed: true,
      splits: 8,
      splitsDone: 3,
      estimatedRows: 9,
    });
    expect(out.text).toBe("alerts: goes on with its keys pass, 3 of 8 splits done, about 9 rows\n");
    display[Symbol.dispose]();
  });

  test("quiet: nothing but what failed", () => {
    const [out, error] = [new Pipe(), new Pipe()];
    const { display } = start(out, error, { quiet: true });
    play(display);
    display.end(run, "reconfigure");
    expect(out.text).toBe("");
    expect(error.text).toMatch(/^error alerts: .*\n {2}GRANT .*\n$/);
  });

  test("JSON: one object a line, reads added up, then the summary", () => {
    const [out, error] = [new Pipe(), new Pipe()];
    const { display } = start(out, error, { json: true });
    play(display);
    happens(display, { kind: "committed", changes: new Map([["devices", { inserted: 1, updated: 2, deleted: 3 }]]) });
    display.end(run, "reconfigure");
    const lines = out.text
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    const reads = lines.filter((line) => line["kind"] === "read" && line["table"] === "sensor_readings");
    expect(reads.length).toBeLessThan(8);
    expect(reads.reduce((sum, line) => sum + Number(line["rows"]), 0)).toBe(200_000);
    expect(lines.every((line) => line["connection"] === "iot")).toBe(true);
    for (const line of lines.slice(0, -1)) expect(line).toMatchObject(origin);
    expect(lines.find((line) => line["kind"] === "committed")?.["changes"]).toEqual({
      devices: { inserted: 1, updated: 2, deleted: 3 },
    });
    expect(lines.find((line) => line["kind"] === "retry")?.["error"]).toEqual({
      code: "PRIVILEGE_MISSING",
      remedy: "reconfigure",
      message: "the user reader may not read alerts",
      hint: "GRANT SELECT ON alerts TO reader;",
      side: null,
    });
    expect(lines.at(-1)).toMatchObject({ kind: "summary", outcome: "reconfigure", exitCode: 2, run: { id: "1" } });
    expect(error.text).toBe("");
  });

  test("secrets and control characters in errors and names do not come out", () => {
    const [out, error] = [new Pipe(), new Pipe()];
    const { display, redactor } = start(out, error);
    redactor.add("hunter2");
    happens(display, { kind: "selected", tables: ["a\x1b[2Jb"] });
    happens(display, {
      kind: "retry",
      table: "a",
      error: new HeadwatersError("CONNECTION_LOST", "of hunter2"),
      milliseconds: 1,
    });
    expect(out.text).toBe("iot: 1 table: a\uFFFD[2Jb\n");
    expect(error.text).toBe("a: of *** (CONNECTION_LOST); tried again in 0.0 s\n");
    display[Symbol.dispose]();
  });
});
