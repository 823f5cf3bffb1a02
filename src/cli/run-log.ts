import { appendFileSync, readFileSync } from "node:fs";
import type { VerifyEvent } from "../engine/commands/verify.ts";
import type { SyncEvent } from "../engine/events.ts";
import { asHeadwatersError } from "../protocol/errors.ts";
import type { Log } from "../protocol/log.ts";
import type { LogLine } from "../service/api.ts";
import { counted, duration } from "../toolkit/figures.ts";
import type { Redactor } from "./redact.ts";

/** A log has at most about this many bytes. */
const most = 4 << 20;

/** The log of one run, in a file beside its attempt: one JSON object per line, without secrets. */
export class RunLog {
  readonly #file: string;
  readonly #redactor: Redactor;
  readonly #onLine: (line: LogLine) => void;
  #bytes = 0;
  #writes = true;

  /** `file`: its folder exists, or is made before the first line. */
  constructor(file: string, redactor: Redactor, onLine: (line: LogLine) => void) {
    this.#file = file;
    this.#redactor = redactor;
    this.#onLine = onLine;
  }

  write(level: LogLine["level"], message: string): void {
    const line: LogLine = { at: new Date().toISOString(), level, message: this.#redactor.text(message) };
    this.#onLine(line);
    this.#append(line);
  }

  /** A log that also writes here. Debug lines go only to the given log. */
  over(log: Log): Log {
    return {
      debug: (message) => log.debug(message),
      info: (message) => {
        log.info(message);
        this.write("info", message);
      },
      warn: (message) => {
        log.warn(message);
        this.write("warn", message);
      },
    };
  }

  event(event: SyncEvent | VerifyEvent): void {
    const line = lineOf(event);
    if (line !== null) this.write(...line);
  }

  failed(thrown: unknown): void {
    const { message, code, hint } = asHeadwatersError(thrown);
    this.write("error", `${message} (${code})${hint === null ? "" : ` ${hint}`}`);
  }

  /** A log that can't be written is no reason to fail: the attempt's record says why the folder can't be used. */
  #append(line: LogLine): void {
    if (!this.#writes) return;
    const text = `${JSON.stringify(line)}\n`;
    this.#bytes += text.length;
    const full = this.#bytes > most;
    try {
      const last: LogLine = { at: line.at, level: "warn", message: "The log is full: later lines are missing." };
      appendFileSync(this.#file, full ? `${JSON.stringify(last)}\n` : text, { mode: 0o600 });
      this.#writes = !full;
    } catch {
      this.#writes = false;
    }
  }
}

/** The lines of a log; `null`: there is no such file. */
export function readRunLog(file: string): readonly LogLine[] | null {
  try {
    const lines = readFileSync(file, "utf8").split("\n");
    // A process that was killed may have left a part of its last line.
    return lines.slice(0, -1).map((line) => JSON.parse(line) as LogLine);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw asHeadwatersError(thrown);
  }
}

/** The log line for an event; `null`: none. */
function lineOf(event: SyncEvent | VerifyEvent): readonly [level: LogLine["level"], message: string] | null {
  switch (event.kind) {
    case "selected":
      return ["info", `${counted(event.tables.length, "table")}: ${event.tables.join(", ")}`];
    case "pass": {
      const rows = event.estimatedRows === null ? "" : `, about ${counted(event.estimatedRows, "row")}`;
      const how = event.resumed ? `goes on with its ${event.pass} pass` : `${event.pass} pass`;
      return ["info", `${event.table}: ${how}, ${event.splitsDone} of ${counted(event.splits, "split")} done${rows}`];
    }
    case "settling":
      return ["info", `${event.table}: all read; settling`];
    case "lost":
      return ["warn", `${event.table}: read whole, since its stream was lost: ${event.reason}`];
    case "retry": {
      const { table, error, milliseconds } = event;
      return ["warn", `${table}: ${error.message} (${error.code}); tried again in ${duration(milliseconds)}`];
    }
    case "finished": {
      const { table, outcome, rowsRead, inserted, updated, deleted } = event.result;
      if (event.error !== null) {
        const { message, code, hint } = event.error;
        return ["error", `${table}: ${message} (${code})${hint === null ? "" : ` ${hint}`}`];
      }
      return [
        "info",
        `${table}: ${outcome}, ${counted(rowsRead, "row")} read, ${inserted} inserted, ${updated} updated, ${deleted} deleted`,
      ];
    }
    case "verifying":
      return ["info", `${event.table}: ${event.reading === 1 ? "comparing" : "naming the rows that differ"}`];
    case "verified": {
      const { table, verdict, reasons } = event.result;
      return [verdict === "DIVERGED" ? "error" : "info", `${table}: ${verdict}. ${reasons.join(" ")}`];
    }
    default:
      return null;
  }
}
