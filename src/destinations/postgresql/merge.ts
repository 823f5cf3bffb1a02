import type { Deletion } from "../../protocol/destination.ts";
import type { Changes } from "../../protocol/transaction.ts";
import type { Table } from "../../protocol/table.ts";
import { noChanges } from "../../toolkit/changes.ts";
import { escapeIdentifier, escapeLiteral } from "../../wire/postgres/literals.ts";
import { type Copy, storedType } from "./copies.ts";
import { isProbed } from "./key-index.ts";
import { quoted } from "./names.ts";
import type { Session } from "./session.ts";
import { type KeyColumn, keyColumns, sameKey, type Stage, staged, stagedDeleted, stagedPlace } from "./stage.ts";
import { comparable } from "./types.ts";

/** How rows are written to a copy. */
export interface Writing {
  readonly session: Session;
  /** Goes to the synced column: ISO 8601, UTC. */
  readonly stamp: string;
  readonly deletion: Deletion;
}

export function timestamp(iso: string): string {
  return `${escapeLiteral(iso)}::timestamptz`;
}

let temporaries = 0;

/** The name of a table that lasts as long as its session, or its transaction. */
export function temporary(kind: string): string {
  return escapeIdentifier(`${kind}_${++temporaries}`);
}

/** What is to happen to a row of the stage. */
const insert = 1;
const revive = 2;
const rewrite = 3;
const remove = 4;

/** What {@link mergeRows} is to know of the rows, beside the stage that they are in. */
export interface Incoming {
  /** The stage, or a query over it. */
  readonly source: string;
  readonly columns: readonly string[];
  /** The stage says of each row whether it was deleted. */
  readonly flagged: boolean;
  /** Rows of the copy with a later stamp are left alone: ISO 8601, UTC. */
  readonly before: string | null;
}

/**
 * Writes what differs: keys that the copy lacks, that are deleted there, or whose other columns differ. What is equal is
 * neither written nor stamped. Of each key there must be one row. What is to be done is found first, by one join, and
 * kept as places in the stage and in the copy. Rows are then updated, inserted or deleted by these: each statement
 * touches only its own rows, and an update keeps what a user's column holds.
 */
export async function mergeRows(
  writing: Writing,
  copy: Copy,
  table: Table,
  { source, columns, flagged, before }: Incoming,
): Promise<Changes> {
  const { session, stamp, deletion } = writing;
  const { synced, deleted } = quotedSystem(copy);
  const keys = keyColumns(table, copy);
  const changes = temporary("changes");
  const gone = flagged ? `s.${stagedDeleted}` : "false";
  const differs = difference(table, copy, columns, keys);
  const young = before === null ? "false" : `t.${synced} > ${timestamp(before)}`;
  await session.run(
    `CREATE TEMPORARY TABLE ${changes} AS
      SELECT s.${stagedPlace} AS place, t.ctid AS row,
        CASE WHEN ${gone} THEN ${remove} WHEN t.${synced} IS NULL THEN ${insert} WHEN t.${deleted} THEN ${revive} ELSE ${rewrite} END AS what
      FROM ${source} s LEFT JOIN ${copy.relation} t ON ${sameKey(keys, "s", "t", isProbed(table, copy))}
      WHERE CASE WHEN ${gone} THEN t.${synced} IS NOT NULL AND NOT t.${deleted}
        ELSE t.${synced} IS NULL OR (NOT (${young}) AND (t.${deleted} OR ${differs})) END`,
  );
  await session.run(`ANALYZE ${changes}`);
  const counts = await countChanges(session, changes);
  const matched = `${source} s JOIN ${changes} m ON s.${stagedPlace} = m.place`;
  // The place alone would do, if nobody else wrote here: a row that a user moved is left to the next pass.
  const found = `t.ctid = m.row AND ${sameKey(keys, "s", "t", false)}`;
  if (counts.rewritten > 0) {
    const set = columns
      .filter((name) => !table.key.includes(name))
      .map((name) => `${quoted(name)} = s.${staged(name)}`);
    const stamped = [...set, `${synced} = ${timestamp(stamp)}`, `${deleted} = false`].join(", ");
    await session.run(
      `UPDATE ${copy.relation} t SET ${stamped} FROM ${matched} WHERE m.what IN (${revive}, ${rewrite}) AND ${found}`,
    );
  }
  if (counts.deleted > 0) {
    const which = `m.what = ${remove} AND ${found}`;
    await session.run(
      deletion === "hard"
        ? `DELETE FROM ${copy.relation} t USING ${matched} WHERE ${which}`
        : `UPDATE ${copy.relation} t SET ${deleted} = true, ${synced} = ${timestamp(stamp)} FROM ${matched} WHERE ${which}`,
    );
  }
  if (counts.inserted > counts.revived) {
    await session.run(
      `INSERT INTO ${copy.relation} (${insertedColumns(table, copy, columns)})
        SELECT ${insertedValues(table, columns, stamp)} FROM ${matched} WHERE m.what = ${insert}`,
    );
  }
  await session.run(`DROP TABLE ${changes}`);
  return { inserted: counts.inserted, updated: counts.updated, deleted: counts.deleted };
}

