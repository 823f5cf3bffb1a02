import { isNotable, type SyncEvent } from "../../engine/events.ts";
import type { KeptStream } from "../../protocol/source.ts";
import type { RunRecord } from "../../protocol/state-store.ts";
import { showError } from "../errors.ts";
import { exitCode, type Outcome } from "../exit-codes.ts";
import type { Session } from "../session.ts";
import { eventJson } from "./events-json.ts";
import { count, counted, duration, rate, size } from "../../toolkit/figures.ts";
import { LiveRegion } from "./live-region.ts";
import { tableLines } from "./table.ts";
import type { ColumnLayout } from "./text.ts";

/** Milliseconds between frames, and between lines. */
const frameInterval = 250;
const lineInterval = 10_000;
/** The time over which the rate is measured, in milliseconds. */
const rateOver = 10_000;

/** What the display knows of one connection. */
interface Shown {
  readonly failed: Set<string>;
  /** Tables that are being read whole, with the rows read so far. */
  readonly reading: Map<string, number>;
  tables: number;
  changes: number;
  /** When changes were committed, and how many. */
  recent: { readonly at: number; readonly changes: number }[];
  lag: number | null;
  kept: KeptStream | null;
  /** The changes at the last line. */
  said: number;
  heard: boolean;
}

const layout: readonly ColumnLayout[] = [
  { title: "connection", align: "left" },
  { title: "tables", align: "right" },
  { title: "changes", align: "right" },
  { title: "rate", align: "right" },
  { title: "lag", align: "right" },
  { title: "position", align: "left" },
  { title: "log kept", align: "right" },
  { title: "state", align: "left" },
];

/** Shows connections that are followed side by side: live on a terminal, as lines, or as JSON. */
export class FollowDisplay implements Disposable {
  readonly #session: Session;
  readonly #shown = new Map<string, Shown>();
  readonly #region: LiveRegion | null;
  readonly #timer: NodeJS.Timeout | null;

  constructor(session: Session) {
    this.#session = session;
    const { json, quiet, output } = session;
    const live = !json && !quiet && output.live;
    this.#region = live ? new LiveRegion(output) : null;
    this.#timer =
      json || quiet
        ? null
        : setInterval(() => (live ? this.#draw() : this.#lines()), live ? frameInterval : lineInterval);
  }

  event(event: SyncEvent): void {
    const shown = this.#of(event.connection);
    this.#apply(event, shown);
    const { json, quiet, output, tell } = this.#session;
    if (json) {
      if (isNotable(event)) tell(event.connection, eventJson(event));
      return;
    }
    if (event.kind === "finished" && event.error !== null) {
      showError(output, event.error, `${event.connection}: ${event.result.table}`);
    } else if (event.kind === "retry") {
      const { table, error, milliseconds } = event;
      const again = `tried again in ${duration(milliseconds)}`;
      output.error(`${event.connection}: ${table}: ${error.message} (${error.code}); ${again}`);
    } else if (event.kind === "selected" && !quiet && this.#region === null) {
      output.line(`${event.connection}: ${counted(event.tables.length, "table")}: ${event.tables.join(", ")}`);
    } else if (event.kind === "pass" && event.pass === "full" && !quiet && this.#region === null) {
      output.line(`${event.connection}: ${event.table}: full pass, ${counted(event.splits, "split")}`);
    }
  }

  end(connection: string, run: RunRecord, outcome: Outcome): void {
    const { json, quiet, output, tell } = this.#session;
    if (json) tell(connection, { kind: "summary", outcome, exitCode: exitCode(outcome), run });
    else if (!quiet) output.line(this.#line(connection, this.#of(connection)));
  }

  [Symbol.dispose](): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#region?.clear();
    this.#region?.[Symbol.dispose]();
  }

  #of(connection: string): Shown {
    const known = this.#shown.get(connection);
    if (known !== undefined) return known;
    const made: Shown = {
      ...{ failed: new Set<string>(), reading: new Map<string, number>(), tables: 0, changes: 0, recent: [] },
      ...{ lag: null, kept: null, said: 0, heard: false },
    };
    this.#shown.set(connection, made);
    return made;
  }

  #apply(event: SyncEvent, shown: Shown): void {
    switch (event.kind) {
      case "selected":
        shown.tables = event.tables.length;
        break;
      case "pass":
        if (event.pass !== "stream") shown.reading.set(event.table, 0);
        break;
      case "read": {
        const rows = shown.reading.get(event.table);
        if (rows !== undefined) shown.reading.set(event.table, rows + event.rows);
        break;
      }
      case "settling":
        shown.reading.delete(event.table);
        break;
      case "committed": {
        let changes = 0;
        for (const { inserted, updated, deleted } of event.changes.values()) changes += inserted + updated + deleted;
        const now = performance.now();
        shown.changes += changes;
        shown.recent.push({ at: now, changes });
        shown.recent = shown.recent.filter(({ at }) => now - at <= rateOver);
        break;
      }
      case "followed":
        shown.heard = true;
        shown.lag = event.lag ?? shown.lag;
        shown.kept = event.kept ?? shown.kept;
        break;
      case "finished":
        shown.reading.delete(event.result.table);
        if (event.result.outcome === "failed") shown.failed.add(event.result.table);
        else shown.failed.delete(event.result.table);
        break;
      case "retry":
      case "lost":
    }
  }

  #draw(): void {
    const { output } = this.#session;
    if (this.#shown.size === 0) return;
    const rows = [...this.#shown].map(([name, shown]) => [
      name,
      count(shown.tables),
      count(shown.changes),
      rate(this.#rate(shown)),
      shown.lag === null ? "" : duration(shown.lag),
      shown.kept?.position ?? "",
      shown.kept?.bytes == null ? "" : size(shown.kept.bytes),
      stateOf(shown),
    ]);
    this.#region!.draw(tableLines(layout, rows, { paint: output.paint, width: output.columns - 1 }));
  }

  /** If nothing happened, no line is written. */
  #lines(): void {
    for (const [name, shown] of this.#shown) {
      if (shown.changes === shown.said && shown.reading.size === 0) continue;
      shown.said = shown.changes;
      this.#session.output.line(this.#line(name, shown));
    }
  }

  #line(name: string, shown: Shown): string {
    const parts = [
      `${name}: ${counted(shown.changes, "change")}`,
      ...(shown.lag === null ? [] : [`lag ${duration(shown.lag)}`]),
      ...(shown.kept === null ? [] : [`position ${shown.kept.position}`]),
      ...(shown.kept?.bytes == null ? [] : [`${size(shown.kept.bytes)} of log kept`]),
      stateOf(shown),
    ];
    return parts.join(", ");
  }

  #rate({ recent }: Shown): number {
    return recent.reduce((sum, { changes }) => sum + changes, 0) / (rateOver / 1_000);
  }
}

function stateOf({ failed, reading, heard }: Shown): string {
  const whole = [...reading].map(([table, rows]) => `${table} (${counted(rows, "row")})`);
  const parts = [
    ...(whole.length === 0 ? [] : [`reads ${whole.join(", ")}`]),
    ...(failed.size === 0 ? [] : [`failed: ${[...failed].join(", ")}`]),
  ];
  return parts.length > 0 ? parts.join("; ") : heard ? "follows" : "begins";
}
