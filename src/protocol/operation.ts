import type { Json } from "./json.ts";
import type { Rows } from "./rows.ts";
import type { Table } from "./table.ts";

/**
 * What a source sends. The operations of one split are applied in their order.
 *
 * - `upsert`: whole rows; columns that are absent become NULL.
 * - `update`: key columns, and the columns that changed; ignored if the row does not exist.
 * - `delete`: key columns; ignored if the row does not exist. With only some of the key columns: every row that has these
 *   values. A destination that can't read its copies need not support that.
 * - `keys`: key and version columns of rows that exist (in `keys` passes).
 * - `schema`: from here on, rows of this split may have these columns, new ones or wider ones. Each split sends its own;
 *   the table has the columns of all splits, each with its widest type. Rows may still come with the narrower type of a
 *   column that became wider.
 * - `truncate`: all earlier rows of the table are gone.
 * - `checkpoint`: everything that this split sent so far is complete; it resumes from `state`. In a `stream`, `asOf` moves the
 *   read point of the split's rows (ISO 8601, UTC, by the source's clock); without it the pass's read point holds. The
 *   end of a split is a checkpoint of its own.
 */
export type Operation =
  | { readonly kind: "upsert" | "update" | "delete" | "keys"; readonly table: string; readonly rows: Rows }
  | { readonly kind: "schema"; readonly table: Table }
  | { readonly kind: "truncate"; readonly table: string }
  | { readonly kind: "checkpoint"; readonly state: Json; readonly asOf?: string };
