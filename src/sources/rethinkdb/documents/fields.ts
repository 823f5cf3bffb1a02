import { createHash } from "node:crypto";
import type { Column } from "../../../protocol/table.ts";

/** The column that says of each document whether it changed; not one of its fields. */
export const versionColumn: Column = { name: "_headwaters_version", type: { kind: "STRING" }, nullable: true };

/** Names that destinations keep for themselves. */
const reserved = /^_(headwaters|fivetran)_/i;

/**
 * Which column a field goes to: one of its own name, unless that is empty, reserved, or differs from another column's
 * only by case, which destinations can't tell apart. Then a digest of the exact name is added, so that it is the same
 * in every process, whatever was seen first.
 */
export class FieldNames {
  readonly #columns = new Map<string, string>();
  readonly #folded = new Set<string>();
  readonly #exact = new Set<string>();

  /** Columns that are there already. */
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

/** The field whose column this is. */
export function fieldOf(column: string): string {
  const [, field, added] = /^(.*)_([0-9a-f]{8})$/s.exec(column) ?? [];
  return field !== undefined && digest(field) === added ? field : column;
}

function digest(field: string): string {
  return createHash("md5").update(field).digest("hex").slice(0, 8);
}
