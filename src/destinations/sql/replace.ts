import type { Changes } from "../../protocol/transaction.ts";
import type { Pass } from "../../protocol/pass.ts";
import type { Table } from "../../protocol/table.ts";
import { type Copies, countLive } from "./copies.ts";
import { analyze, insertedColumns, insertedValues, mergedColumns } from "./merge.ts";
import { columnsOfCopy, partsOfStage } from "./parts.ts";
import { keyedSource } from "./stage.ts";
import type { Copy, Stage } from "./model.ts";
import type { Writing } from "./dialect.ts";

/** Completes a pass that replaces the copy: its rows become the copy, and are not compared with the old copy. */
export async function replaceCopy(
  { session, stamp }: Writing,
  copies: Copies,
  pass: Pass,
  table: Table,
  old: Copy,
  stage: Stage,
): Promise<{ readonly changes: Changes; readonly copy: Copy }> {
  const { dialect } = session;
  if (table.key.length > 0) await dialect.merging.keepLast(session, table, stage, pass.distinct === true);
  const deleted = await countLive(session, old);
  await copies.drop(old);
  const made = await copies.prepare(table);
  const columns = mergedColumns(dialect, stage, made);
  // Equal rows of a table without a key are numbered, which takes them all.
  const sources = table.key.length > 0 ? await partsOfStage(session, stage) : [keyedSource(dialect, table, stage)];
  let inserted = 0;
  for (const source of sources) {
    inserted += await session.run(
      `INSERT INTO ${made.relation} (${insertedColumns(dialect, table, made, columns)})
        SELECT ${insertedValues(dialect, table, columns, stamp)} FROM ${source} s`,
    );
  }
  await dialect.slicing.moved(session, table, stage.relation, made.relation, columnsOfCopy(session, made));
  const copy = await dialect.merging.prepare(session, "merge", table, made);
  await analyze(session, copy.relation);
  return { changes: { inserted, updated: 0, deleted }, copy };
}
