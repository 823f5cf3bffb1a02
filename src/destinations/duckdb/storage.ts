import type { HeadwatersError } from "../../protocol/errors.ts";
import type { Rows } from "../../protocol/rows.ts";
import type { Table } from "../../protocol/table.ts";
import type { Type } from "../../protocol/types.ts";
import type { Sizes } from "./sizes.ts";

/** The differences between tables in a DuckDB file and in DuckLake. */
export interface Storage {
  /** The catalog that holds the copies; `null`: the database that was opened. */
  readonly catalog: string | null;
  /** A suffix for the names of one connection's bookkeeping tables: empty, or different for each connection. */
  ownSuffix(connection: string): string;
  /** As in `Dialect`. */
  readonly sealedRows: number;
  /** What is known of the sizes of rows; shared by all sessions. */
  readonly sizes: Sizes;
  /** Whether `=` on values of this type finds all rows although files are skipped by their statistics. */
  skips(type: Type): boolean;
  /** Statements that give a column a wider type. Every value stays exactly the same. */
  retype(relation: string, column: string, from: Type, type: Type): readonly string[];
  /** As in `Dialect`. */
  keepsComment(text: string): boolean;
  /** Throws if the database can't store the table's names, or the values of these rows. */
  vet(table: Table, rows: Rows | null): void;
  /** Converts an error of DuckDB into one for the user. */
  explain(thrown: unknown): HeadwatersError;
}
