import { createHash } from "node:crypto";
import type { Column } from "../../../protocol/table.ts";

/** The version column: it shows whether a document changed. It is not a field of the document. */
export const versionColumn: Column = { name: "_headwaters_version", type: { kind: "STRING" }, nullable: true };

/** Names that destinations reserve for themselves. */
const reserved = /^_(headwaters|fivetran)_/i;

/**
 * The column name of each field. It is the field's own name, unless that is empty, reserved, has a NUL, ends like a name
 * that was made here, or differs from another column only by case, which destinations can't tell apart. Then a digest of
 * the exact name is added, so that the column has the same name in every process, whichever field was seen first.
 */
export class FieldNames {
  readonly #columns = new Map<string, string>();
  readonly #folded = new Set<string>();
  readonly #exact = new Set<string>();

  /** Adds existing columns. */
  add(columns: readonly Column[]): void {
    for (const { name } of columns) {
      this.#exact.add(name);
      this.#folded.add(name.toLowerCase());
    }
  }

  columnOf(field: string): string {
    const known = this.#columns.get(field);
    if (known !== undefined) return known;
    const column = this.#choose(field);
    this.#columns.set(field, column);
    this.#exact.add(column);
    this.#folded.add(column.toLowerCase());
    return column;
  }

  #choose(field: string): string {
    const special = field === "" || reserved.test(field) || field.includes("\0") || fieldOf(field) !== field;
    if (!special && this.#exact.has(field)) return field;
    const other = `${withoutNul(field)}_${digest(field)}`;
    return special || this.#exact.has(other) || this.#folded.has(field.toLowerCase()) ? other : field;
  }
}

/** The field of a column. */
export function fieldOf(column: string): string {
  const [, field = "", added] = /^(.*)_([0-9a-f]{8})$/s.exec(column) ?? [];
  return [field, withNul(field)].find((name) => digest(name) === added) ?? column;
}

/** Names in SQL end at a NUL. `␀0` stands for it, and `␀1` for the sign itself. */
function withoutNul(field: string): string {
  return field.includes("\0") ? field.replaceAll("␀", "␀1").replaceAll("\0", "␀0") : field;
}

function withNul(name: string): string {
  return name.replaceAll("␀0", "\0").replaceAll("␀1", "␀");
}

function digest(field: string): string {
  return createHash("md5").update(field).digest("hex").slice(0, 8);
}
