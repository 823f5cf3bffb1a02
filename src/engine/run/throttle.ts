import { sleep } from "../../toolkit/backoff.ts";

/** Spares the source: lets at most `rowsPerSecond` through, over all tables of the sync; `null`: no limit. */
export function throttle(rowsPerSecond: number | null): (rows: number, signal: AbortSignal) => Promise<void> {
  if (rowsPerSecond === null) return async () => {};
  let free = performance.now();
  return async (rows, signal) => {
    const now = performance.now();
    free = Math.max(free, now) + (rows / rowsPerSecond) * 1_000;
    if (free - now > 1) await sleep(free - now, signal);
  };
}
