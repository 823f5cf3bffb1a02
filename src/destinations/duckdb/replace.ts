import type { DestinationContext } from "../../protocol/destination.ts";
import type { Changes } from "../../protocol/transaction.ts";
import type { Table } from "../../protocol/table.ts";
import { type Copy, prepareCopy } from "./copies.ts";
import { insertedColumns, insertedValues, mergedColumns, quotedSystem, type Writing } from "./merge.ts";
import { keepLast } from "./keep-last.ts";
import { keyedSource, type Stage, staged } from "./stage.ts";

/** A pass that replaces the copy is done: what it read becomes the copy; nothing of the old one is compared. */
export async function replaceCopy(
  writing: Writing,
  context: DestinationContext,
  table: Table,
  old: Copy,
  stage: Stage,
): Promise<Changes> {
  const { session, stamp } = writing;
  if (table.key.length > 0) await keepLast(session, stage.relation, table, staged);
  const live = `SELECT count(*) FROM ${old.relation} WHERE NOT ${quotedSystem(old).deleted}`;
  const deleted = await session.number(live);
  await session.run(`DROP TABLE ${old.relation}`);
  const copy = await prepareCopy(session, context, table);
  const columns = mergedColumns(stage, copy);
  const inserted = await session.run(
    `INSERT INTO ${copy.relation} (${insertedColumns(table, copy, columns)})
      SELECT ${insertedValues(table, columns, stamp)} FROM ${keyedSource(table, stage)} s`,
  );
  return { inserted, updated: 0, deleted };
}
