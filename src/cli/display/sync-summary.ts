import type { RunRecord, TableRun } from "../../protocol/state-store.ts";
import { count, counted, duration, moment, rate } from "../../toolkit/figures.ts";
import { type ColumnLayout, type Look, type Paint, type Style } from "./text.ts";
import { tableLines } from "./table.ts";

const layout: readonly ColumnLayout[] = [
  { title: "table", align: "left" },
  { title: "passes", align: "left" },
  { title: "read", align: "right" },
  { title: "inserted", align: "right" },
  { title: "updated", align: "right" },
  { title: "deleted", align: "right" },
  { title: "as of", align: "left" },
  { title: "time", align: "right" },
  { title: "state", align: "left" },
];

const styles: Readonly<Record<TableRun["outcome"], Style>> = {
  running: "cyan",
  whole: "green",
  failed: "red",
  stopped: "yellow",
};

/** The summary of a sync, by table and in total. */
export function syncSummary(connection: string, run: RunRecord, look: Look): readonly string[] {
  const { paint } = look;
  const rows = run.tables.map((table) => [
    table.table,
    table.passes.join(", "),
    ...[table.rowsRead, table.inserted, table.updated, table.deleted].map(count),
    table.asOf === null ? "never whole" : moment(table.asOf),
    duration(table.milliseconds),
    paint(styles[table.outcome], table.outcome),
  ]);
  return [...tableLines(layout, rows, look), verdict(connection, run, paint)];
}

function verdict(connection: string, run: RunRecord, paint: Paint): string {
  const whole = run.tables.filter((table) => table.outcome === "whole").length;
  const milliseconds = Math.max(1, Date.parse(run.ended ?? run.started) - Date.parse(run.started));
  const read = run.tables.reduce((sum, table) => sum + table.rowsRead, 0);
  const pace = read === 0 ? "" : ` (${rate((read * 1_000) / milliseconds)})`;
  const [style, word] = endings[run.outcome];
  return [
    `${paint(style, `${connection}: ${word}`)}`,
    `${whole} of ${counted(run.tables.length, "table")} whole`,
    `${counted(read, "row")} read in ${duration(milliseconds)}${pace}`,
  ].join("; ");
}

const endings: Readonly<Record<RunRecord["outcome"], readonly [Style, string]>> = {
  running: ["cyan", "running"],
  succeeded: ["green", "synced"],
  failed: ["red", "failed"],
  stopped: ["yellow", "stopped"],
  died: ["red", "died"],
};
