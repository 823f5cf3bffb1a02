import type { LogLine, Run } from "../service/api.ts";

/** How long each sync took, in milliseconds, at the time at which it ended, ascending. */
export interface Durations {
  readonly times: readonly number[];
  readonly succeeded: readonly (number | null)[];
  readonly failed: readonly (number | null)[];
}

/** Runs come newest first. */
export function durations(runs: readonly Run[]): Durations {
  const ended = syncs(runs);
  return {
    times: ended.map(timeOf),
    succeeded: ended.map((run) => (run.outcome === "succeeded" ? run.milliseconds : null)),
    failed: ended.map((run) => (run.outcome === "succeeded" ? null : run.milliseconds)),
  };
}

/** What the syncs of each interval did together. */
export interface Sums {
  /** The middle of each interval. */
  readonly times: readonly number[];
  readonly read: readonly number[];
  readonly written: readonly number[];
  readonly deleted: readonly number[];
}

/** Adds up syncs by intervals of this length, from `from` on. */
export function sums(runs: readonly Run[], from: number, to: number, interval: number): Sums {
  const number = Math.max(1, Math.round((to - from) / interval));
  const zeros = (): number[] => Array.from({ length: number }, () => 0);
  const [read, written, deleted] = [zeros(), zeros(), zeros()];
  for (const run of syncs(runs)) {
    if (timeOf(run) < from || timeOf(run) > to) continue;
    const at = Math.min(number - 1, Math.floor((timeOf(run) - from) / interval));
    read[at]! += run.rowsRead;
    written[at]! += run.inserted + run.updated;
    deleted[at]! += run.deleted;
  }
  return { times: read.map((_, at) => from + (at + 0.5) * interval), read, written, deleted };
}

/**
 * The highest age of the oldest copy in each interval: it grows with the clock, and falls when a run ends. `null`: unknown,
 * because no earlier run shows it.
 */
export function ages(
  runs: readonly Run[],
  from: number,
  to: number,
  interval: number,
): { readonly times: readonly number[]; readonly highest: readonly (number | null)[] } {
  const falls = syncs(runs).flatMap(({ ended, asOf }) =>
    asOf == null ? [] : [{ at: Date.parse(ended!), asOf: Date.parse(asOf) }],
  );
  const number = Math.max(1, Math.round((to - from) / interval));
  const times = Array.from({ length: number }, (_, at) => (at === number - 1 ? to : from + (at + 1) * interval));
  let next = 0;
  let asOf: number | null = null;
  const highest = times.map((end) => {
    let most: number | null = null;
    const see = (time: number): void => {
      if (asOf !== null) most = Math.max(most ?? 0, time - asOf);
    };
    for (; next < falls.length && falls[next]!.at <= end; next++) {
      see(falls[next]!.at);
      asOf = falls[next]!.asOf;
    }
    see(end);
    return most;
  });
  return { times, highest };
}

/** The known runs, newest first: runs from events replace or join the loaded ones. */
export function withRecent(loaded: readonly Run[], recent: readonly Run[]): readonly Run[] {
  if (recent.length === 0) return loaded;
  const all = new Map([...loaded, ...recent].map((run) => [run.id, run]));
  return [...all.values()].sort((a, b) => Date.parse(b.started) - Date.parse(a.started));
}

/** A log as it was loaded, and the lines that came since. Some of those may be among the loaded ones. */
export function withLive(loaded: readonly LogLine[], live: readonly LogLine[]): readonly LogLine[] {
  const last = loaded.at(-1)?.at ?? "";
  const atLast = new Set(loaded.filter(({ at }) => at === last).map(({ message }) => message));
  return [...loaded, ...live.filter(({ at, message }) => at > last || (at === last && !atLast.has(message)))];
}

/** Those that ended, the oldest first. */
function syncs(runs: readonly Run[]): readonly Run[] {
  return runs.filter(({ ended, kind }) => ended !== null && kind !== "verify").toReversed();
}

function timeOf({ started, ended }: Run): number {
  return Date.parse(ended ?? started);
}
