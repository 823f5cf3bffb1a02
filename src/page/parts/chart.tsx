import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { localTime } from "../format.ts";
import { useTheme } from "../theme.ts";

export interface Line {
  readonly label: string;
  /** The name of the color in the style sheet: `--chart-…`. */
  readonly color: "a" | "b" | "c" | "bad" | "limit";
  readonly shape: "line" | "bars" | "points" | "limit";
  readonly values: readonly (number | null)[];
}

/** All charts of a screen show the same moment under the pointer. */
const cursor: uPlot.Cursor = { sync: { key: "history" }, drag: { x: true, y: false }, points: { size: 6 } };

/** A chart over time. `times`: milliseconds, ascending. `summary` says in words what it shows. */
export function Chart(props: {
  readonly title: string;
  readonly summary: string;
  readonly times: readonly number[];
  readonly from: number;
  readonly to: number;
  readonly lines: readonly Line[];
  readonly format: (value: number) => string;
  /** Values that are milliseconds have marks at round times. */
  readonly unit?: "time";
}) {
  const place = useRef<HTMLDivElement>(null);
  const theme = useTheme();
  useEffect(() => {
    const element = place.current!;
    const plot = new uPlot(options(element, props), data(props), element);
    const resized = new ResizeObserver(() => plot.setSize({ width: element.clientWidth, height }));
    resized.observe(element);
    return () => {
      resized.disconnect();
      plot.destroy();
    };
  }, [props.times, props.lines, props.from, props.to, theme]);
  return (
    <figure class="chart">
      <figcaption>
        <h2>{props.title}</h2>
        <p class="faint">{props.summary}</p>
      </figcaption>
      <div ref={place} class="chart-place" role="img" aria-label={`${props.title}: ${props.summary}`} />
    </figure>
  );
}

const seconds = [0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 21_600, 43_200, 86_400];
const roundTimes = [...seconds, ...[2, 5, 10, 30, 100].map((days) => days * 86_400)].map((value) => value * 1_000);

const height = 160;

function data(props: Parameters<typeof Chart>[0]): uPlot.AlignedData {
  return [props.times.map((time) => time / 1_000), ...props.lines.map((line) => [...line.values])];
}

function options(element: HTMLElement, props: Parameters<typeof Chart>[0]): uPlot.Options {
  const color = (name: string): string => colorOf(element, name);
  const axis = {
    stroke: color("--muted"),
    grid: { stroke: color("--line"), width: 1 },
    ticks: { show: false },
    font: `11px ${getComputedStyle(element).fontFamily}`,
  };
  return {
    width: element.clientWidth,
    height,
    cursor,
    legend: {
      live: true,
      markers: { width: 0, fill: (_, at) => (at === 0 ? "" : color(`--chart-${props.lines[at - 1]!.color}`)) },
    },
    padding: [8, 28, 0, 0],
    scales: {
      x: {
        time: true,
        range: (_, min, max) => (min === max ? [min - 1, max + 1] : [min, max]),
        min: props.from / 1_000,
        max: props.to / 1_000,
      },
      y: { range: (_, _min, max) => [0, max > 0 ? max * 1.1 : 1] },
    },
    axes: [
      {
        ...axis,
        space: 70,
        size: 26,
        values: (_, splits, _axis, _space, step) => splits.map((at) => timeLabel(at, step)),
      },
      {
        ...axis,
        size: 56,
        space: 32,
        ...(props.unit === "time" && { incrs: roundTimes }),
        values: (_, splits) => splits.map(props.format),
      },
    ],
    series: [
      { label: "Time", value: "{YYYY}-{MM}-{DD} {HH}:{mm}" },
      ...props.lines.map((line) => series(line, color(`--chart-${line.color}`), props.format)),
    ],
  };
}

function series(line: Line, stroke: string, format: (value: number) => string): uPlot.Series {
  const shape: Partial<Record<Line["shape"], uPlot.Series>> = {
    line: { width: 1.5, fill: `color-mix(in srgb, ${stroke} 12%, transparent)`, points: { show: false } },
    bars: { width: 0, fill: stroke, paths: uPlot.paths.bars!({ size: [0.75, 24, 2] }), points: { show: false } },
    points: {
      width: 0,
      paths: () => null,
      points: { show: true, size: line.values.length < 200 ? 6 : 4, fill: stroke },
    },
    limit: { width: 1, dash: [5, 4], points: { show: false } },
  };
  return {
    label: line.label,
    stroke,
    value: (_, value: number | null) => (value === null ? "–" : format(value)),
    ...shape[line.shape],
  };
}

/** A time of the axis, in seconds: a day, or as exact as the steps between its marks. */
function timeLabel(at: number, step: number): string {
  const [date, time] = localTime(new Date(at * 1_000).toISOString()).split(" ") as [string, string];
  if (step < 60) return time;
  return step >= 86_400 || time.startsWith("00:00") ? date.slice(5) : time.slice(0, 5);
}

/** A color of the style sheet as the canvas needs it: a custom property alone is not resolved. */
function colorOf(element: HTMLElement, name: string): string {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  element.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}
