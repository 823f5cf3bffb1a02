import type { Pass } from "../../protocol/pass.ts";
import type { Changes } from "../../protocol/transaction.ts";
import { noChanges } from "../../toolkit/changes.ts";
import type { HeldRun } from "./held.ts";
import { insertedColumns, insertedValues, mergedColumns, truncateCopy } from "./merge.ts";
import type { PassTable } from "./pass-tables.ts";
import { mergeOperations } from "./pending.ts";
import { columnsOfCopy, partsOfStage } from "./parts.ts";
import { rowHash, staged, stagedId, stagedPlace, stageTargets } from "./stage.ts";
import type { Copy } from "./model.ts";
import type { Writing } from "./dialect.ts";

/**
 * Applies a held run. It takes the same ways as operations that are written directly, but from stage to stage. `groups`:
 * deletes of groups that came before the rows of the run.
 */
export async function replay(
  writing: Writing,
  pass: Pass,
  entry: PassTable,
  old: Copy,
  { kind, stage, counter }: HeldRun,
  groups: HeldRun["stage"],
): Promise<{ readonly changes: Changes; readonly copy: Copy }> {
  const { session } = writing;
  const { merging } = session.dialect;
  const { mode, table } = entry;
  if (stage === null || kind === "truncate") return { changes: await truncateCopy(writing, old), copy: old };
  const held = { ...stage, rows: counter.rows };
  if (kind === "keys") {
    await setAside(writing, entry, held);
    return { changes: noChanges, copy: old };
  }
  if (mode === "merge" || mode === "keys") {
    if (mode === "keys") await setAside(writing, entry, held);
    return mergeOperations(writing, table, old, { family: kind, stage, counter, groups });
  }
  // INSERT … SELECT does not keep the order of rows, so only the last row of each key is inserted.
  if (table.key.length > 0) await merging.keepLast(session, table, stage, pass.distinct === true);
  if (mode === "direct") return { changes: await append(writing, entry, old, held), copy: old };
  await setAside(writing, entry, held);
  return { changes: noChanges, copy: old };
}

type HeldStage = NonNullable<HeldRun["stage"]> & { readonly rows: number };

/** Inserts the held rows into the stage of the pass. */
async function setAside({ session }: Writing, { table, stage, counter }: PassTable, held: HeldStage): Promise<void> {
  const { dialect } = session;
  const columns = [...held.columns.keys()]
    .filter((name) => stage!.columns.has(name))
    .map((name) => ({
      name,
      sql: staged(dialect, name),
      value: `CAST(${staged(dialect, name)} AS ${dialect.typeName(stage!.columns.get(name)!)})`,
    }));
  const written = [
    ...columns,
    ...(table.key.length === 0
      ? [{ sql: stagedId, value: rowHash(dialect, table, new Map(columns.map(({ name, value }) => [name, value]))) }]
      : []),
    ...(dialect.numbered ? [{ sql: stagedPlace, value: `${counter.rows} + ${stagedPlace}` }] : []),
  ];
  for (const part of await partsOfStage(session, held)) {
    await session.run(
      `INSERT INTO ${stage!.relation} (${written.map(({ sql }) => sql).join(", ")})
        SELECT ${written.map(({ value }) => value).join(", ")} FROM ${part} h`,
    );
  }
  const targets = [...stageTargets(dialect, stage!).values()];
  await dialect.slicing.moved(session, table, held.relation, stage!.relation, targets);
  counter.rows += held.rows;
}

/** Inserts the held rows into the copy. */
async function append(
  { session, stamp }: Writing,
  { table }: PassTable,
  copy: Copy,
  held: HeldStage,
): Promise<Changes> {
  const columns = mergedColumns(session.dialect, held, copy);
  let inserted = 0;
  for (const part of await partsOfStage(session, held)) {
    inserted += await session.run(
      `INSERT INTO ${copy.relation} (${insertedColumns(session.dialect, table, copy, columns)})
        SELECT ${insertedValues(session.dialect, table, columns, stamp)} FROM ${part} s`,
    );
  }
  await session.dialect.slicing.moved(session, table, held.relation, copy.relation, columnsOfCopy(session, copy));
  return { ...noChanges, inserted };
}
