import type { DestinationContext } from "../../protocol/destination.ts";
import type { Changes } from "../../protocol/transaction.ts";
import type { Table } from "../../protocol/table.ts";
import { type Copy, prepareCopy } from "./copies.ts";
import { keepLast } from "./keep-last.ts";
import { ensureKeyIndex } from "./key-index.ts";
import { insertedColumns, insertedValues, mergedColumns, quotedSystem, type Writing } from "./merge.ts";
import { keyedSource, type Stage } from "./stage.ts";

/** A pass that replaces the copy is done: what it read becomes the copy; nothing of the old one is compared. */
export async function replaceCopy(
  { session, stamp }: Writing,
  context: DestinationContext,
  table: Table,
  old: Copy,
  stage: Stage,
): Promise<{ readonly changes: Changes; readonly copy: Copy }> {
  const live = `SELECT count(*) FROM ${old.relation} WHERE NOT ${quotedSystem(old).deleted}`;
  const deleted = await session.number(live);
  await session.run(`DROP TABLE ${old.relation}`);
  const made = await prepareCopy(session, context, table);
  await keepLast(session, table, made, stage);
  const columns = mergedColumns(stage, made);
  const inserted = await session.run(
    `INSERT INTO ${made.relation} (${insertedColumns(table, made, columns)})
      SELECT ${insertedValues(table, columns, stamp)} FROM ${keyedSource(table, stage)} s`,
  );
  const { copy } = await ensureKeyIndex(session, table, made);
  await session.run(`ANALYZE ${copy.relation}`);
  return { changes: { inserted, updated: 0, deleted }, copy };
}
