/** The styles of text. Without colors they have no effect. */
export type Style = "bold" | "dim" | "red" | "green" | "yellow" | "cyan";

/** The codes that begin and end a style. */
const codes: Readonly<Record<Style, readonly [number, number]>> = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  cyan: [36, 39],
};

export type Paint = (style: Style, text: string) => string;

export const plain: Paint = (_, text) => text;

export const colored: Paint = (style, text) => `\x1b[${codes[style][0]}m${text}\x1b[${codes[style][1]}m`;

// oxlint-disable-next-line no-control-regex
const styling = /\x1b\[\d{1,2}m/g;

// oxlint-disable-next-line no-control-regex
const beforeAndAfterStyling = /(\x1b\[\d{1,2}m)/;

// oxlint-disable-next-line no-control-regex
const control = /\x1b\[\d{1,2}m|[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]/g;

/**
 * Text without control characters, so that a table's name can't move the cursor. Line feeds stay, and so do colors if
 * `colors` is set.
 */
export function printable(text: string, colors: boolean): string {
  return text.replace(control, (found) => {
    if (found.length > 1) return colors ? found : "";
    return found === "\t" ? " " : "\uFFFD";
  });
}

/** Scripts whose letters take two columns: Chinese, Japanese, Korean, and most emoji. */
const wide =
  /[\u1100-\u115F\u2E80-\u303E\u3041-\uA4CF\uAC00-\uD7A3\uF900-\uFAFF\uFE30-\uFE6F\uFF00-\uFF60\uFFE0-\uFFE6\u{1F300}-\u{1FAFF}\u{20000}-\u{3FFFD}]/u;

/** The columns that a text takes on a terminal. */
export function width(text: string): number {
  let columns = 0;
  for (const character of text.replace(styling, "")) {
    if (/\p{M}|\u200D/u.test(character)) continue;
    columns += wide.test(character) ? 2 : 1;
  }
  return columns;
}

/** Unstyled text, cut to this number of columns. Cut text ends in `…`. */
export function cut(text: string, columns: number): string {
  if (width(text) <= columns) return text;
  let kept = "";
  let used = 0;
  for (const character of text) {
    used += width(character);
    if (used > columns - 1) break;
    kept += character;
  }
  return columns < 1 ? "" : `${kept}…`;
}

/** A styled line, cut to this number of columns. Styles that are open at the cut are ended. */
export function cutStyled(line: string, columns: number): string {
  if (width(line) <= columns) return line;
  let kept = "";
  let used = 0;
  let cutOff = false;
  for (const part of line.split(beforeAndAfterStyling)) {
    if (part.startsWith("\x1b[")) kept += part;
    else if (!cutOff) {
      const room = columns - used;
      const fits = cut(part, room);
      cutOff = fits !== part;
      kept += fits;
      used += width(fits);
    }
  }
  return kept;
}

/** The layout of a table's column. */
export interface ColumnLayout {
  readonly title: string;
  readonly align: "left" | "right";
  /** The minimum width, so that a redrawn table does not move. */
  readonly least?: number;
}

/** Where lines are shown. */
export interface Look {
  readonly paint: Paint;
  /** The columns that a line may take; `Infinity`: any number. */
  readonly width: number;
}