async function countChanges(
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

/** Writes the given columns of rows that exist, where they differ. `columns` are those that the stage has. */
export async function updateRows(
  { session, stamp }: Writing,
  copy: Copy,
  table: Table,
  source: string,
  columns: readonly string[],
): Promise<Changes> {
  const { synced, deleted } = quotedSystem(copy);
  const keys = keyColumns(table, copy);
  const set = columns.filter((name) => !table.key.includes(name)).map((name) => `${quoted(name)} = s.${staged(name)}`);
  if (set.length === 0) return noChanges;
  const updated = await session.run(
    `UPDATE ${copy.relation} t SET ${set.join(", ")}, ${synced} = ${timestamp(stamp)} FROM ${source} s
      WHERE ${sameKey(keys, "s", "t", isProbed(table, copy))} AND NOT t.${deleted}
        AND (${difference(table, copy, columns, keys)})`,
  );
  return { ...noChanges, updated };
}

/** Every row that is there is deleted. */
export async function truncateCopy({ session, stamp, deletion }: Writing, copy: Copy): Promise<Changes> {
  const { synced, deleted } = quotedSystem(copy);
  if (deletion === "soft") {
    const marked = await session.run(
      `UPDATE ${copy.relation} SET ${deleted} = true, ${synced} = ${timestamp(stamp)} WHERE NOT ${deleted}`,
    );
    return { ...noChanges, deleted: marked };
  }
  const live = await session.number(`SELECT count(*) FROM ${copy.relation} WHERE NOT ${deleted}`);
  // Not TRUNCATE: a reader whose snapshot is older would see no row.
  await session.run(`DELETE FROM ${copy.relation}`);
  return { ...noChanges, deleted: live };
}

/** Deletes live rows of the copy whose keys `gone`, a query of stage columns, gives. */
export async function deleteRows(
  { session, stamp, deletion }: Writing,
  copy: Copy,
  table: Table,
  gone: string,
): Promise<Changes> {
  const { synced, deleted } = quotedSystem(copy);
  const keys = keyColumns(table, copy);
  const keysToDelete = temporary("delete");
  await session.run(`CREATE TEMPORARY TABLE ${keysToDelete} AS ${gone}`);
  const count = await session.number(`SELECT count(*) FROM ${keysToDelete}`);
  const which = `NOT t.${deleted} AND ${sameKey(keys, "m", "t", isProbed(table, copy))}`;
  if (count > 0) {
    await session.run(`ANALYZE ${keysToDelete}`);
    await session.run(
      deletion === "hard"
        ? `DELETE FROM ${copy.relation} t USING ${keysToDelete} m WHERE ${which}`
        : `UPDATE ${copy.relation} t SET ${deleted} = true, ${synced} = ${timestamp(stamp)} FROM ${keysToDelete} m WHERE ${which}`,
    );
  }
  await session.run(`DROP TABLE ${keysToDelete}`);
  return { ...noChanges, deleted: count };
}

/** Whether row `s` of a stage differs from row `t` of the copy in what is compared. */
function difference(table: Table, copy: Copy, columns: readonly string[], keys: readonly KeyColumn[]): string {
  const compared = table.columns.flatMap(({ name, volatile }) => {
    const type = storedType(copy, name);
    const isKey = keys.some((key) => key.copy === quoted(name));
    return volatile === true || type === undefined || isKey || !columns.includes(name) ? [] : [{ name, type }];
  });
  return (
    compared
      .map(({ name, type }) => {
        const [s, t] = [comparable(`s.${staged(name)}`, type), comparable(`t.${quoted(name)}`, type)];
        return `${s} IS DISTINCT FROM ${t}`;
      })
      .join(" OR ") || "false"
  );
}

/** As SQL has them: the columns that {@link insertedValues} gives. */
export function insertedColumns(table: Table, copy: Copy, columns: readonly string[]): string {
  const { id, synced, deleted } = quotedSystem(copy);
  return [...columns.map(quoted), ...(table.key.length === 0 ? [id] : []), synced, deleted].join(", ");
}

export function insertedValues(table: Table, columns: readonly string[], stamp: string): string {
  const own = columns.map((name) => `s.${staged(name)}`);
  return [...own, ...(table.key.length === 0 ? ["s.id"] : []), timestamp(stamp), "false"].join(", ");
}

export function quotedSystem(copy: Copy): { readonly synced: string; readonly deleted: string; readonly id: string } {
  const { synced, deleted, id } = copy.system;
  return { synced: quoted(synced), deleted: quoted(deleted), id: quoted(id) };
}

/** The columns of a stage that the copy takes. */
export function mergedColumns(stage: Stage, copy: Copy): readonly string[] {
  return [...stage.columns.keys()].filter((name) => storedType(copy, name) !== undefined);
}
