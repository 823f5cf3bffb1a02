import type { LogLine, Run } from "../service/api.ts";

/** What the charts of a connection's history show. All lists have one value for each of `times`, in ms, ascending. */
export interface RunSeries {
  readonly times: readonly number[];
  readonly succeeded: readonly (number | null)[];
  readonly failed: readonly (number | null)[];
  readonly read: readonly number[];
  readonly written: readonly number[];
  readonly deleted: readonly number[];
}

/** Syncs that ended, by the time at which they did. Runs come newest first. */
export function runSeries(runs: readonly Run[]): RunSeries {
  const ended = runs.filter(({ ended, kind }) => ended !== null && kind !== "verify").toReversed();
  const good = ({ outcome }: Run): boolean => outcome === "succeeded";
  return {
    times: ended.map(timeOf),
    succeeded: ended.map((run) => (good(run) ? run.milliseconds : null)),
    failed: ended.map((run) => (good(run) ? null : run.milliseconds)),
    read: ended.map((run) => run.rowsRead),
    written: ended.map((run) => run.inserted + run.updated),
    deleted: ended.map((run) => run.deleted),
  };
}

/** The age of the oldest copy over time: it grows with the clock, and falls when a run ends. */
export function ageSeries(
  runs: readonly Run[],
  now: number,
): { readonly times: readonly number[]; readonly ages: readonly number[] } {
  const times: number[] = [];
  const ages: number[] = [];
  let asOf: number | null = null;
  const add = (time: number): void => {
    if (asOf === null) return;
    times.push(time);
    ages.push(Math.max(0, time - asOf));
  };
  for (const run of runs.toReversed()) {
    if (run.ended === null || run.asOf === null || run.kind === "verify") continue;
    const ended = timeOf(run);
    const next = Date.parse(run.asOf);
    if (next === asOf) continue;
    // Charts want ascending times: the fall is one millisecond wide.
    add(Math.max(ended - 1, (times.at(-1) ?? 0) + 1));
    asOf = next;
    add(Math.max(ended, (times.at(-1) ?? 0) + 1));
  }
  add(Math.max(now, (times.at(-1) ?? 0) + 1));
  return { times, ages };
}

/** Runs as they are known now: `newest` replaces or joins those that were loaded, newest first. */
export function withNewest(runs: readonly Run[], newest: Run | undefined): readonly Run[] {
  if (newest === undefined) return runs;
  const known = runs.some(({ id }) => id === newest.id);
  if (known) return runs.map((run) => (run.id === newest.id ? newest : run));
  return [newest, ...runs].sort((a, b) => Date.parse(b.started) - Date.parse(a.started));
}

/** A log as it was loaded, and the lines that came since. Some of those may be among the loaded ones. */
export function withLive(loaded: readonly LogLine[], live: readonly LogLine[]): readonly LogLine[] {
  const last = loaded.at(-1)?.at ?? "";
  const atLast = new Set(loaded.filter(({ at }) => at === last).map(({ message }) => message));
  return [...loaded, ...live.filter(({ at, message }) => at > last || (at === last && !atLast.has(message)))];
}

function timeOf({ started, ended }: Run): number {
  return Date.parse(ended ?? started);
}
