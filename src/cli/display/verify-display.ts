import type { TableVerdict, VerifyEvent, VerifyReport } from "../../engine/commands/verify.ts";
import type { Difference } from "../../protocol/readable.ts";
import type { Verdict } from "../../protocol/state-store.ts";
import type { Outcome } from "../exit-codes.ts";
import type { Output } from "../output.ts";
import { count, counted, duration, rate } from "../../toolkit/figures.ts";
import { LiveRegion } from "./live-region.ts";
import { type ColumnLayout, cut, type Look, type Paint, type Style } from "./text.ts";
import { tableLines } from "./table.ts";

const layout: readonly ColumnLayout[] = [
  { title: "table", align: "left" },
  { title: "source", align: "right" },
  { title: "copy", align: "right" },
  { title: "missing", align: "right" },
  { title: "extra", align: "right" },
  { title: "different", align: "right" },
  { title: "time", align: "right" },
  { title: "verdict", align: "left" },
];

const styles: Readonly<Record<Verdict, Style>> = { CONVERGED: "green", "NOT PROVEN": "yellow", DIVERGED: "red" };

export const verdictOutcomes: Readonly<Record<Verdict, Outcome>> = {
  CONVERGED: "ok",
  "NOT PROVEN": "not proven",
  DIVERGED: "diverged",
};

/** Longer values of a differing column are cut. Users only need to recognise them. */
const longestValue = 40;

/** The result of `verify` by table, with the reasons and some of the differing keys. */
export function verifySummary(connection: string, report: VerifyReport, look: Look): readonly string[] {
  const { paint } = look;
  const rows = report.tables.map((table) => [
    table.table,
    ...[table.sourceRows, table.copyRows].map((rows) => (rows === null ? "–" : count(rows))),
    ...[table.missing, table.extra, table.different].map(count),
    duration(table.milliseconds),
    paint(styles[table.verdict], table.verdict),
  ]);
  return [
    ...tableLines(layout, rows, look),
    ...report.tables.filter((table) => table.verdict !== "CONVERGED").flatMap((table) => details(table, paint)),
    `${connection}: ${paint(styles[report.verdict], report.verdict)}`,
  ];
}

function details({ table, reasons, shown }: TableVerdict, paint: Paint): readonly string[] {
  return [`${paint("bold", table)}: ${reasons.join(" ")}`, ...shown.map((difference) => `  ${describe(difference)}`)];
}

function describe({ kind, key, columns }: Difference): string {
  const names = Object.entries(key).map(([name, value]) => `${name}=${shownValue(value)}`);
  const differing = columns.map(
    ({ name, source, copy }) => `${name} is ${shownValue(source)}, copy has ${shownValue(copy)}`,
  );
  return `${kind} ${names.join(" ")}${differing.length === 0 ? "" : `: ${differing.join("; ")}`}`;
}

function shownValue(value: string | null): string {
  return value === null ? "NULL" : JSON.stringify(cut(value, longestValue));
}

const frameInterval = 100;

/** Shows the progress of `verify`: one live line on a terminal, or else one line for each table. */
export class VerifyProgress implements Disposable {
  readonly #output: Output;
  readonly #region: LiveRegion | null;
  readonly #timer: NodeJS.Timeout | null;
  #table = "";
  #reading = 1;
  #rows = 0;
  #estimated: number | null = null;
  #began = performance.now();

  constructor(output: Output) {
    this.#output = output;
    this.#region = output.live ? new LiveRegion(output) : null;
    this.#timer = this.#region === null ? null : setInterval(() => this.#draw(), frameInterval).unref();
  }

  event(event: VerifyEvent): void {
    if (event.kind === "read") {
      this.#rows += event.rows;
    } else if (event.kind === "verifying") {
      this.#table = event.table;
      this.#reading = event.reading;
      this.#rows = 0;
      this.#estimated = event.estimatedRows;
      this.#began = performance.now();
    } else if (this.#region === null) {
      const { table, verdict, reasons } = event.result;
      this.#output.line(`${table}: ${verdict}. ${reasons.join(" ")}`);
    }
  }

  [Symbol.dispose](): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#region?.clear();
    this.#region?.[Symbol.dispose]();
  }

  #draw(): void {
    if (this.#table === "") return;
    const of = this.#estimated === null ? "" : ` of about ${count(this.#estimated)}`;
    const seconds = (performance.now() - this.#began) / 1_000;
    const what = this.#reading === 1 ? "comparing" : "naming the rows that differ in";
    const line = `${what} ${this.#table}: ${counted(this.#rows, "row")}${of}, ${rate(this.#rows / Math.max(seconds, 0.001))}`;
    this.#region?.draw([this.#output.paint("cyan", line)]);
  }
}
