import { colored, type Paint, plain, printable } from "./display/text.ts";
import type { Redactor } from "./redact.ts";

/** The part of `process.stdout` and `process.stderr` that is used. */
export interface OutputStream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
}

/** Lines at the bottom of the terminal that are redrawn in place. Other output goes above them. */
export interface Region extends Disposable {
  clear(): void;
  redraw(): void;
}

/**
 * All output of the process. Secrets are removed from it, and so are control characters other than our own.
 */
export class Output {
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

  get rows(): number {
    return this.#out.rows || 24;
  }

  /** Results: one or more lines to standard output. */
  line(text = ""): void {
    this.#above(this.#out.isTTY === true, () => this.#out.write(`${this.clean(text)}\n`));
  }

  /** One JSON value in one line to standard output. */
  json(value: unknown): void {
    this.#out.write(`${JSON.stringify(this.redactor.json(value))}\n`);
  }

  /** Logs and errors: one or more lines to standard error. */
  error(text: string): void {
    const safe = printable(this.redactor.text(text), this.paintError === colored);
    this.#above(this.#error.isTTY === true, () => this.#error.write(`${safe}\n`));
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
