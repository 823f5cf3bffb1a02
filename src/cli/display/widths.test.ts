import { describe, expect, test } from "vitest";
import type { RunRecord } from "../../protocol/state-store.ts";
import { Screen } from "../../../test/cli/screen.ts";
import type { CopySide } from "../configuration/resolve.ts";
import { Output } from "../output.ts";
import { Redactor } from "../redact.ts";
import { statusLines } from "./status-lines.ts";
import { syncFrame } from "./sync-frame.ts";
import { SyncProgress } from "../../engine/progress.ts";
import { syncSummary } from "./sync-summary.ts";
import { width } from "./text.ts";
import { verifySummary } from "./verify-display.ts";

const at = "2026-01-31T09:05:00.000Z";
const table = "warehouse_sensor_readings_by_hour";
const reason =
  "The copy has rows that the source does not have, and no sync has deleted them since the last full pass.";

const run: RunRecord = {
  id: "1",
  started: at,
  ended: at,
  outcome: "failed",
  tables: [
    {
      table,
      outcome: "failed",
      passes: ["window", "keys"],
      rowsRead: 1_204_331_001,
      bytesRead: 1,
      inserted: 1_204_331_001,
      updated: 31_001,
      deleted: 4_331,
      milliseconds: 1_204_000,
      asOf: at,
      error: { code: "SOURCE_FAILED", message: reason, hint: reason },
    },
  ],
};

const side = { name: "iot", schema: "public", destination: { definition: { title: "DuckDB" } } } as CopySide;

function progress(): SyncProgress {
  const shown = new SyncProgress(0);
  const origin = { at, run: "1", connection: "iot" };
  shown.apply({ ...origin, kind: "selected", tables: [table] }, 0);
  shown.apply(
    { ...origin, kind: "pass", table, pass: "window", resumed: false, splits: 128, splitsDone: 0, estimatedRows: 2e9 },
    0,
  );
  shown.apply({ ...origin, kind: "read", table, rows: 1_204_331_001, bytes: 2e11, splitsDone: 64 }, 9_000);
  return shown;
}

const displays: Readonly<Record<string, (output: Output) => readonly string[]>> = {
  "the summary of a sync": (output) => syncSummary("iot", run, output),
  "the frame of a sync": (output) => syncFrame(progress(), 10_000, 20, output),
  "the summary of verify": (output) =>
    verifySummary(
      "iot",
      {
        verdict: "NOT PROVEN",
        tables: [
          {
            table,
            verdict: "NOT PROVEN",
            sourceRows: 1_204_331_001,
            copyRows: 1_204_331_002,
            missing: 100_000,
            extra: 4,
            different: 12_345,
            shown: [{ kind: "extra", key: { device: "a", at }, version: { source: null, copy: at }, columns: [] }],
            reasons: [reason],
            milliseconds: 1_204_000,
          },
        ],
      },
      output,
    ),
  status: (output) =>
    statusLines(
      side,
      {
        tables: [
          {
            table,
            rows: 1_204_331_001,
            asOf: at,
            sweptAt: at,
            position: null,
            lag: null,
            open: { kind: "full", splits: 128, splitsDone: 7 },
          },
        ],
        runs: [run],
        unreadable: null,
      },
      output,
    ),
};

describe.each(Object.entries(displays))("%s (case 34)", (_, lines) => {
  test.each([80, 100, 160])("fits %d columns", (columns) => {
    const screen = new Screen(columns, 50);
    const output = new Output(screen, screen, {}, new Redactor());
    for (const line of lines(output)) output.line(line);
    const written = screen.writes.join("").split("\n");
    expect(written.filter((line) => width(line) > columns)).toEqual([]);
  });

  test("uses a wide terminal: nothing of a table is cut or wrapped", () => {
    const screen = new Screen(160, 50);
    const shown = lines(new Output(screen, screen, {}, new Redactor()));
    expect(shown.some((line) => line.includes(table.slice(0, 31)))).toBe(true);
  });
});
