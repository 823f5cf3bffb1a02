import type { SyncEvent } from "../../engine/events.ts";
import type { HeadwatersError } from "../../protocol/errors.ts";
import type { RunRecord } from "../../protocol/state-store.ts";
import { showError } from "../errors.ts";
import type { Output } from "../output.ts";
import type { Session } from "../session.ts";
import { eventJson } from "./events-json.ts";
import { count, counted, duration, rate } from "../../toolkit/figures.ts";
import { LiveRegion } from "./live-region.ts";
import { syncFrame } from "./sync-frame.ts";
import { SyncProgress, type TableProgress } from "../../engine/progress.ts";
import { exitCode, type Outcome } from "../exit-codes.ts";
import { syncSummary } from "./sync-summary.ts";

/** Shows one sync, from its first event to its record. Disposing it restores the terminal. */
export interface SyncDisplay extends Disposable {
  event(event: SyncEvent): void;
  end(run: RunRecord, outcome: Outcome): void;
}

export interface DisplayOptions {
  readonly output: Output;
  readonly connection: string;
  /** Before lines that don't name the connection. */
  readonly prefix: string;
  readonly tell: Session["tell"];
  readonly json: boolean;
  readonly quiet: boolean;
  /** A steady clock in milliseconds. */
  readonly now: () => number;
}

/** The display for these options: JSON, quiet, a live table on a terminal, or lines. */
export function syncDisplay(options: DisplayOptions): SyncDisplay {
  if (options.json) return new JsonDisplay(options);
  if (options.quiet) return new QuietDisplay(options);
  return options.output.live ? new LiveDisplay(options) : new LinesDisplay(options);
}

/** Milliseconds between frames: ten frames a second look steady and cost almost nothing. */
const frameInterval = 100;

/** Milliseconds between lines: few enough for a log, often enough to see progress. */
const lineInterval = 5_000;

/** Milliseconds over which `read` events are added up in JSON. There are hundreds of them a second. */
const jsonInterval = 1_000;

class LiveDisplay implements SyncDisplay {
  readonly #options: DisplayOptions;
  readonly #progress: SyncProgress;
  readonly #region: LiveRegion;
  readonly #timer: NodeJS.Timeout;

  constructor(options: DisplayOptions) {
    this.#options = options;
    this.#progress = new SyncProgress(options.now());
    this.#region = new LiveRegion(options.output);
    this.#timer = setInterval(() => this.#draw(), frameInterval).unref();
  }

