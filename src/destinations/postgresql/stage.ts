import type { Table } from "../../protocol/table.ts";
import type { Type } from "../../protocol/types.ts";
import { widen } from "../../toolkit/types.ts";
import { escapeLiteral } from "../../wire/postgres/literals.ts";
import { type Copy, storedType } from "./copies.ts";
import type { Target } from "./loader.ts";
import { quoted } from "./names.ts";
import type { Session } from "./session.ts";
import { anyValue, comparable, postgresType } from "./types.ts";

/** Where rows are set aside: columns of the table by their own names, each with the type that it has in the copy. */
export interface Stage {
  readonly relation: string;
  readonly columns: ReadonlyMap<string, Type>;
}

/** A column of the table in a stage. What else a stage has goes by names that these can't have. */
export function staged(name: string): string {
  return quoted(`c_${name}`);
}

/** In a stage: the row's place among those that came. Rows move within a table of PostgreSQL; this tells the last. */
export const stagedPlace = "n";
/** In a stage: whether the row was deleted. */
export const stagedDeleted = "deleted";
/** In a stage of a table without a key: the hash of the row. */
export const stagedId = "id";

export function stageTargets(stage: Stage): ReadonlyMap<string, Target> {
  return new Map([...stage.columns].map(([name, type]) => [name, { sql: staged(name), type }]));
}

/** `extra`: further columns, as SQL has them. */
export async function createStage(
  session: Session,
  how: "TEMPORARY TABLE" | "TABLE",
  relation: string,
  columns: ReadonlyMap<string, Type>,
  extra: readonly string[],
): Promise<Stage> {
  const definitions = [...columns].map(([name, type]) => `${staged(name)} ${postgresType(type)}`);
  await session.run(`CREATE ${how} ${relation} (${[...definitions, ...extra, `${stagedPlace} bigint`].join(", ")})`);
  return { relation, columns };
}

/** New columns are added to a stage, types widened. */
export async function reshapeStage(session: Session, stage: Stage, columns: ReadonlyMap<string, Type>): Promise<Stage> {
  const reshaped = new Map(stage.columns);
  const changes: string[] = [];
  for (const [name, type] of columns) {
    const known = stage.columns.get(name);
    const wide = known === undefined ? type : widen(known, type);
    const native = postgresType(wide);
    reshaped.set(name, wide);
    if (known === undefined) changes.push(`ADD COLUMN ${staged(name)} ${native}`);
    else if (native !== postgresType(known))
      changes.push(`ALTER ${staged(name)} TYPE ${native} USING ${staged(name)}::${native}`);
  }
  if (changes.length > 0) await session.run(`ALTER TABLE ${stage.relation} ${changes.join(", ")}`);
  return { relation: stage.relation, columns: reshaped };
}

/** By what a row in a stage and its row in the copy are told to be the same. */
export interface KeyColumn {
  readonly stage: string;
  readonly copy: string;
  readonly type: Type;
  readonly nullable: boolean;
}

export function keyColumns(table: Table, copy: Copy): readonly KeyColumn[] {
  if (table.key.length === 0)
    return [{ stage: stagedId, copy: quoted(copy.system.id), type: { kind: "STRING" }, nullable: false }];
  return table.key.map((name) => ({
    stage: staged(name),
    copy: quoted(name),
    type: storedType(copy, name)!,
    nullable: table.columns.find((column) => column.name === name)?.nullable !== false,
  }));
}

/**
 * What stands for a key column in an index, and finds the rows whose keys may be equal: never NULL, and never long.
 * PostgreSQL can neither look up nor join by `IS NOT DISTINCT FROM`, and its trees hold no value of more than a third
 * of a page.
 */
export function keyProbe(expression: string, { type, nullable }: KeyColumn): string {
  const value = nullable ? `coalesce(${expression}, ${anyValue(type)})` : expression;
  if (type.kind === "STRING" || type.kind === "XML") return `hashtextextended(${value}, 0)`;
  if (type.kind === "BINARY") return `hashtextextended(encode(${value}, 'base64'), 0)`;
  return comparable(value, type);
}

/**
 * `s` and `t` have the same key. Beside what decides it stands what finds it: a probe, where the copy has an index of
 * probes, or where a key may be NULL.
 */
export function sameKey(
  keys: readonly KeyColumn[],
  s: string,
  t: string,
  probed: boolean,
  column: "stage" | "copy" = "copy",
): string {
  return keys
    .flatMap((key) => {
      const [a, b] = [`${s}.${key.stage}`, `${t}.${key[column]}`];
      const equal = key.nullable ? "IS NOT DISTINCT FROM" : "=";
      const same = `${comparable(a, key.type)} ${equal} ${comparable(b, key.type)}`;
      return probed || key.nullable ? [`${keyProbe(a, key)} = ${keyProbe(b, key)}`, same] : [same];
    })
    .join(" AND ");
}

/**
 * A hash of all that is compared of a row, for tables without a key, over expressions by column. A NULL counts as no
 * column at all: a new column that a row has nothing in makes no other row of it.
 */
export function rowHash(table: Table, values: ReadonlyMap<string, string>): string {
  const volatile = new Set(table.columns.filter((column) => column.volatile).map(({ name }) => name));
  const parts = [...values]
    .filter(([name]) => !volatile.has(name))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => {
      const text = `(${value})::text`;
      const named = escapeLiteral(`${name.length}:${name}=`);
      return `CASE WHEN ${value} IS NULL THEN '' ELSE ${named} || length(${text}) || ':' || ${text} END`;
    });
  return `left(encode(sha256(convert_to(${parts.join(" || ") || "''"}, 'UTF8')), 'hex'), 32)`;
}

/** The stage as rows that each have a key of their own: rows of a table without one are numbered where they are equal. */
export function keyedSource(table: Table, stage: Stage): string {
  if (table.key.length > 0) return stage.relation;
  const others = [...[...stage.columns.keys()].map(staged), stagedPlace].join(", ");
  // In one order: several statements number the rows, some of them by parallel workers.
  const occurrence = `row_number() OVER (PARTITION BY ${stagedId} ORDER BY ${stagedPlace})`;
  return `(SELECT ${others}, concat(${stagedId}, '-', ${occurrence}) AS ${stagedId} FROM ${stage.relation})`;
}
