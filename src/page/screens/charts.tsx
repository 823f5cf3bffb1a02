import { useMemo } from "preact/hooks";
import type { Run } from "../../service/api.ts";
import { count, counted, duration } from "../../toolkit/figures.ts";
import { durationText } from "../../toolkit/quantities.ts";
import { useClock } from "../context.ts";
import { age, compact, roundDuration } from "../format.ts";
import { Chart } from "../parts/chart.tsx";
import { Empty } from "../parts/words.tsx";
import { ages, durations, sums } from "../series.ts";

const minute = 60_000;
const day = 86_400_000;

/** The lengths of the intervals in which runs are added up. A chart has about sixty of them. */
const intervals = [10_000, minute, 5 * minute, 30 * minute, 180 * minute, day / 2, day];

/** Charts over time. What each shows is also said in words. */
export function Charts(props: {
  readonly runs: readonly Run[];
  /** The begin of the time that was asked for. */
  readonly since: number;
  readonly freshness: number | null;
}) {
  const { runs, since, freshness } = props;
  // With a short history, the charts begin with its first run.
  const from = Math.max(since, Date.parse(runs.at(-1)?.started ?? "") || since);
  // The charts end with this minute, so that they are not drawn each second.
  const to = useClock((now) => Math.ceil(now / minute) * minute);
  const shown = useMemo(() => {
    const interval = intervals.find((one) => (to - from) / one <= 90) ?? day;
    const taken = durations(runs);
    const done = sums(runs, from, to, interval);
    const old = ages(runs, from, to, interval);
    const limit = freshness === null ? [] : [{ label: "Limit", color: "limit", shape: "limit" } as const];
    return {
      interval,
      taken,
      done,
      old,
      durations: [
        { label: "Succeeded", color: "a", shape: "points", values: taken.succeeded },
        { label: "Failed", color: "bad", shape: "points", values: taken.failed },
      ] as const,
      ages: [
        { label: "Highest age", color: "a", shape: "line", values: old.highest } as const,
        ...limit.map((line) => ({ ...line, values: old.times.map(() => freshness) })),
      ],
      rows: [
        { label: "Read", color: "a", shape: "bars", values: done.read },
        { label: "Written", color: "b", shape: "bars", values: done.written },
      ] as const,
      deletes: [{ label: "Deleted", color: "c", shape: "bars", values: done.deleted }] as const,
    };
  }, [runs, from, to, freshness]);
  const { taken, done, old } = shown;
  if (taken.times.length === 0) return <Empty>No sync has ended in this time.</Empty>;
  const span = { from, to };
  const each = `each bar has ${durationText(shown.interval).replace(/\D/, " $&")}`;
  const failed = taken.failed.filter((value) => value !== null).length;
  const good = taken.succeeded.filter((value) => value !== null).sort((a, b) => a - b);
  const middle = good[Math.floor(good.length / 2)];
  const oldest = Math.max(...old.highest.map((value) => value ?? 0));
  return (
    <div class="charts">
      <Chart
        title="Duration"
        summary={`${middle === undefined ? "No sync succeeded" : `Half of the syncs took at most ${duration(middle)}`}; ${count(failed)} of ${counted(taken.times.length, "sync")} did not succeed.`}
        times={taken.times}
        {...span}
        lines={shown.durations}
        format={duration}
        unit="time"
      />
      <Chart
        title="Age of the copy"
        summary={
          oldest === 0
            ? "No copy was whole."
            : `At most ${age(oldest)}${freshness === null ? "" : `; the limit is ${roundDuration(freshness)}`}.`
        }
        times={old.times}
        {...span}
        lines={shown.ages}
        format={age}
        unit="time"
      />
      <Chart
        title="Rows read and written"
        summary={`${counted(total(done.read), "row")} read, ${count(total(done.written))} written; ${each}.`}
        times={done.times}
        {...span}
        lines={shown.rows}
        format={compact}
      />
      <Chart
        title="Deletes"
        summary={`${counted(total(done.deleted), "row")} deleted; ${each}.`}
        times={done.times}
        {...span}
        lines={shown.deletes}
        format={compact}
      />
    </div>
  );
}

function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}