  event(event: SyncEvent): void {
    this.#progress.apply(event, this.#options.now());
    if (event.kind === "retry") retried(this.#options, event);
  }

  end(run: RunRecord): void {
    const { output, connection } = this.#options;
    this.#region.clear();
    this.#finish();
    for (const line of syncSummary(connection, run, output)) output.line(line);
    failures(this.#options, this.#progress);
  }

  [Symbol.dispose](): void {
    this.#region.clear();
    this.#finish();
  }

  #draw(): void {
    const { output, now } = this.#options;
    if (this.#progress.tables.size === 0) return;
    this.#region.draw(
      syncFrame(this.#progress, now(), output.rows - 1, { paint: output.paint, width: output.columns - 1 }),
    );
  }

  #finish(): void {
    clearInterval(this.#timer);
    this.#region[Symbol.dispose]();
  }
}

class LinesDisplay implements SyncDisplay {
  readonly #options: DisplayOptions;
  readonly #progress: SyncProgress;
  readonly #timer: NodeJS.Timeout;

  constructor(options: DisplayOptions) {
    this.#options = options;
    this.#progress = new SyncProgress(options.now());
    this.#timer = setInterval(() => this.#tick(), lineInterval).unref();
  }

  event(event: SyncEvent): void {
    const { output, now, connection, prefix } = this.#options;
    this.#progress.apply(event, now());
    if (event.kind === "selected") {
      output.line(`${connection}: ${counted(event.tables.length, "table")}: ${event.tables.join(", ")}`);
    } else if (event.kind === "pass") {
      output.line(`${prefix}${event.table}: ${passBegins(event)}`);
    } else if (event.kind === "settling") {
      output.line(
        `${prefix}${event.table}: all read, ${counted(this.#progress.of(event.table).rows, "row")}; settling`,
      );
    } else if (event.kind === "retry") {
      retried(this.#options, event);
    } else if (event.kind === "finished") {
      output.line(`${prefix}${event.result.table}: ${event.result.outcome}`);
    }
  }

  end(run: RunRecord): void {
    const { output, connection } = this.#options;
    clearInterval(this.#timer);
    for (const line of syncSummary(connection, run, output)) output.line(line);
    failures(this.#options, this.#progress);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #tick(): void {
    const { output, now, prefix } = this.#options;
    for (const table of this.#progress.tables.values()) {
      if (table.state === "reading") output.line(`${prefix}${table.table}: ${reading(table, now())}`);
    }
  }
}

/** Shows only failures. */
class QuietDisplay implements SyncDisplay {
  readonly #options: DisplayOptions;
  readonly #progress: SyncProgress;

  constructor(options: DisplayOptions) {
    this.#options = options;
    this.#progress = new SyncProgress(options.now());
  }

  event(event: SyncEvent): void {
    this.#progress.apply(event, this.#options.now());
  }

  end(): void {
    failures(this.#options, this.#progress);
  }

  [Symbol.dispose](): void {}
}

class JsonDisplay implements SyncDisplay {
  readonly #options: DisplayOptions;
  readonly #reads = new Map<string, Extract<SyncEvent, { kind: "read" }>>();
  #flushed: number;

  constructor(options: DisplayOptions) {
    this.#options = options;
    this.#flushed = options.now();
  }

  event(event: SyncEvent): void {
    const now = this.#options.now();
    // Commits of state without changes are not shown.
    if (event.kind === "committed" && event.changes.size === 0) return;
    if (event.kind !== "read") {
      this.#flush(now);
      this.#write(eventJson(event));
      return;
    }
    const { rows = 0, bytes = 0 } = this.#reads.get(event.table) ?? {};
    this.#reads.set(event.table, { ...event, rows: rows + event.rows, bytes: bytes + event.bytes });
    if (now - this.#flushed >= jsonInterval) this.#flush(now);
  }

  end(run: RunRecord, outcome: Outcome): void {
    this.#flush(this.#options.now());
    this.#write({ kind: "summary", outcome, exitCode: exitCode(outcome), run });
  }

  [Symbol.dispose](): void {}

  #flush(now: number): void {
    for (const event of this.#reads.values()) this.#write(eventJson(event));
    this.#reads.clear();
    this.#flushed = now;
  }

  #write(value: Readonly<Record<string, unknown>>): void {
    this.#options.tell(this.#options.connection, value);
  }
}

function passBegins(event: Extract<SyncEvent, { kind: "pass" }>): string {
  const rows = event.estimatedRows === null ? "" : `, about ${counted(event.estimatedRows, "row")}`;
  const splits = counted(event.splits, "split");
  return event.resumed
    ? `goes on with its ${event.pass} pass, ${event.splitsDone} of ${splits} done${rows}`
    : `${event.pass} pass, ${splits}${rows}`;
}

function reading(table: TableProgress, now: number): string {
  const pace = table.rate(now);
  const left = table.left(now);
  return [
    `${counted(table.rows, "row")} read`,
    ...(table.fraction === null ? [] : [`${Math.floor(table.fraction * 100)}%`]),
    ...(pace === null ? [] : [rate(pace)]),
    ...(table.splits > 0 ? [`${count(table.splitsDone)}/${counted(table.splits, "split")}`] : []),
    ...(left === null ? [] : [`${duration(left)} left`]),
  ].join(", ");
}

function retried(
  { output, prefix }: DisplayOptions,
  { table, error, milliseconds }: Extract<SyncEvent, { kind: "retry" }>,
): void {
  output.error(`${prefix}${table}: ${error.message} (${error.code}); tried again in ${duration(milliseconds)}`);
}

/**
 * Shows why tables failed and what to do. It comes after the summary, where users see it. An error of several tables, such
 * as a server that is away, is shown once.
 */
function failures({ output, prefix }: DisplayOptions, progress: SyncProgress): void {
  const reasons = new Map<string, { readonly error: HeadwatersError; readonly tables: string[] }>();
  for (const { table, error } of progress.tables.values()) {
    if (error === null) continue;
    const key = `${error.code}\n${error.message}`;
    const reason = reasons.get(key) ?? { error, tables: [] };
    reason.tables.push(table);
    reasons.set(key, reason);
  }
  for (const { error, tables } of reasons.values()) showError(output, error, `${prefix}${namesOf(tables)}`);
}

function namesOf(tables: readonly string[]): string {
  const shown = tables.length > 4 ? [...tables.slice(0, 3), `${count(tables.length - 3)} more tables`] : tables;
  return shown.length === 1 ? shown[0]! : `${shown.slice(0, -1).join(", ")} and ${shown.at(-1)!}`;
}
