import type { Rows } from "../../protocol/rows.ts";
import type { Table } from "../../protocol/table.ts";
import type { Type } from "../../protocol/types.ts";
import { widen } from "../../toolkit/types.ts";
import { storedType } from "./copies.ts";
import type { ColumnChange, Dialect, Session, Target } from "./dialect.ts";
import { literal } from "./names.ts";
import type { Copy, Stage } from "./model.ts";

/** The quoted name of a table's column in a stage. The prefix keeps it apart from the stage's other columns. */
export function staged({ quote }: Dialect, name: string): string {
  return quote(`c_${name}`);
}

/** In a stage that numbers its rows: the row's number in the order of arrival, by which the last row is found. */
export const stagedPlace = "n";
/** In a stage: whether the row was deleted. */
export const stagedDeleted = "deleted";
/** In a stage of a table without a key: the hash of the row. */
export const stagedId = "id";

export function stageTargets(dialect: Dialect, stage: Stage): ReadonlyMap<string, Target> {
  return new Map([...stage.columns].map(([name, type]) => [name, { sql: staged(dialect, name), type }]));
}

/** The columns of a stage in addition to the table's. */
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

/** Adds new columns to a stage and widens types. */
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
    else if (dialect.typeName(wide) !== dialect.typeName(known))
      changes.push({ kind: "widen", from: known, ...change });
  }
  for (const sql of dialect.alter(stage.relation, changes)) await session.run(sql);
  return { relation: stage.relation, columns: reshaped };
}

/** A column that matches a row in a stage with its row in the copy. */
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

/** The rows of a query of keys, with the names of a stage. */
export function keyPages(session: Session, table: Table, copy: Copy, query: string): AsyncGenerator<Rows> {
  const { dialect } = session;
  const columns = table.key.map((name) => {
    const { type } = table.columns.find((column) => column.name === name)!;
    return { name, sql: staged(dialect, name), type, stored: storedType(dialect, copy, name)! };
  });
  return session.pages(table, query, columns);
}

/**
 * A hash of all compared columns of a row, for tables without a key. `values` has an expression for each column. NULL
 * values are left out, so that a new column that is NULL in a row does not change the row's hash.
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

/** The rows of a stage, each with a unique key. In a table without a key, equal rows are numbered. */
export function keyedSource(dialect: Dialect, table: Table, stage: Stage): string {
  if (table.key.length > 0) return stage.relation;
  const place = dialect.numbered ? [stagedPlace] : [];
  const others = [...[...stage.columns.keys()].map((name) => staged(dialect, name)), ...place];
  // The order is fixed because several statements number the rows, some of them with parallel workers.
  const order = dialect.numbered ? ` ORDER BY ${stagedPlace}` : "";
  const occurrence = `row_number() OVER (PARTITION BY ${stagedId}${order})`;
  const id = `concat(${stagedId}, '-', ${occurrence}) AS ${stagedId}`;
  return `(SELECT ${[...others, id].join(", ")} FROM ${stage.relation})`;
}
