import { readFileSync } from "node:fs";

/** The processes that one has started. Linux. */
export function childrenOf(pid: number): readonly number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean).map(Number);
}

/** Resident memory in bytes; 0: the process is gone. */
export function rss(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/statm`, "utf8").split(" ")[1]) * 4_096;
  } catch {
    return 0;
  }
}

export function millions(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(0);
}

/** Median, 99th percentile and largest of some numbers. */
export function figures(numbers: readonly number[]): string {
  if (numbers.length === 0) return "none";
  const sorted = numbers.toSorted((a, b) => a - b);
  const [median, p99] = [0.5, 0.99].map((part) => sorted[Math.floor(part * sorted.length)]!.toFixed(0));
  return `median ${median}, p99 ${p99}, max ${sorted.at(-1)!.toFixed(0)} of ${sorted.length}`;
}
