import type { Output, Region } from "../output.ts";
import { cutStyled } from "./text.ts";

const hideCursor = "\x1b[?25l";
const showCursor = "\x1b[?25h";
/**
 * Terminals that support this mode show all output between its begin and end at once
 * (https://gist.github.com/christianparpart/d8a62cc1ab659194337d73e399004036).
 */
const beginFrame = "\x1b[?2026h";
const endFrame = "\x1b[?2026l";
const toLineEnd = "\x1b[K";
const toScreenEnd = "\x1b[J";

/**
 * Draws lines in place. Each frame is one write over the last frame, and clears only the rest of each line. The
 * terminal never shows an empty region, so the lines do not flicker.
 */
export class LiveRegion implements Region {
  readonly #output: Output;
  #lines: readonly string[] = [];
  /** The number of lines on the screen. */
  #drawn = 0;
  #last = "";

  constructor(output: Output) {
    this.#output = output;
    output.keepBelow(this);
    output.control(hideCursor);
  }

  draw(lines: readonly string[]): void {
    // A frame of full height would scroll, and a line that wraps would take more than one row.
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

  /** Shows the cursor again. The last frame stays on the screen. */
  [Symbol.dispose](): void {
    this.#output.keepBelow(null);
    this.#output.control(showCursor);
  }

  #up(): string {
    return this.#drawn === 0 ? "" : `\x1b[${this.#drawn}A\r`;
  }
}
