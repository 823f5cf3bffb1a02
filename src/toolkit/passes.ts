import { HeadwatersError } from "../protocol/errors.ts";
import type { Pass, PassKind, Split } from "../protocol/pass.ts";
import type { Column, Table } from "../protocol/table.ts";

/** The columns that a pass delivers of a table. A sweep delivers only the key and the version. */
export function passColumns(table: Table, kind: PassKind): readonly Column[] {
  if (kind !== "keys") return table.columns;
  return table.columns.filter(({ name }) => table.key.includes(name) || name === table.version);
}

/** The table of a split that covers one table. */
export function tableOfSplit(pass: Pass, split: Split): Table {
  const table = pass.tables.find(({ id }) => id === split.tables[0]);
  if (table === undefined) throw new HeadwatersError("DEFECT", `split ${split.id} is of no table of its pass`);
  return table;
}
