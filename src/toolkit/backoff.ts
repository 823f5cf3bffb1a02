import { setTimeout as wait } from "node:timers/promises";

/**
 * Milliseconds to wait before `attempt` (from 2). The wait doubles from `first` up to `most`; its upper half is random.
 */
export function backoff(attempt: number, first = 1_000, most = 16_000): number {
  const full = Math.min(most, first * 2 ** (attempt - 2));
  return Math.round(full / 2 + (Math.random() * full) / 2);
}

/** Waits. If the signal is aborted, rejects with its reason at once. */
export async function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  await wait(milliseconds, undefined, { signal });
}
