import type { Changes } from "../../protocol/transaction.ts";
import type { Table } from "../../protocol/table.ts";
import { noChanges } from "../../toolkit/changes.ts";
import { countLive, quotedSystem, storedType } from "./copies.ts";
import type { Counter, Dialect, Session, Writing, Incoming } from "./dialect.ts";
import { temporary, timestamp } from "./names.ts";
import { staged, stagedDeleted, stagedId, stagedPlace } from "./stage.ts";
import type { Copy, Stage } from "./model.ts";

/** The actions for a row of a stage. */
export const insert = 1;
export const revive = 2;
export const rewrite = 3;
export const remove = 4;

/** SQL for row `s` of a stage and row `t` of the copy, if any: `what` is the action, `when` is the condition for it. */
export function decision(
  { session: { dialect } }: Writing,
  table: Table,
  copy: Copy,
  { stage, flagged, before }: Incoming,
): { readonly what: string; readonly when: string } {
  const { synced, deleted } = quotedSystem(dialect, copy);
  const gone = flagged ? `s.${stagedDeleted}` : "false";
  const young = before === null ? "false" : `t.${synced} > ${timestamp(before)}`;
  const differs = difference(dialect, table, copy, [...stage.columns.keys()]);
  return {
    what: `CASE WHEN ${gone} THEN ${remove} WHEN t.${synced} IS NULL THEN ${insert} WHEN t.${deleted} THEN ${revive} ELSE ${rewrite} END`,
    when: `CASE WHEN ${gone} THEN t.${synced} IS NOT NULL AND NOT t.${deleted}
      ELSE t.${synced} IS NULL OR (NOT (${young}) AND (t.${deleted} OR ${differs})) END`,
  };
}

/** Counts the actions in the column `what` of a table. */
export async function countChanges(
  session: Session,
  changes: string,
): Promise<Changes & { readonly rewritten: number; readonly revived: number }> {
  const rows = await session.rows(`SELECT what, count(*) AS n FROM ${changes} GROUP BY what`);
  const count = (what: number): number => Number(rows.find((row) => Number(row["what"]) === what)?.["n"] ?? 0);
  return {
    inserted: count(insert) + count(revive),
    updated: count(rewrite),
    deleted: count(remove),
    revived: count(revive),
    rewritten: count(revive) + count(rewrite),
  };
}

/** Updates existing rows of the copy that differ from their rows in a stage. */
export async function updateRows(
  { session, stamp, changing }: Writing,
  table: Table,
  copy: Copy,
  { relation, columns }: Stage,
): Promise<Changes> {
  const { dialect } = session;
  const { synced, deleted } = quotedSystem(dialect, copy);
  const set = assignments(dialect, table, [...columns.keys()]);
  if (set.length === 0) return noChanges;
  const found = dialect.merging.sameKey(dialect, table, copy, "s", "t");
  const updated = await changing(`JOIN ${relation} s ON ${found}`, () =>
    session.run(
      `UPDATE ${copy.relation} t SET ${set.join(", ")}, ${synced} = ${timestamp(stamp)} FROM ${relation} s
        WHERE ${found} AND NOT t.${deleted} AND (${difference(dialect, table, copy, [...columns.keys()])})`,
    ),
  );
  return { ...noChanges, updated };
}

/** The SET list of an UPDATE of a copy by rows `s` of a stage. */
export function assignments(dialect: Dialect, table: Table, columns: readonly string[]): readonly string[] {
  return columns
    .filter((name) => hasValue(table, name))
    .map((name) => `${dialect.quote(name)} = s.${staged(dialect, name)}`);
}

/** The SET list of an UPDATE that marks rows of a copy as deleted. */
export function markedDeleted({ session: { dialect }, stamp }: Writing, copy: Copy): string {
  const { synced, deleted } = quotedSystem(dialect, copy);
  return `${deleted} = true, ${synced} = ${timestamp(stamp)}`;
}

/** Deletes every row of the copy. */
export async function truncateCopy(writing: Writing, copy: Copy): Promise<Changes> {
  const { session, deletion } = writing;
  const truncated = await writing.changing(null, async () => {
    if (deletion === "soft") {
      const { deleted } = quotedSystem(session.dialect, copy);
      return session.run(`UPDATE ${copy.relation} SET ${markedDeleted(writing, copy)} WHERE NOT ${deleted}`);
    }
    const live = await countLive(session, copy);
    // Not TRUNCATE: in PostgreSQL, a reader with an older snapshot would see no rows.
    await session.run(`DELETE FROM ${copy.relation}`);
    return live;
  });
  return { ...noChanges, deleted: truncated };
}

/** Deletes live rows of the copy. `gone` is a query of their keys, with the column names of a stage. */
export async function deleteRows(writing: Writing, table: Table, copy: Copy, gone: string): Promise<Changes> {
  const { session, deletion } = writing;
  const { dialect } = session;
  const keysToDelete = temporary(session, "delete");
  await session.run(`CREATE TEMPORARY TABLE ${keysToDelete} AS ${gone}`);
  const count = await session.number(`SELECT count(*) FROM ${keysToDelete}`);
  const found = dialect.merging.sameKey(dialect, table, copy, "m", "t");
  const which = `NOT t.${quotedSystem(dialect, copy).deleted} AND ${found}`;
  if (count > 0) {
    await analyze(session, keysToDelete);
    await writing.changing(`JOIN ${keysToDelete} m ON ${found}`, () =>
      session.run(
        deletion === "hard"
          ? `DELETE FROM ${copy.relation} t USING ${keysToDelete} m WHERE ${which}`
          : `UPDATE ${copy.relation} t SET ${markedDeleted(writing, copy)} FROM ${keysToDelete} m WHERE ${which}`,
      ),
    );
  }
  await session.run(`DROP TABLE ${keysToDelete}`);
  return { ...noChanges, deleted: count };
}

