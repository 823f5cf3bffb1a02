import { createHash } from "node:crypto";
import type { RunRecord, Trigger } from "../protocol/state-store.ts";
import { runReport } from "./reports.ts";
import { dueAfter, type Schedule, type SyncSchedule } from "./schedule.ts";

/** What decides when a connection runs next. */
export interface Plan {
  readonly name: string;
  readonly schedule: SyncSchedule | null;
  readonly verify: Schedule | null;
  /** Runs that are over, newest first. */
  readonly runs: readonly RunRecord[];
  /** The id of the last run that a person stopped; `null`: none. */
  readonly stopped: string | null;
  /** Every copy was whole once. */
  readonly copied: boolean;
}

export interface Due {
  readonly at: number;
  readonly trigger: Trigger;
}

/** The waits after failures that may pass by themselves, in milliseconds: they double from the first to the longest. */
const firstWait = 10_000;
const longestWait = 15 * 60_000;

/** Whether a run brings copies up to date. */
export function updates({ kind = "sync" }: Pick<RunRecord, "kind">): boolean {
  return kind !== "verify";
}

/**
 * Consecutive failures that came last. Runs that were stopped neither count nor end the row. A follower that ran for long
 * before it failed begins a new row.
 */
export function failuresOf(runs: readonly RunRecord[]): readonly RunRecord[] {
  const told = runs.filter((run) => updates(run) && run.outcome !== "stopped");
  const good = told.findIndex(({ outcome }) => outcome === "succeeded");
  const failures = good < 0 ? told : told.slice(0, good);
  const first = failures.findIndex(
    ({ kind, started, ended }) =>
      kind === "follow" && ended !== null && Date.parse(ended) - Date.parse(started) > longestWait,
  );
  return first < 0 ? failures : failures.slice(0, first + 1);
}

/** How many of the last syncs, since `since`, failed for a reason that a person must fix, and copied nothing. */
export function fruitless(runs: readonly RunRecord[], since: string): number {
  const failures = failuresOf(runs);
  const other = failures.findIndex((run) => {
    const { error, tables } = runReport("", run);
    return run.started < since || error === null || error.remedy === "retry" || tables.whole > 0;
  });
  return other < 0 ? failures.length : other;
}

/**
 * When the next sync is due, or following is to begin; `null`: only when a person asks. A moment in the past was missed: it
 * is made up for once.
 */
export function nextSync({ name, schedule, runs, stopped }: Omit<Plan, "verify" | "copied">): Due | null {
  if (schedule === null) return null;
  const last = runs.find(updates);
  if (last === undefined) return { at: 0, trigger: "schedule" };
  if (schedule === "follow") return nextFollow(last, failuresOf(runs).length);
  // It was stopped with the service.
  const { trigger = "command line" } = last;
  if (last.outcome === "stopped" && last.id !== stopped && trigger !== "command line")
    return { at: 0, trigger: "schedule" };
  const scheduled: Due = { at: dueAfter(schedule, name, Date.parse(last.started)), trigger: "schedule" };
  const again = retryOf(last, failuresOf(runs).length);
  return again !== null && again < scheduled.at ? { at: again, trigger: "retry" } : scheduled;
}

/** Following goes on at once after any end but a failure. */
function nextFollow(last: RunRecord, failures: number): Due {
  if (last.outcome !== "failed" && last.outcome !== "died") return { at: 0, trigger: "schedule" };
  const again = retryOf(last, failures);
  if (again !== null) return { at: again, trigger: "retry" };
  return { at: Date.parse(last.ended ?? last.started) + longestWait, trigger: "schedule" };
}

/** When the next verify is due; `null`: only when a person asks. The first one follows the first sync. */
export function nextVerify({ name, verify, runs, copied }: Omit<Plan, "schedule" | "stopped">): Due | null {
  if (verify === null || (!copied && !runs.some((run) => updates(run) && run.outcome === "succeeded"))) return null;
  const proofs = runs.filter(({ kind }) => kind === "verify");
  const [last] = proofs;
  if (last === undefined) return { at: 0, trigger: "schedule" };
  const scheduled: Due = { at: dueAfter(verify, name, Date.parse(last.started)), trigger: "schedule" };
  const good = proofs.findIndex(({ outcome }) => outcome === "succeeded");
  const again = retryOf(last, good < 0 ? proofs.length : good);
  return again !== null && again < scheduled.at ? { at: again, trigger: "retry" } : scheduled;
}

/** When a failed run is tried again; `null`: it did not fail, or a person must do something first. */
function retryOf(last: RunRecord, failures: number): number | null {
  if (last.outcome !== "failed" && last.outcome !== "died") return null;
  if (runReport("", last).error?.remedy !== "retry") return null;
  const full = Math.min(longestWait, firstWait * 2 ** Math.max(0, failures - 1));
  const part = createHash("sha256").update(last.id).digest().readUInt32BE(0) / 2 ** 32;
  return Date.parse(last.ended ?? last.started) + Math.round(full / 2 + (full / 2) * part);
}
