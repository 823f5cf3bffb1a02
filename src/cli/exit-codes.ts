import type { Remedy } from "../protocol/errors.ts";

/** The outcome of a command. */
export type Outcome = "ok" | Remedy | "diverged" | "not proven" | "stale" | "stopped";

/** The exit codes, which tell scripts what to do. In the order in which `--help` shows them. */
export const exitCodes: Readonly<Record<Outcome, readonly [code: number, meaning: string]>> = {
  ok: [0, "done: every selected table is whole"],
  report: [1, "a defect of Headwaters or of a server: report it"],
  reconfigure: [2, "change the command line, a setting, a privilege or the machine"],
  retry: [3, "a temporary problem: run it again"],
  resync: [4, "the copy no longer fits the source: agree to a change, or reset"],
  diverged: [5, "verify: DIVERGED, the copy differs from the source"],
  "not proven": [6, "verify: NOT PROVEN, the source changed since the last sync"],
  stale: [7, "status --max-age: a copy is older, or the last sync failed"],
  stopped: [130, "stopped by Ctrl-C or SIGTERM; what was committed is kept"],
};

/** Outcomes that a person must act on come first. A retry helps only if nothing else is wrong. */
const gravest: readonly Outcome[] = [
  "stopped",
  "report",
  "diverged",
  "resync",
  "reconfigure",
  "retry",
  "not proven",
  "stale",
  "ok",
];

/** The outcome of a command whose parts had different outcomes. */
export function worst(outcomes: Iterable<Outcome>): Outcome {
  const all = new Set(outcomes);
  return gravest.find((outcome) => all.has(outcome)) ?? "ok";
}

export function exitCode(outcome: Outcome): number {
  return exitCodes[outcome][0];
}
