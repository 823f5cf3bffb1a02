import type { TableRun } from "../../protocol/state-store.ts";

/** What was done to one table so far. Plain JSON; a workflow adds them up too, so that this file loads nothing. */
export type Counts = Pick<TableRun, "rowsRead" | "bytesRead" | "inserted" | "updated" | "deleted" | "milliseconds"> & {
  readonly passes: readonly string[];
};

export const nothingDone: Counts = {
  passes: [],
  rowsRead: 0,
  bytesRead: 0,
  inserted: 0,
  updated: 0,
  deleted: 0,
  milliseconds: 0,
};

export function addCounts(one: Counts, other: Counts): Counts {
  return {
    passes: [...one.passes, ...other.passes],
    rowsRead: one.rowsRead + other.rowsRead,
    bytesRead: one.bytesRead + other.bytesRead,
    inserted: one.inserted + other.inserted,
    updated: one.updated + other.updated,
    deleted: one.deleted + other.deleted,
    milliseconds: one.milliseconds + other.milliseconds,
  };
}
