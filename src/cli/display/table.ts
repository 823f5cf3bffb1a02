import { type ColumnLayout, type Look, width } from "./text.ts";
import { wrappedCell } from "./wrap.ts";

/** Between columns. */
const gap = 2;

/** A column is not made narrower than this, nor than a cell that is styled. */
const leastColumn = 8;

/**
 * The lines of a table, with the titles first. Cells may be styled. If the table is too wide, the widest columns of text
 * are made narrower, and their cells go over several lines.
 */
export function tableLines(
  layout: readonly ColumnLayout[],
  rows: readonly (readonly string[])[],
  { paint, width: available }: Look,
): readonly string[] {
  const titles = layout.map(({ title }) => title);
  const widths = fitted(layout, [titles, ...rows], available);
  const lines = (cells: readonly string[]): readonly string[] => {
    const parts = cells.map((cell, index) => wrappedCell(cell, widths[index]!));
    const height = Math.max(1, ...parts.map((part) => part.length));
    return Array.from({ length: height }, (_, at) =>
      parts
        .map((part, index) => {
          const cell = part[at] ?? "";
          const blanks = " ".repeat(Math.max(0, widths[index]! - width(cell)));
          return layout[index]!.align === "left" ? cell + blanks : blanks + cell;
        })
        .join(" ".repeat(gap))
        .trimEnd(),
    );
  };
  return [...lines(titles).map((line) => paint("dim", line)), ...rows.flatMap(lines)];
}

function fitted(
  layout: readonly ColumnLayout[],
  rows: readonly (readonly string[])[],
  available: number,
): readonly number[] {
  const widths = layout.map(({ least = 0 }, index) => Math.max(least, ...rows.map((row) => width(row[index] ?? ""))));
  const smallest = layout.map(({ align }, index) => {
    const styled = rows.map((row) => row[index] ?? "").filter((cell) => cell.includes("\x1b"));
    return align === "right" ? widths[index]! : Math.min(widths[index]!, Math.max(leastColumn, ...styled.map(width)));
  });
  let over = widths.reduce((sum, one) => sum + one + gap, -gap) - available;
  while (over > 0) {
    const widest = widths.reduce(
      (best, one, index) => (one > smallest[index]! && one > (widths[best] ?? 0) ? index : best),
      -1,
    );
    if (widest < 0) break;
    widths[widest]!--;
    over--;
  }
  return widths;
}
