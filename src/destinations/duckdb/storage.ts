import type { HeadwatersError } from "../../protocol/errors.ts";
import type { Rows } from "../../protocol/rows.ts";
import type { Table } from "../../protocol/table.ts";
import type { Type } from "../../protocol/types.ts";

/** What differs between tables in a DuckDB file and in a lake. */
export interface Storage {
  /** The catalog that holds the copies; `null`: the database that was opened. */
  readonly catalog: string | null;
  /** Put behind the names of the bookkeeping tables of one connection: nothing, or what tells connections apart. */
  ownSuffix(connection: string): string;
  /** Equality of values of this type may be left to what is known of whole files: it leaves no row out. */
  skips(type: Type): boolean;
  /** Statements that give a column a wider type, in which every value stays exactly what it is. */
  retype(relation: string, column: string, type: Type): readonly string[];
  /** Throws where the names of a table, or the values of these rows, can't be kept. */
  vet(table: Table, rows: Rows | null): void;
  /** Whatever DuckDB threw, as what the user sees. */
  explain(thrown: unknown): HeadwatersError;
}
