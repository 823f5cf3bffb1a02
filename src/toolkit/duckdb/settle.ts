import type { Pass } from "../../protocol/pass.ts";
import type { Changes, Settlement } from "../../protocol/sink.ts";
import type { Table } from "../../protocol/table.ts";
import type { Copy } from "./copies.ts";
import { deleteRows, mergedColumns, mergeRows, quotedSystem, timestamp, type Writing } from "./merge.ts";
import { quote } from "./names.ts";
import type { Session } from "./session.ts";
import { keepLast } from "./keep-last.ts";
import { keyColumns, keyedSource, sameKey, type Stage, staged } from "./stage.ts";

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
    AND NOT EXISTS (SELECT 1 FROM ${keyedSource(table, stage)} s WHERE ${sameKey(keys, "s", "t")})`;
}

/** Keys of a sweep that the copy lacks, has deleted, or has in another version, by the names of the stage. */
export function missingKeys(table: Table, copy: Copy, stage: Stage): string {
  const { synced, deleted } = quotedSystem(copy);
  const keys = keyColumns(table, copy);
  const version =
    table.version === null ? "FALSE" : `s.${staged(table.version)} IS DISTINCT FROM t.${quote(table.version)}`;
  return `SELECT DISTINCT ${keys.map((key) => `s.${key.stage}`).join(", ")}
    FROM ${stage.relation} s LEFT JOIN ${copy.relation} t ON ${sameKey(keys, "s", "t")}
    WHERE t.${synced} IS NULL OR t.${deleted} OR ${version}`;
}

export async function settlementOf(
  session: Session,
  mode: Mode,
  pass: Pass,
  table: Table,
  copy: Copy,
  stage: Stage | null,
): Promise<Settlement> {
  const count = (query: string): Promise<number> => session.number(`SELECT count(*) FROM (${query})`);
  const live = await count(`SELECT 1 FROM ${copy.relation} WHERE NOT ${quotedSystem(copy).deleted}`);
  if (stage === null || mode === "replace") return { live, missing: 0, gone: 0 };
  const missing = mode === "keys" ? await count(missingKeys(table, copy, stage)) : 0;
  return { live, missing, gone: await count(goneKeys(pass, table, copy, stage)) };
}

/** A first full pass is done: a key that came twice keeps its last row. */
export async function settleDirect(session: Session, table: Table, copy: Copy): Promise<Changes> {
  const twice = await keepLast(session, copy.relation, table, quote);
  return { inserted: -twice, updated: 0, deleted: 0 };
}

/** A later full pass is done: what differs is written, what it did not meet is deleted. */
export async function settleRows(
  writing: Writing,
  pass: Pass,
  table: Table,
  copy: Copy,
  stage: Stage,
): Promise<Changes> {
  if (table.key.length > 0) await keepLast(writing.session, stage.relation, table, staged);
  const source = keyedSource(table, stage);
  const written = await mergeRows(writing, copy, table, {
    source,
    columns: mergedColumns(stage, copy),
    flagged: false,
    before: pass.opened,
  });
  const { deleted } = await settleKeys(writing, pass, table, copy, stage);
  return { ...written, deleted };
}

/** Every key was met: those that were not are deleted. */
export async function settleKeys(
  writing: Writing,
  pass: Pass,
  table: Table,
  copy: Copy,
  stage: Stage,
): Promise<Changes> {
  return deleteRows(writing, copy, keyColumns(table, copy), goneKeys(pass, table, copy, stage));
}
