import type { Pass } from "../../protocol/pass.ts";
import type { Changes, Settlement } from "../../protocol/transaction.ts";
import type { Table } from "../../protocol/table.ts";
import { noChanges } from "../../toolkit/changes.ts";
import { type Copy, storedType } from "./copies.ts";
import { keepLast } from "./keep-last.ts";
import { ensureKeyIndex, isProbed, makeRoomForKeys } from "./key-index.ts";
import { deleteRows, mergedColumns, mergeRows, quotedSystem, timestamp, type Writing } from "./merge.ts";
import { quoted } from "./names.ts";
import type { Session } from "./session.ts";
import { keyColumns, keyedSource, sameKey, type Stage, staged } from "./stage.ts";
import { comparable } from "./types.ts";

/**
 * How the rows of a pass reach the copy.
 *
 * - `direct`: appended, for a copy that had no row when the pass was opened.
 * - `set aside`: into a stage that lasts until the pass is settled.
 * - `replace`: likewise, and what is in the stage becomes the copy.
 * - `keys`: keys and versions into a stage; rows that are looked up are merged.
 * - `merge`: into the copy with each commit.
 */
export type Mode = "direct" | "set aside" | "replace" | "keys" | "merge";

/** Keys of live rows that the copy had before the pass and the pass did not meet, by the names of the stage. */
export function goneKeys(pass: Pass, table: Table, copy: Copy, stage: Stage): string {
  const { synced, deleted } = quotedSystem(copy);
  const keys = keyColumns(table, copy);
  const names = keys.map((key) => `t.${key.copy} AS ${key.stage}`).join(", ");
  return `SELECT ${names} FROM ${copy.relation} t WHERE NOT t.${deleted} AND t.${synced} <= ${timestamp(pass.opened)}
    AND NOT EXISTS (SELECT FROM ${keyedSource(table, stage)} s WHERE ${sameKey(keys, "s", "t", isProbed(table, copy))})`;
}

/**
 * Keys of a sweep that the copy lacks, has deleted, or has in another version, by the names of the stage. A version that is
 * NULL says nothing of the row: it may have changed.
 */
export function missingKeys(table: Table, copy: Copy, stage: Stage): string {
  const { synced, deleted } = quotedSystem(copy);
  const keys = keyColumns(table, copy);
  const { version } = table;
  const type = version === null ? undefined : storedType(copy, version);
  const differs =
    version === null || type === undefined
      ? "false"
      : `s.${staged(version)} IS NULL OR ${comparable(`s.${staged(version)}`, type)} IS DISTINCT FROM ${comparable(`t.${quoted(version)}`, type)}`;
  const list = keys.map((key) => `${comparable(`s.${key.stage}`, key.type)} AS ${key.stage}`).join(", ");
  return `SELECT DISTINCT ${list}
    FROM ${stage.relation} s LEFT JOIN ${copy.relation} t ON ${sameKey(keys, "s", "t", isProbed(table, copy))}
    WHERE t.${synced} IS NULL OR t.${deleted} OR ${differs}`;
}

export async function settlementOf(
  session: Session,
  mode: Mode,
  pass: Pass,
  table: Table,
  copy: Copy,
  stage: Stage | null,
): Promise<Settlement> {
  const count = (query: string): Promise<number> => session.number(`SELECT count(*) FROM (${query}) AS counted`);
  const live = await count(`SELECT FROM ${copy.relation} WHERE NOT ${quotedSystem(copy).deleted}`);
  if (stage === null) return { live, missing: 0, gone: 0 };
  if (mode === "replace" || table.key.length === 0) {
    return { live, missing: 0, gone: Math.max(0, live - (await count(`SELECT FROM ${stage.relation}`))) };
  }
  await session.run(`ANALYZE ${stage.relation}`);
  const missing = mode === "keys" ? await count(missingKeys(table, copy, stage)) : 0;
  return { live, missing, gone: await count(goneKeys(pass, table, copy, stage)) };
}

/** A first full pass is done: a key that came twice keeps its last row. */
export async function settleDirect(
  session: Session,
  table: Table,
  old: Copy,
): Promise<{ readonly changes: Changes; readonly copy: Copy }> {
  const { copy, removed } = await ensureKeyIndex(session, table, old);
  await session.run(`ANALYZE ${copy.relation}`);
  return { changes: { ...noChanges, inserted: -removed }, copy };
}

/** A later full pass is done: what differs is written, what it did not meet is deleted. */
export async function settleRows(
  writing: Writing,
  pass: Pass,
  table: Table,
  old: Copy,
  stage: Stage,
): Promise<{ readonly changes: Changes; readonly copy: Copy }> {
  await keepLast(writing.session, table, old, stage);
  const copy = await makeRoomForKeys(writing.session, table, old, stage);
  const source = keyedSource(table, stage);
  const written = await mergeRows(writing, copy, table, {
    source,
    columns: mergedColumns(stage, copy),
    flagged: false,
    before: pass.opened,
  });
  const { deleted } = await settleKeys(writing, pass, table, copy, stage);
  return { changes: { ...written, deleted }, copy };
}

/** Every key was met: those that were not are deleted. */
export function settleKeys(writing: Writing, pass: Pass, table: Table, copy: Copy, stage: Stage): Promise<Changes> {
  return deleteRows(writing, copy, table, goneKeys(pass, table, copy, stage));
}
