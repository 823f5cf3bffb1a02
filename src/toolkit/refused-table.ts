import { asHeadwatersError } from "../protocol/errors.ts";
import type { Table } from "../protocol/table.ts";

/**
 * The table in place of one whose description failed, so that it fails alone. Errors that may pass by themselves are thrown
 * again: the source is then asked once more.
 */
export function refusedTable(id: string, thrown: unknown): Table {
  const error = asHeadwatersError(thrown);
  if (error.remedy === "retry") throw thrown;
  const nothing = { columns: [], key: [], identity: "", cursor: null, version: null, estimatedRows: null, notes: [] };
  return { id, ...nothing, refused: error };
}
