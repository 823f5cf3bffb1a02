/**
 * A terminal as far as the command line uses one: text, `\r`, `\n`, colors (dropped), cursor up, clear to the end of
 * line and screen, cursor and frame modes. Wider lines go on in the next. Throws at anything else.
 */
export class Screen {
  readonly isTTY = true;
  columns: number;
  rows: number;
  cursorVisible = true;
  /** Every text that was written, for what stands between the frames. */
  readonly writes: string[] = [];
  #lines: string[][] = [[]];
  #row = 0;
  #column = 0;

  constructor(columns = 100, rows = 24) {
    this.columns = columns;
    this.rows = rows;
  }

  write(text: string): boolean {
    this.writes.push(text);
    // oxlint-disable-next-line no-control-regex
    for (const part of text.match(/\x1b\[\??[\d;]*[A-Za-z]|[^\x1b]/gu) ?? []) this.#apply(part);
    return true;
  }

  /** What stands there, without blanks at the ends of lines or empty lines at the end. */
  get text(): string {
    return this.#lines
      .map((line) =>
        Array.from(line, (character) => character ?? " ")
          .join("")
          .trimEnd(),
      )
      .join("\n")
      .trimEnd();
  }

  #apply(part: string): void {
    if (part === "\n") {
      this.#row++;
      this.#column = 0;
      this.#lines[this.#row] ??= [];
    } else if (part === "\r") {
      this.#column = 0;
    } else if (!part.startsWith("\x1b")) {
      if (this.#column >= this.columns) this.#apply("\n");
      this.#lines[this.#row]![this.#column++] = part;
    } else {
      this.#control(part);
    }
  }

  #control(code: string): void {
    // oxlint-disable-next-line no-control-regex
    if (/^\x1b\[\d{1,2}m$/.test(code) || code === "\x1b[?2026h" || code === "\x1b[?2026l") return;
    // oxlint-disable-next-line no-control-regex
    const up = /^\x1b\[(\d+)A$/.exec(code);
    if (up !== null) {
      this.#row -= Number(up[1]);
      if (this.#row < 0) throw new Error("the cursor left the screen");
    } else if (code === "\x1b[K") {
      this.#lines[this.#row]!.length = this.#column;
    } else if (code === "\x1b[J") {
      this.#lines[this.#row]!.length = this.#column;
      this.#lines.length = this.#row + 1;
    } else if (code === "\x1b[?25l" || code === "\x1b[?25h") {
      this.cursorVisible = code.endsWith("h");
    } else {
      throw new Error(`unexpected code ${JSON.stringify(code)}`);
    }
  }
}

/** A pipe that keeps what is written. */
export class Pipe {
  text = "";

  write(text: string): boolean {
    this.text += text;
    return true;
  }
}
