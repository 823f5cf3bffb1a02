import { HeadwatersError } from "../protocol/errors.ts";
import type { SourceContext } from "../protocol/source.ts";
import type { Table } from "../protocol/table.ts";
import { typeName } from "./types.ts";

/**
 * Columns of numbers that are read as text, because they once had a value that DECIMAL can't hold: NaN, an infinity, or
 * more than 38 digits. Their tables are planned again, and read whole: so every value has the form that a fresh copy has.
 */
export class TextColumns {
  readonly #context: Pick<SourceContext, "log" | "tables">;
  readonly #columns = new Set<string>();

  constructor(context: Pick<SourceContext, "log" | "tables">) {
    this.#context = context;
  }

  /** Whether a column that would be DECIMAL is read as text. */
  has(table: string, column: string): boolean {
    return this.#columns.has(JSON.stringify([table, column]));
  }

  /** Takes over the columns that copies have as text. */
  learn(known: readonly Table[]): void {
    for (const { id, columns } of known)
      for (const { name, type } of columns) if (type.kind === "STRING") this.#add(id, name);
  }

  /**
   * A value did not fit a column: resolves to the error that has the table planned again, with the column as text; `null`
   * if the column must stay as it is, since it is no number, a key, or the user has set its type.
   */
  widened(table: Table, column: string): HeadwatersError | null {
    const type = table.columns.find(({ name }) => name === column)?.type;
    const set = this.#context.tables[table.id]?.types?.[column] !== undefined;
    if (type?.kind !== "DECIMAL" || set || table.key.includes(column)) return null;
    const what = `table "${table.id}": column "${column}" has a value that ${typeName(type)} can't hold`;
    if (!this.has(table.id, column))
      this.#context.log.warn(`${what}: it is copied as STRING from now on, and the table is read whole`);
    this.#add(table.id, column);
    return new HeadwatersError("TABLE_CHANGED", what, {
      hint: "The table is planned again with the column as STRING.",
    });
  }

  #add(table: string, column: string): void {
    this.#columns.add(JSON.stringify([table, column]));
  }
}
