import { sleep } from "../../toolkit/backoff.ts";

/** Spares the source: lets through at most `rowsPerSecond`, counted over the whole sync; `null`: everything. */
export function throttle(rowsPerSecond: number | null): (rows: number, signal: AbortSignal) => Promise<void> {
  if (rowsPerSecond === null) return async () => {};
  let free = performance.now();
  return async (rows, signal) => {
    const now = performance.now();
    free = Math.max(free, now) + (rows / rowsPerSecond) * 1_000;
    if (free - now > 1) await sleep(free - now, signal);
  };
}