/** Deletes the live rows of the copy that have the values of a row in the stage, whose columns are some of the key's. */
export async function deleteGroups(writing: Writing, table: Table, copy: Copy, stage: Stage): Promise<Changes> {
  return deleteRows(writing, table, copy, keysOfGroups(writing.session.dialect, table, copy, stage));
}

/**
 * Adds to a stage of rows, as deleted, the live rows of the copy that `groups` has and the stage lacks: those that come again
 * are only compared. `counter` counts the rows of the stage.
 */
export async function addGroups(
  { session }: Writing,
  table: Table,
  copy: Copy,
  groups: Stage,
  { stage, counter }: { readonly stage: Stage; readonly counter: Counter },
): Promise<void> {
  const { dialect } = session;
  const again = `SELECT 1 FROM ${stage.relation} r WHERE ${dialect.merging.sameKey(dialect, table, copy, "r", "t")}`;
  const gone = `${keysOfGroups(dialect, table, copy, groups)} AND NOT EXISTS (${again})`;
  const keys = table.key.map((name) => staged(dialect, name)).join(", ");
  const [place, number] = dialect.numbered
    ? [`, ${stagedPlace}`, `, ${counter.rows} + row_number() OVER ()`]
    : ["", ""];
  counter.rows += await session.run(
    `INSERT INTO ${stage.relation} (${keys}, ${stagedDeleted}${place}) SELECT ${keys}, true${number} FROM (${gone}) g`,
  );
}

/** A query of the keys of those live rows, with the column names of a stage. */
function keysOfGroups(dialect: Dialect, table: Table, copy: Copy, stage: Stage): string {
  const given = [...stage.columns.keys()];
  const list = given.map((name) => staged(dialect, name)).join(", ");
  const keys = table.key.map((name) => `t.${dialect.quote(name)} AS ${staged(dialect, name)}`).join(", ");
  const found = dialect.merging.sameKey(dialect, { ...table, key: given }, copy, "s", "t");
  return `SELECT ${keys} FROM ${copy.relation} t JOIN (SELECT DISTINCT ${list} FROM ${stage.relation}) s ON ${found}
    WHERE NOT t.${quotedSystem(dialect, copy).deleted}`;
}

/** Updates the statistics of a newly filled table, if the database needs it. */
export async function analyze(session: Session, relation: string): Promise<void> {
  if (session.dialect.analyzes) await session.run(`ANALYZE ${relation}`);
}

/** The condition that row `s` of a stage differs from row `t` of the copy in a compared column. */
function difference(dialect: Dialect, table: Table, copy: Copy, columns: readonly string[]): string {
  return (
    comparedColumns(dialect, table, copy, columns)
      .map((name) => {
        const type = storedType(dialect, copy, name)!;
        const [s, t] = [`s.${staged(dialect, name)}`, `t.${dialect.quote(name)}`];
        return dialect.differ(s, t, type);
      })
      .join(" OR ") || "false"
  );
}

/** Whether rows with the same key may differ in a column: one of the key is a float, of which -0 and 0 are one key. */
function hasValue({ key, columns }: Table, name: string): boolean {
  const kind = columns.find((column) => column.name === name)?.type.kind;
  return !key.includes(name) || kind === "FLOAT" || kind === "DOUBLE";
}

/** Those of `columns` that are compared between the source and the copy. */
export function comparedColumns(
  dialect: Dialect,
  table: Table,
  copy: Copy,
  columns: readonly string[],
): readonly string[] {
  return table.columns
    .filter(({ name, volatile }) => volatile !== true && storedType(dialect, copy, name) !== undefined)
    .map(({ name }) => name)
    .filter((name) => columns.includes(name) && hasValue(table, name));
}

/** The columns of a stage that exist in the copy. */
export function mergedColumns(dialect: Dialect, stage: Stage, copy: Copy): readonly string[] {
  return [...stage.columns.keys()].filter((name) => storedType(dialect, copy, name) !== undefined);
}

/** The quoted columns for the values of {@link insertedValues}. */
export function insertedColumns(dialect: Dialect, table: Table, copy: Copy, columns: readonly string[]): string {
  const { id, synced, deleted } = quotedSystem(dialect, copy);
  return [...columns.map(dialect.quote), ...(table.key.length === 0 ? [id] : []), synced, deleted].join(", ");
}

/** The values to insert from rows `s` of a stage. */
export function insertedValues(dialect: Dialect, table: Table, columns: readonly string[], stamp: string): string {
  const own = columns.map((name) => `s.${staged(dialect, name)}`);
  return [...own, ...(table.key.length === 0 ? [`s.${stagedId}`] : []), timestamp(stamp), "false"].join(", ");
}
