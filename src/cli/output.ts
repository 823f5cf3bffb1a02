import { colored, type Look, type Paint, plain, printable } from "./display/text.ts";
import { wrapped } from "./display/wrap.ts";
import type { Redactor } from "./redact.ts";

/** The part of `process.stdout` and `process.stderr` that is used. */
export interface OutputStream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
}

/** Text for people, or for programs, whose lines must stay as they are. */
type Shown = "wrapped" | "as it is";

/** Lines at the bottom of the terminal that are redrawn in place. Other output goes above them. */
export interface Region extends Disposable {
  clear(): void;
  redraw(): void;
}

/**
 * All output of the process. Secrets are removed from it, and so are control characters other than our own.
 */
export class Output implements Look {
  readonly redactor: Redactor;
  /** Whether standard output is a terminal on which lines can be redrawn. */
  readonly live: boolean;
  readonly paint: Paint;
  readonly paintError: Paint;
  readonly #out: OutputStream;
  readonly #error: OutputStream;
  #region: Region | null = null;

  constructor(out: OutputStream, error: OutputStream, environment: NodeJS.ProcessEnv, redactor: Redactor) {
    this.redactor = redactor;
    this.#out = out;
    this.#error = error;
    const movable = environment["TERM"] !== "dumb";
    // https://no-color.org: NO_COLOR counts if it is present and not empty.
    const colors = movable && (environment["NO_COLOR"] ?? "") === "";
    this.live = out.isTTY === true && movable;
    this.paint = out.isTTY === true && colors ? colored : plain;
    this.paintError = error.isTTY === true && colors ? colored : plain;
  }

  /** The width of the terminal; 80 if the terminal does not report it. The default of `rows` is 24. */
  get columns(): number {
    return this.#out.columns || 80;
  }

  /** The width of a line of results: that of the terminal, or any for a file or another program. */
  get width(): number {
    return this.#out.isTTY === true ? this.columns : Infinity;
  }

  get rows(): number {
    return this.#out.rows || 24;
  }

  /** Results: one or more lines to standard output. */
  line(text = "", how: Shown = "wrapped"): void {
    this.#above(this.#out.isTTY === true, () => this.#out.write(fitted(this.clean(text), how, this.#out)));
  }

  /** One JSON value in one line to standard output. */
  json(value: unknown): void {
    this.#out.write(`${JSON.stringify(this.redactor.json(value))}\n`);
  }

  /** Logs and errors: one or more lines to standard error. */
  error(text: string, how: Shown = "wrapped"): void {
    const safe = printable(this.redactor.text(text), this.paintError === colored);
    this.#above(this.#error.isTTY === true, () => this.#error.write(fitted(safe, how, this.#error)));
  }

  /** Whether people read standard error on a terminal. */
  get errorIsTerminal(): boolean {
    return this.#error.isTTY === true;
  }

  /** Text without secrets and control characters. */
  clean(text: string): string {
    return printable(this.redactor.text(text), this.paint === colored);
  }

  /** Writes terminal codes unchanged. The caller must clean the text between them. */
  control(codes: string): void {
    this.#out.write(codes);
  }

  /** From now on, other output goes above this region; `null`: there is no region any more. */
  keepBelow(region: Region | null): void {
    this.#region = region;
  }

  /** Restores the terminal, for a process that ends at once. */
  release(): void {
    this.#region?.[Symbol.dispose]();
  }

  #above(sameTerminal: boolean, write: () => void): void {
    if (!sameTerminal || this.#region === null) return write();
    this.#region.clear();
    write();
    this.#region.redraw();
  }
}

/** Lines for a stream. On a terminal they are wrapped at blanks. */
function fitted(text: string, how: Shown, { isTTY, columns }: OutputStream): string {
  const width = how === "wrapped" && isTTY === true ? columns || 80 : Infinity;
  const lines = text.split("\n").flatMap((line) => wrapped(line, width));
  return `${lines.join("\n")}\n`;
}
