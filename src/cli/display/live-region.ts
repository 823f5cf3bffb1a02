import type { Output, Region } from "../output.ts";
import { cutStyled } from "./text.ts";

const hideCursor = "\x1b[?25l";
const showCursor = "\x1b[?25h";
/** Terminals that know it show what lies between at once (https://gist.github.com/christianparpart/d8a62cc1ab659194337d73e399004036). */
const beginFrame = "\x1b[?2026h";
const endFrame = "\x1b[?2026l";
const toLineEnd = "\x1b[K";
const toScreenEnd = "\x1b[J";

/**
 * Draws lines in place. Each frame goes out in one write, over the one before, and clears only what is behind each
 * line: the terminal never shows an empty region, so nothing flickers.
 */
export class LiveRegion implements Region {
  readonly #output: Output;
  #lines: readonly string[] = [];
  /** Lines that stand on the screen. */
  #drawn = 0;
  #last = "";

  constructor(output: Output) {
    this.#output = output;
    output.keepBelow(this);
    output.control(hideCursor);
  }

  draw(lines: readonly string[]): void {
    // A full last line would scroll; one that wraps could not be counted.
    const height = Math.max(1, this.#output.rows - 1);
    const shown = lines.slice(0, height).map((line) => cutStyled(this.#output.clean(line), this.#output.columns - 1));
    this.#lines = lines;
    const frame = shown.map((line) => `${line}${toLineEnd}\n`).join("");
    if (frame === this.#last && shown.length === this.#drawn) return;
    this.#output.control(`${beginFrame}${this.#up()}${frame}${toScreenEnd}${endFrame}`);
    this.#drawn = shown.length;
    this.#last = frame;
  }

  clear(): void {
    if (this.#drawn > 0) this.#output.control(`${this.#up()}${toScreenEnd}`);
    this.#drawn = 0;
    this.#last = "";
  }

  redraw(): void {
    this.draw(this.#lines);
  }

  /** What is drawn stays; the cursor is shown again. */
  [Symbol.dispose](): void {
    this.#output.keepBelow(null);
    this.#output.control(showCursor);
  }

  #up(): string {
    return this.#drawn === 0 ? "" : `\x1b[${this.#drawn}A\r`;
  }
}
