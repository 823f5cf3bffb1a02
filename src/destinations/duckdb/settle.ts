import type { Pass } from "../../protocol/pass.ts";
import type { Changes, Settlement } from "../../protocol/transaction.ts";
import type { Table } from "../../protocol/table.ts";
import type { Copy } from "./copies.ts";
import {
  comparedColumns,
  deleteRows,
  mergedColumns,
  mergeRows,
  quotedSystem,
  temporary,
  timestamp,
  type Writing,
} from "./merge.ts";
import { quote } from "./names.ts";
import type { Session } from "./session.ts";
import { keepLast } from "./keep-last.ts";
import { keyColumns, keyedSource, sameKey, type Stage, staged } from "./stage.ts";
import { differingBuckets } from "./differing-buckets.ts";

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
  if (table.key.length === 0) return gone(pass, table, copy, keyedSource(table, stage), copy.relation);
  const { buckets, ...rows } = differingBuckets(table, copy, stage, []);
  return `WITH differing AS MATERIALIZED (${buckets}) ${gone(pass, table, copy, rows.stage("differing"), rows.copy("differing"))}`;
}

/**
 * Keys of a sweep that the copy lacks, has deleted, or has in another version, by the names of the stage. A version that is
 * NULL says nothing of the row: it may have changed.
 */
export function missingKeys(table: Table, copy: Copy, stage: Stage): string {
  const { buckets, ...rows } = differingBuckets(table, copy, stage, versionOf(table), table.version);
  return `WITH differing AS MATERIALIZED (${buckets}) ${missing(table, copy, rows.stage("differing"), rows.copy("differing"))}`;
}

/** `source` and `target`: the rows of the stage and of the copy that come into question. */
function gone(pass: Pass, table: Table, copy: Copy, source: string, target: string): string {
  const { synced, deleted } = quotedSystem(copy);
  const keys = keyColumns(table, copy);
  const names = keys.map((key) => `t.${key.copy} AS ${key.stage}`).join(", ");
  return `SELECT ${names} FROM ${target} t WHERE NOT t.${deleted} AND t.${synced} <= ${timestamp(pass.opened)}
    AND NOT EXISTS (SELECT 1 FROM ${source} s WHERE ${sameKey(keys, "s", "t")})`;
}

function missing(table: Table, copy: Copy, source: string, target: string): string {
  const { synced, deleted } = quotedSystem(copy);
  const keys = keyColumns(table, copy);
  const [version] = versionOf(table);
  const differs =
    version === undefined
      ? "FALSE"
      : `s.${staged(version)} IS NULL OR s.${staged(version)} IS DISTINCT FROM t.${quote(version)}`;
  return `SELECT DISTINCT ${keys.map((key) => `s.${key.stage}`).join(", ")}
    FROM ${source} s LEFT JOIN ${target} t ON ${sameKey(keys, "s", "t")}
    WHERE t.${synced} IS NULL OR t.${deleted} OR ${differs}`;
}

function versionOf({ version }: Table): readonly string[] {
  return version === null ? [] : [version];
}

export async function settlementOf(
  session: Session,
  mode: Mode,
  pass: Pass,
  table: Table,
  copy: Copy,
  stage: Stage | null,
): Promise<Settlement> {
  const live = await session.number(`SELECT count(*) FROM ${copy.relation} WHERE NOT ${quotedSystem(copy).deleted}`);
  if (stage === null) return { live, missing: 0, gone: 0 };
  if (mode === "replace" || table.key.length === 0) {
    const brought = await session.number(`SELECT count(*) FROM ${stage.relation}`);
    return { live, missing: 0, gone: Math.max(0, live - brought) };
  }
  if (mode !== "keys")
    return {
      live,
      missing: 0,
      gone: await session.number(`SELECT count(*) FROM (${goneKeys(pass, table, copy, stage)})`),
    };
  const { buckets, ...rows } = differingBuckets(table, copy, stage, versionOf(table), table.version);
  const [source, target] = [rows.stage("differing"), rows.copy("differing")];
  const [counts] = await session.rows<{ missing: bigint; gone: bigint }>(
    `WITH differing AS MATERIALIZED (${buckets})
      SELECT (SELECT count(*) FROM (${missing(table, copy, source, target)})) AS missing,
        (SELECT count(*) FROM (${gone(pass, table, copy, source, target)})) AS gone`,
  );
  return { live, missing: Number(counts!.missing), gone: Number(counts!.gone) };
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
  const columns = mergedColumns(stage, copy);
  const incoming = { columns, flagged: false, before: pass.opened };
  let written: Changes;
  if (table.key.length === 0) {
    written = await mergeRows(writing, copy, table, { ...incoming, source: keyedSource(table, stage) });
  } else {
    const { session } = writing;
    await keepLast(session, stage.relation, table, staged);
    const { buckets, ...rows } = differingBuckets(table, copy, stage, comparedColumns(table, copy, columns));
    const chosen = temporary("buckets");
    await session.run(`CREATE TEMP TABLE ${chosen} AS ${buckets}`);
    const [source, target] = [rows.stage(chosen), rows.copy(chosen)];
    written = await mergeRows(writing, copy, table, { ...incoming, source, target });
    await session.run(`DROP TABLE ${chosen}`);
  }
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
