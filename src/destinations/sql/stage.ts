import type { Table } from "../../protocol/table.ts";
import type { Type } from "../../protocol/types.ts";
import { widen } from "../../toolkit/types.ts";
import { storedType } from "./copies.ts";
import type { ColumnChange, Dialect, Session, Target } from "./dialect.ts";
import { literal } from "./names.ts";
import type { Copy, Stage } from "./model.ts";

/** A column of the table in a stage. What else a stage has goes by names that these can't have. */
export function staged({ quote }: Dialect, name: string): string {
  return quote(`c_${name}`);
}

/** In a stage that numbers its rows: the row's place among those that came, which tells the last. */
export const stagedPlace = "n";
/** In a stage: whether the row was deleted. */
export const stagedDeleted = "deleted";
/** In a stage of a table without a key: the hash of the row. */
export const stagedId = "id";

export function stageTargets(dialect: Dialect, stage: Stage): ReadonlyMap<string, Target> {
  return new Map([...stage.columns].map(([name, type]) => [name, { sql: staged(dialect, name), type }]));
}

/** What a stage has beside the columns of the table. */
export interface StageExtras {
  readonly id?: boolean;
  readonly deleted?: boolean;
}

export async function createStage(
  session: Session,
  how: "TEMPORARY TABLE" | "TABLE",
  relation: string,
  columns: ReadonlyMap<string, Type>,
  { id = false, deleted = false }: StageExtras = {},
): Promise<Stage> {
  const { dialect } = session;
  const definitions = [
    ...[...columns].map(([name, type]) => `${staged(dialect, name)} ${dialect.typeName(type)}`),
    ...(id ? [`${stagedId} text`] : []),
    ...(deleted ? [`${stagedDeleted} boolean`] : []),
    ...(dialect.numbered ? [`${stagedPlace} bigint`] : []),
  ];
  await session.run(`CREATE ${how} ${relation} (${definitions.join(", ")})`);
  return { relation, columns };
}

/** New columns are added to a stage, types widened. */
export async function reshapeStage(session: Session, stage: Stage, columns: ReadonlyMap<string, Type>): Promise<Stage> {
  const { dialect } = session;
  const reshaped = new Map(stage.columns);
  const changes: ColumnChange[] = [];
  for (const [name, type] of columns) {
    const known = stage.columns.get(name);
    const wide = known === undefined ? type : widen(known, type);
    reshaped.set(name, wide);
    const change = { sql: staged(dialect, name), type: wide };
    if (known === undefined) changes.push({ kind: "add", ...change });
    else if (dialect.typeName(wide) !== dialect.typeName(known)) changes.push({ kind: "widen", ...change });
  }
  for (const sql of dialect.alter(stage.relation, changes)) await session.run(sql);
  return { relation: stage.relation, columns: reshaped };
}

/** By what a row in a stage and its row in the copy are told to be the same. */
export interface KeyColumn {
  readonly stage: string;
  readonly copy: string;
  readonly type: Type;
  readonly nullable: boolean;
}

export function keyColumns(dialect: Dialect, table: Table, copy: Copy): readonly KeyColumn[] {
  if (table.key.length === 0)
    return [{ stage: stagedId, copy: dialect.quote(copy.system.id), type: { kind: "STRING" }, nullable: false }];
  return table.key.map((name) => ({
    stage: staged(dialect, name),
    copy: dialect.quote(name),
    type: storedType(dialect, copy, name)!,
    nullable: table.columns.find((column) => column.name === name)?.nullable !== false,
  }));
}

/**
 * A hash of all that is compared of a row, for tables without a key, over expressions by column. A NULL counts as no
 * column at all: a new column that a row has nothing in makes no other row of it.
 */
export function rowHash({ digest }: Dialect, table: Table, values: ReadonlyMap<string, string>): string {
  const volatile = new Set(table.columns.filter((column) => column.volatile).map(({ name }) => name));
  const texts = [...values]
    .filter(([name]) => !volatile.has(name))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => {
      const text = `CAST(${value} AS text)`;
      return `CASE WHEN ${value} IS NULL THEN '' ELSE concat(${literal(`${name.length}:${name}=`)}, length(${text}), ':', ${text}) END`;
    });
  return digest(texts);
}

/** The stage as rows that each have a key of their own: rows of a table without one are numbered where they are equal. */
export function keyedSource(dialect: Dialect, table: Table, stage: Stage): string {
  if (table.key.length > 0) return stage.relation;
  const place = dialect.numbered ? [stagedPlace] : [];
  const others = [...[...stage.columns.keys()].map((name) => staged(dialect, name)), ...place].join(", ");
  // In one order: several statements number the rows, some of them by parallel workers.
  const order = dialect.numbered ? ` ORDER BY ${stagedPlace}` : "";
  const occurrence = `row_number() OVER (PARTITION BY ${stagedId}${order})`;
  return `(SELECT ${others}, concat(${stagedId}, '-', ${occurrence}) AS ${stagedId} FROM ${stage.relation})`;
}
