import { width } from "./text.ts";

/**
 * A line of this many columns at most, in several lines: broken at blanks, later ones indented. A word that is longer
 * (a path, an address) stays whole, so that it can be copied.
 */
export function wrapped(line: string, columns: number): readonly string[] {
  if (width(line) <= columns) return [line];
  const [margin = ""] = /^ */.exec(line) ?? [];
  return atBlanks(line.slice(margin.length), columns - margin.length, "  ").map((part) => margin + part);
}

/** A list in a help text, in lines that fit any terminal. */
export function listOf(title: string, names: readonly string[]): string {
  return wrapped(`${title}: ${names.join(", ")}`, 80).join("\n");
}

/** A cell of this many columns, in several lines. Longer words are broken too. */
export function wrappedCell(cell: string, columns: number): readonly string[] {
  if (width(cell) <= columns) return [cell];
  return atBlanks(cell, columns, "").flatMap((line) => broken(line, columns));
}

function atBlanks(text: string, columns: number, indent: string): readonly string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line.trim() !== "" && width(line) + 1 + width(word) > columns) {
      lines.push(line.trimEnd());
      line = indent + word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

function broken(word: string, columns: number): readonly string[] {
  const lines: string[] = [];
  let line = "";
  for (const character of word) {
    if (line !== "" && width(line) + width(character) > columns) {
      lines.push(line);
      line = "";
    }
    line += character;
  }
  return [...lines, line];
}
