import type { Rows } from "../../protocol/rows.ts";
import type { Table } from "../../protocol/table.ts";
import type { Type } from "../../protocol/types.ts";
import { widen } from "../../toolkit/types.ts";
import type { Copy } from "./copies.ts";
import type { Computed, Target } from "./loader.ts";
import { literal, quote } from "./names.ts";
import type { Session } from "./session.ts";
import { duckdbType } from "./types.ts";

/** Where rows are set aside: columns of the table, each with the type that it has in the copy. */
export interface Stage {
  readonly relation: string;
  readonly columns: ReadonlyMap<string, Type>;
}

/** A column of the table in a stage. What else a stage has goes by names that these can't have. */
export function staged(name: string): string {
  return quote(`c_${name}`);
}

/** In a stage: whether the row was deleted. */
export const stagedDeleted = quote("deleted");
/** In a stage of a table without a key: the hash of the row. */
export const stagedId = quote("id");

export function stageTargets(stage: Stage): ReadonlyMap<string, Target> {
  return new Map([...stage.columns].map(([name, type]) => [name, { sql: staged(name), type }]));
}

/** `extra`: further columns, as SQL has them. */
export async function createStage(
  session: Session,
  how: "TEMP TABLE" | "TABLE",
  relation: string,
  columns: ReadonlyMap<string, Type>,
  extra: readonly string[],
): Promise<Stage> {
  const definitions = [...columns].map(([name, type]) => `${staged(name)} ${duckdbType(type)}`);
  await session.run(`CREATE ${how} ${relation} (${[...definitions, ...extra].join(", ")})`);
  return { relation, columns };
}

/** New columns are added to a stage, types widened. */
export async function reshapeStage(session: Session, stage: Stage, columns: ReadonlyMap<string, Type>): Promise<Stage> {
  const reshaped = new Map(stage.columns);
  for (const [name, type] of columns) {
    const known = stage.columns.get(name);
    const wide = known === undefined ? type : widen(known, type);
    reshaped.set(name, wide);
    if (known === undefined)
      await session.run(`ALTER TABLE ${stage.relation} ADD COLUMN ${staged(name)} ${duckdbType(wide)}`);
    else if (duckdbType(wide) !== duckdbType(known))
      for (const sql of session.storage.retype(stage.relation, staged(name), wide)) await session.run(sql);
  }
  return { relation: stage.relation, columns: reshaped };
}

/** By what a row in a stage and its row in the copy are told to be the same. */
export interface KeyColumn {
  readonly stage: string;
  readonly copy: string;
  /** Plain equality will do: DuckDB skips what lies outside of its bounds then. */
  readonly plain: boolean;
}

export function keyColumns(table: Table, copy: Copy): readonly KeyColumn[] {
  if (table.key.length === 0)
    return [{ stage: stagedId, copy: quote(copy.system.id), plain: copy.skips({ kind: "STRING" }) }];
  return table.key.map((name) => {
    const nullable = table.columns.find((column) => column.name === name)?.nullable !== false;
    const type = copy.columns.get(name);
    return {
      stage: staged(name),
      copy: quote(name),
      plain: !nullable && type !== undefined && copy.skips(type),
    };
  });
}

/** `s` and `t` have the same key. */
export function sameKey(keys: readonly KeyColumn[], s: string, t: string, column: "stage" | "copy" = "copy"): string {
  return keys
    .map((key) => `${s}.${key.stage} ${key.plain ? "=" : "IS NOT DISTINCT FROM"} ${t}.${key[column]}`)
    .join(" AND ");
}

/**
 * A hash of all that is compared of a row, for tables without a key. A NULL counts as no column at all: a new column
 * that a row has nothing in makes no other row of it.
 */
export function rowHash(table: Table, rows: Rows): Computed {
  const volatile = new Set(table.columns.filter((column) => column.volatile).map(({ name }) => name));
  const parts = [...rows.columns]
    .filter((name) => !volatile.has(name))
    .sort()
    .map((name) => {
      const text = `CAST(${staged(name)} AS VARCHAR)`;
      return `CASE WHEN ${staged(name)} IS NULL THEN '' ELSE concat(${literal(`${name.length}:${name}=`)}, length(${text}), ':', ${text}) END`;
    });
  return { sql: stagedId, value: `md5(concat(${parts.join(", ")}))` };
}

/** The stage as rows that each have a key of their own: rows of a table without one are numbered where they are equal. */
export function keyedSource(table: Table, stage: Stage): string {
  if (table.key.length > 0) return stage.relation;
  const occurrence = `row_number() OVER (PARTITION BY ${stagedId})`;
  return `(SELECT * REPLACE (concat(${stagedId}, '-', ${occurrence}) AS ${stagedId}) FROM ${stage.relation})`;
}
