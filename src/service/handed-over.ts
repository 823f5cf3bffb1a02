import type { RunRecord } from "../protocol/state-store.ts";
import type { Action } from "./api.ts";
import { closed } from "./archive.ts";
import { Unfit } from "./done.ts";
import { newest, runElsewhere, type Unit } from "./unit.ts";

/** The time between two readings of the records of workers' runs, in milliseconds. */
const recordsEach = 10_000;

/** How many records are read: at first enough to count failures in a row, later those of runs that ended since. */
const records = { first: 10, later: 3 };

/** How many records of workers' runs are due to be read now; 0: none. */
export function recordsDue({ loaded, readAt }: Unit, now: number): number {
  if (!loaded.isHandedOver || (readAt !== null && now < readAt + recordsEach)) return 0;
  return readAt === null ? records.first : records.later;
}

/** Adds the newest records of the destination. Returns those that are new or have ended since. */
export function takeRecords(unit: Unit, found: readonly RunRecord[]): readonly RunRecord[] {
  const all = found.map((run) => closed(run, found));
  unit.elsewhere = all.find(({ outcome }) => outcome === "running") ?? null;
  const known = new Map(unit.runs.map((run) => [run.id, run.ended]));
  const fresh = all.filter(({ id, ended, outcome }) => outcome !== "running" && known.get(id) !== ended);
  if (fresh.length === 0) return [];
  // There may have been more of them than were read.
  unit.hasAllRuns = false;
  const ids = new Set(fresh.map(({ id }) => id));
  const others = unit.runs.filter(({ id }) => !ids.has(id));
  unit.runs = newest([...fresh, ...others].sort((a, b) => (a.started < b.started ? 1 : -1)));
  return fresh;
}

/** Throws {@link Unfit} if only Temporal can do it. */
export function refuseHandedOver(unit: Unit, { action }: Action): void {
  const { name, isHandedOver } = unit.loaded;
  if (isHandedOver && (action === "pause" || action === "resume"))
    throw new Unfit(`A schedule of Temporal starts the runs of ${name}: ${action} it there.`);
  if (unit.active !== null || runElsewhere(unit) === null || action === "verify") return;
  const what = action === "stop" ? "cancel its workflow on Temporal" : "wait until it has ended";
  throw new Unfit(`Workers make a run of ${name}: ${what}.`);
}
