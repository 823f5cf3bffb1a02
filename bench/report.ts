import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { cpus, loadavg, release, totalmem, type } from "node:os";
import process from "node:process";
import type { Measured } from "./measure.ts";

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** A time, its spread, and the memory of several runs. */
export interface Summary {
  readonly milliseconds: number;
  readonly fastest: number;
  readonly slowest: number;
  readonly peakBytes: number | null;
  /** Processor time in milliseconds, the median; `null`: unknown. */
  readonly processor: number | null;
  readonly runs: number;
}

export function summarize(runs: readonly Measured[]): Summary {
  const times = runs.map((run) => run.milliseconds);
  const processors = runs.map((run) => run.processorMilliseconds).filter((time) => time !== null);
  const peaks = runs.map((run) => run.peakBytes).filter((bytes) => bytes !== null);
  return {
    milliseconds: median(times),
    fastest: Math.min(...times),
    slowest: Math.max(...times),
    peakBytes: peaks.length === 0 ? null : Math.max(...peaks),
    processor: processors.length === 0 ? null : median(processors),
    runs: runs.length,
  };
}

/** What the figures were measured on, and whether anything else was at work: then even ratios mislead. */
export function machine(): string {
  const [cpu] = cpus();
  const memory = (totalmem() / 2 ** 30).toFixed(0);
  return `${cpus().length} × ${cpu?.model.trim() ?? "unknown"}, ${memory} GiB, ${type()} ${release()}, Node ${process.version}, commit ${commit()}, load ${loadavg()[0]!.toFixed(1)} before the first run`;
}

function commit(): string {
  try {
    return execFileSync("git", ["describe", "--always", "--dirty"], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  } catch {
    return "unknown";
  }
}

export const seconds = (milliseconds: number): string => `${(milliseconds / 1000).toFixed(2)} s`;
export const mebibytes = (bytes: number | null): string =>
  bytes === null ? "–" : `${Math.round(bytes / 2 ** 20)} MiB`;

export function spread({ fastest, slowest, runs }: Summary): string {
  return runs === 1 ? "1 run" : `${seconds(fastest)} – ${seconds(slowest)}, ${runs} runs`;
}

/** What was printed, for `HEADWATERS_BENCH_JSON`. */
const printed: { readonly titles: readonly string[]; readonly rows: readonly (readonly string[])[] }[] = [];

/**
 * Prints rows under titles; the first column to the left, the others to the right. If the environment names a file in
 * `HEADWATERS_BENCH_JSON`, all tables are written there too, with the machine.
 */
export function printTable(titles: readonly string[], rows: readonly (readonly string[])[]): void {
  printed.push({ titles, rows });
  const file = process.env["HEADWATERS_BENCH_JSON"];
  if (file !== undefined) writeFileSync(file, `${JSON.stringify({ machine: machine(), tables: printed }, null, 2)}\n`);
  const widths = titles.map((title, index) => Math.max(title.length, ...rows.map((row) => row[index]!.length)));
  for (const row of [titles, ...rows]) {
    const cells = row.map((cell, index) => (index === 0 ? cell.padEnd(widths[index]!) : cell.padStart(widths[index]!)));
    console.log(cells.join("  ").trimEnd());
  }
  console.log();
}
