import { setTimeout as wait } from "node:timers/promises";

/** Milliseconds to wait before try `attempt` (from 2): doubling from `first` up to `most`, the upper half at random. */
export function backoff(attempt: number, first = 1_000, most = 16_000): number {
  const full = Math.min(most, first * 2 ** (attempt - 2));
  return Math.round(full / 2 + (Math.random() * full) / 2);
}

/** Waits; rejects with the signal's reason at once when it is aborted. */
export async function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  await wait(milliseconds, undefined, { signal });
}
