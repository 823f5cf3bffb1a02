import type { Json } from "./json.ts";

/** A query that the user wrote, to look at the copies. */
export interface UserQuery {
  readonly sql: string;
  /** Where names without a schema are looked for; empty: unknown. */
  readonly schema: string;
  /** The most rows of the result. */
  readonly limit: number;
  readonly signal: AbortSignal;
}

export interface QueryResult {
  readonly columns: readonly { readonly name: string; readonly isNumber: boolean }[];
  /** Values that JSON can't hold exactly are text. */
  readonly rows: readonly (readonly Json[])[];
  /** Whether there are more rows than the limit. */
  readonly more: boolean;
}
