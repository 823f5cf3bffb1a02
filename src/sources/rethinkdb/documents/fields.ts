import { createHash } from "node:crypto";
import type { Column } from "../../../protocol/table.ts";

/** The version column: it shows whether a document changed. It is not a field of the document. */
export const versionColumn: Column = { name: "_headwaters_version", type: { kind: "STRING" }, nullable: true };

/** Names that destinations reserve for themselves. */
const reserved = /^_(headwaters|fivetran)_/i;

/**
 * The column name of each field. It is the field's own name, unless that is empty, reserved, or differs from another
 * column only by case, which destinations can't tell apart. Then a digest of the exact name is added, so that the
 * column has the same name in every process, whichever field was seen first.
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
    const special = field === "" || reserved.test(field);
    if (!special && this.#exact.has(field)) return field;
    const other = `${field}_${digest(field)}`;
    return special || this.#exact.has(other) || this.#folded.has(field.toLowerCase()) ? other : field;
  }
}

/** The field of a column. */
export function fieldOf(column: string): string {
  const [, field, added] = /^(.*)_([0-9a-f]{8})$/s.exec(column) ?? [];
  return field !== undefined && digest(field) === added ? field : column;
}

function digest(field: string): string {
  return createHash("md5").update(field).digest("hex").slice(0, 8);
}
