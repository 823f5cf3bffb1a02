import { useMemo } from "preact/hooks";
import type { Run } from "../../service/api.ts";
import { count, counted, duration } from "../../toolkit/figures.ts";
import { useClock } from "../context.ts";
import { age, compact } from "../format.ts";
import { Chart, type Line } from "../parts/chart.tsx";
import { Empty } from "../parts/words.tsx";
import { ageSeries, runSeries } from "../series.ts";

/** Charts over time. What each shows is also said in words. */
export function Charts(props: {
  readonly runs: readonly Run[];
  readonly from: number;
  readonly freshness: number | null;
}) {
  const { runs, from, freshness } = props;
  // The charts end at this minute, so that they are not drawn each second.
  const now = useClock((now) => Math.floor(now / 60_000) * 60_000);
  const shown = useMemo(() => {
    const series = runSeries(runs);
    const { times, ages } = ageSeries(runs, now);
    const limit: readonly Line[] =
      freshness === null
        ? []
        : [{ label: "Limit", color: "limit", shape: "limit", values: times.map(() => freshness) }];
    const durations: readonly Line[] = [
      { label: "Succeeded", color: "a", shape: "line", values: series.succeeded },
      { label: "Failed", color: "bad", shape: "points", values: series.failed },
    ];
    const rows: readonly Line[] = [
      { label: "Read", color: "a", shape: "line", values: series.read },
      { label: "Written", color: "b", shape: "line", values: series.written },
    ];
    const deletes: readonly Line[] = [{ label: "Deleted", color: "c", shape: "bars", values: series.deleted }];
    const copies: readonly Line[] = [{ label: "Age", color: "a", shape: "line", values: ages }, ...limit];
    return { series, times, ages, durations, rows, deletes, copies };
  }, [runs, now, freshness]);
  const { series, times, ages } = shown;
  if (series.times.length === 0) return <Empty>No sync has ended in this time.</Empty>;
  const span = { from, to: Math.max(now, series.times.at(-1)!) };
  const failed = series.failed.filter((value) => value !== null).length;
  const good = series.succeeded.filter((value) => value !== null).sort((a, b) => a - b);
  const middle = good[Math.floor(good.length / 2)];
  return (
    <div class="charts">
      <Chart
        title="Duration"
        summary={`${middle === undefined ? "no sync succeeded" : `half of the syncs took at most ${duration(middle)}`}, ${count(failed)} of ${counted(series.times.length, "sync")} did not succeed`}
        times={series.times}
        {...span}
        lines={shown.durations}
        format={duration}
      />
      <Chart
        title="Age of the copy"
        summary={
          ages.length === 0
            ? "no copy was whole"
            : `${age(Math.max(...ages))} at most${freshness === null ? "" : `, the limit is ${duration(freshness)}`}`
        }
        times={times}
        {...span}
        lines={shown.copies}
        format={age}
      />
      <Chart
        title="Rows read and written"
        summary={`${counted(total(series.read), "row")} read, ${count(total(series.written))} written`}
        times={series.times}
        {...span}
        lines={shown.rows}
        format={compact}
      />
      <Chart
        title="Deletes"
        summary={`${counted(total(series.deleted), "row")} deleted`}
        times={series.times}
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
