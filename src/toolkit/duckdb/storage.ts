import type { HeadwatersError } from "../../protocol/errors.ts";

/** What differs between tables in a DuckDB file and in a lake. */
export interface Storage {
  /** The catalog that holds the copies; `null`: the database that was opened. */
  readonly catalog: string | null;
  /** Put behind the names of the bookkeeping tables of one connection: nothing, or what tells connections apart. */
  ownSuffix(connection: string): string;
  /** Whatever DuckDB threw, as what the user sees. */
  explain(thrown: unknown): HeadwatersError;
}
