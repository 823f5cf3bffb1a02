import { count, counted, duration, rate, size } from "../../toolkit/figures.ts";
import type { ShownState, SyncProgress, TableProgress } from "../../engine/progress.ts";
import { type ColumnLayout, cut, type Look, type Paint, type Style } from "./text.ts";
import { tableLines } from "./table.ts";

/** The columns of the terminal from which on there is room for a bar. */
const barColumns = 90;

const layout = (bars: boolean): readonly ColumnLayout[] => [
  { title: "table", align: "left" },
  { title: "pass", align: "left", least: 6 },
  { title: "rows", align: "right", least: 11 },
  { title: "rows/s", align: "right", least: 8 },
  { title: "done", align: "left", least: bars ? 15 : 4 },
  { title: "left", align: "right", least: 8 },
  { title: "splits", align: "right", least: 7 },
  { title: "state", align: "left", least: 8 },
];

const styles: Readonly<Record<ShownState, Style>> = {
  waiting: "dim",
  reading: "cyan",
  settling: "cyan",
  running: "cyan",
  retrying: "yellow",
  whole: "green",
  failed: "red",
  stopped: "yellow",
};

/** The order in which tables are hidden if there is no room for all: the least informative first. */
const leastTelling: readonly (readonly ShownState[])[] = [["waiting"], ["whole"], ["stopped"], ["failed"]];

const barWidth = 10;
const longestName = 32;

/** What the columns beside the name take. */
const besideName = 62;

/** The lines that a terminal of this height and width shows of a running sync. */
export function syncFrame(progress: SyncProgress, now: number, lines: number, look: Look): readonly string[] {
  const { paint, width } = look;
  const bars = width >= barColumns;
  const nameWidth = Math.min(longestName, Math.max(8, width - besideName - (bars ? 15 : 4)));
  const tables = [...progress.tables.values()];
  const { kept, left } = fit(tables, Math.max(1, lines - 3));
  const rows = kept.map((table) => row(table, now, paint, { bars, nameWidth }));
  const seconds = (now - progress.began) / 1_000;
  const pace = seconds < 0.5 ? "" : `, ${rate(progress.rows / seconds)}`;
  const total = `${counted(progress.rows, "row")}, ${size(progress.bytes)} in ${duration(now - progress.began)}${pace}`;
  return [...tableLines(layout(bars), rows, look), paint("dim", `${left === "" ? "" : `… ${left}; `}${total}`)];
}

function row(
  table: TableProgress,
  now: number,
  paint: Paint,
  { bars, nameWidth }: { readonly bars: boolean; readonly nameWidth: number },
): readonly string[] {
  const reading = table.state === "reading";
  const { fraction } = table;
  const done = table.state === "whole" || table.state === "settling" ? 1 : fraction;
  const started = table.pass !== null;
  const pace = reading ? table.rate(now) : null;
  const left = table.left(now);
  return [
    cut(table.table, nameWidth),
    table.pass ?? "",
    started ? count(table.rows) : "",
    pace === null ? "" : rate(pace),
    started && done !== null ? `${bars ? `${bar(done)} ` : ""}${String(Math.floor(done * 100)).padStart(3)}%` : "",
    left === null ? "" : duration(left),
    started && table.splits > 0 ? `${table.splitsDone}/${table.splits}` : "",
    paint(styles[table.state], table.state),
  ];
}

function bar(fraction: number): string {
  const full = Math.round(fraction * barWidth);
  return "█".repeat(full) + "░".repeat(barWidth - full);
}

/** The tables that fit, in their order, and a summary of the others: `12 waiting, 3 whole`. */
function fit(tables: readonly TableProgress[], lines: number): { kept: readonly TableProgress[]; left: string } {
  const hidden = new Set<TableProgress>();
  for (const states of leastTelling) {
    // Tables that come next, and tables that have just ended, stay visible.
    const candidates = tables.filter((table) => states.includes(table.state));
    for (const table of states.includes("waiting") ? candidates.reverse() : candidates) {
      if (tables.length - hidden.size > lines) hidden.add(table);
    }
  }
  const kept = tables.filter((table) => !hidden.has(table)).slice(0, lines);
  const counts = new Map<ShownState, number>();
  for (const table of tables) {
    if (!kept.includes(table)) counts.set(table.state, (counts.get(table.state) ?? 0) + 1);
  }
  return { kept, left: [...counts].map(([state, number]) => `${number} ${state}`).join(", ") };
}
