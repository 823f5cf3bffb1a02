import type { Json } from "./json.ts";
import type { Rows } from "./rows.ts";
import type { Table } from "./table.ts";

/**
 * What a source emits. Operations of one split are applied in their order.
 *
 * - `upsert`: whole rows; a column of the table that is absent becomes NULL.
 * - `update`: key columns and those that changed; ignored where the row does not exist.
 * - `delete`: key columns; ignored where the row does not exist.
 * - `keys`: key and version columns of rows that exist (in `keys` passes).
 * - `schema`: from here on rows of this split may have these columns: new ones, wider types. Splits that are read at the
 *   same time send theirs alone: the table has the columns of all, each as wide as its widest. Rows of a column that
 *   became wider may still come with the narrower type.
 * - `truncate`: the table's rows that were there before are gone.
 * - `checkpoint`: everything this split sent so far is whole; it resumes from `state`. In a `stream`, `asOf` moves the
 *   read point of the split's rows (ISO 8601, UTC, by the source's clock); without it the pass's read point holds. The
 *   end of a split is a checkpoint of its own.
 */
export type Operation =
  | { readonly kind: "upsert" | "update" | "delete" | "keys"; readonly table: string; readonly rows: Rows }
  | { readonly kind: "schema"; readonly table: Table }
  | { readonly kind: "truncate"; readonly table: string }
  | { readonly kind: "checkpoint"; readonly state: Json; readonly asOf?: string };
