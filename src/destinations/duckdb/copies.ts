import { HeadwatersError } from "../../protocol/errors.ts";
import type { DestinationContext } from "../../protocol/destination.ts";
import type { Table } from "../../protocol/table.ts";
import type { Type } from "../../protocol/types.ts";
import { widen } from "../../toolkit/types.ts";
import { kept } from "./bookkeeping.ts";
import type { Target } from "./loader.ts";
import { checkColumnNames, copyName, fold, quote, type SystemColumns, systemColumns } from "./names.ts";
import type { Session } from "./session.ts";
import { duckdbType, typeOf } from "./types.ts";

/** The copy of one table, as it stands in the destination. */
export interface Copy {
  /** The id of the table. */
  readonly id: string;
  /** As SQL has it: catalog, schema and name. */
  readonly relation: string;
  readonly name: string;
  /** By name; the system columns are not among them. */
  readonly columns: ReadonlyMap<string, Type>;
  /** DuckDB's types of all its columns, also of those that a user added. */
  readonly native: ReadonlyMap<string, string>;
  readonly system: SystemColumns;
  /** As in `Storage`. */
  readonly skips: (type: Type) => boolean;
}

/** As SQL has them, with their types. */
export function copyTargets(copy: Copy): ReadonlyMap<string, Target> {
  return new Map([...copy.columns].map(([name, type]) => [name, { sql: quote(name), type }]));
}

function schemaRelation(session: Session, context: DestinationContext): string {
  return `${quote(session.catalog)}.${quote(context.schema)}`;
}

/** The copy of a table; `null`: there is none. Throws where its place is taken. */
export async function describeCopy(session: Session, context: DestinationContext, id: string): Promise<Copy | null> {
  const name = copyName(context, id);
  const owners = await session.rows<{ connection: string; id: string; table_name: string }>(
    `SELECT connection, id, table_name FROM ${kept(session, "copies", context.connection)}
      WHERE lower(schema_name) = lower(?) AND lower(table_name) = lower(?)`,
    [context.schema, name],
  );
  const found = await session.rows<{ table_name: string; column_name: string; data_type: string }>(
    `SELECT table_name, column_name, data_type FROM duckdb_columns()
      WHERE database_name = current_database() AND lower(schema_name) = lower(?) AND lower(table_name) = lower(?)
      ORDER BY column_index`,
    [context.schema, name],
  );
  const owner = owners.find(({ table_name }) => fold(table_name) === fold(name));
  if (owner !== undefined && (owner.connection !== context.connection || owner.id !== id))
    throw takenBy(owner, id, name, context);
  const columns = found.filter(({ table_name }) => fold(table_name) === fold(name));
  if (columns.length === 0) return null;
  if (owner === undefined) {
    throw new HeadwatersError(
      "DESTINATION_UNUSABLE",
      `schema: ${context.schema}.${name} is already there, and Headwaters has not made it`,
      { hint: `Choose another schema, another name (overrides.${id}.rename), or drop that one.` },
    );
  }
  const system = systemColumns(context.systemColumnPrefix);
  const native = new Map(columns.map(({ column_name, data_type }) => [column_name, data_type]));
  for (const column of [system.synced, system.deleted]) {
    if (native.has(column)) continue;
    throw new HeadwatersError(
      "DESTINATION_UNUSABLE",
      `the copy of table "${id}" has no column "${column}": was systemColumnPrefix changed?`,
      { hint: "Set it as it was, or run reset --drop for this table and sync again." },
    );
  }
  const own: readonly string[] = Object.values(system);
  const types = [...native].flatMap(([column, dataType]): [string, Type][] => {
    const type = own.includes(column) ? null : typeOf(dataType);
    return type === null ? [] : [[column, type]];
  });
  const relation = `${schemaRelation(session, context)}.${quote(name)}`;
  return { id, name, relation, columns: new Map(types), native, system, skips: session.storage.skips };
}

function takenBy(
  owner: { readonly connection: string; readonly id: string; readonly table_name: string },
  id: string,
  name: string,
  { connection, schema }: DestinationContext,
): HeadwatersError {
  if (owner.connection !== connection) {
    return new HeadwatersError(
      "DESTINATION_UNUSABLE",
      `schema: ${schema}.${name} is the copy that connection "${owner.connection}" keeps`,
      { hint: `Choose another schema for one of the two, or another name (overrides.${id}.rename).` },
    );
  }
  return new HeadwatersError(
    "NAMES_COLLIDE",
    `the copies of tables "${owner.id}" and "${id}" would be one for DuckDB: "${owner.table_name}" and "${name}"`,
    { hint: `Give one of them another name: overrides.${id}.rename.` },
  );
}

/**
 * Makes a copy ready for the rows of `table`: created, new columns added, types widened, columns that the source
 * dropped set to NULL, once. What else a user added to the table is left alone.
 */
export async function prepareCopy(session: Session, context: DestinationContext, table: Table): Promise<Copy> {
  const system = systemColumns(context.systemColumnPrefix);
  checkColumnNames(table, system);
  session.storage.vet(table, null);
  const found = await describeCopy(session, context, table.id);
  if (found === null) await createCopy(session, context, table, system);
  else await alterCopy(session, context, table, found);
  await keepCopy(session, context, table);
  return (await describeCopy(session, context, table.id))!;
}

/** Keeps which copy is the table's, and its columns. Written only where that changes: connections share this table. */
async function keepCopy(session: Session, context: DestinationContext, table: Table): Promise<void> {
  const copies = kept(session, "copies", context.connection);
  const owned = [context.connection, table.id];
  const told = [context.schema, copyName(context, table.id), JSON.stringify(table.columns.map(({ name }) => name))];
  const same = await session.number(
    `SELECT count(*) FROM ${copies} WHERE connection = ? AND id = ? AND schema_name = ? AND table_name = ? AND columns = ?`,
    [...owned, ...told],
  );
  if (same === 1) return;
  await session.run(`DELETE FROM ${copies} WHERE connection = ? AND id = ?`, owned);
  await session.run(`INSERT INTO ${copies} VALUES (?, ?, ?, ?, ?)`, [...owned, ...told]);
}

async function createCopy(
  session: Session,
  context: DestinationContext,
  table: Table,
  system: SystemColumns,
): Promise<void> {
  const columns = [
    ...table.columns.map(({ name, type }) => `${quote(name)} ${duckdbType(type)}`),
    ...(table.key.length === 0 ? [`${quote(system.id)} VARCHAR`] : []),
    `${quote(system.synced)} TIMESTAMP WITH TIME ZONE`,
    `${quote(system.deleted)} BOOLEAN`,
  ];
  const relation = `${schemaRelation(session, context)}.${quote(copyName(context, table.id))}`;
  await session.run(`CREATE TABLE ${relation} (${columns.join(", ")})`);
}

async function alterCopy(session: Session, context: DestinationContext, table: Table, copy: Copy): Promise<void> {
  const { relation, columns, native, system } = copy;
  for (const { name, type } of table.columns) {
    const known = columns.get(name);
    const other = [...native].find(([column]) => fold(column) === fold(name));
    if (known === undefined && other === undefined) {
      await session.run(`ALTER TABLE ${relation} ADD COLUMN ${quote(name)} ${duckdbType(type)}`);
      continue;
    }
    if (known === undefined) throw columnTaken(table, name, other!);
    const wide = widen(known, type);
    if (duckdbType(wide) === duckdbType(known)) continue;
    for (const sql of session.storage.retype(relation, quote(name), wide)) await session.run(sql);
  }
  if (table.key.length === 0 && !native.has(system.id))
    await session.run(`ALTER TABLE ${relation} ADD COLUMN ${quote(system.id)} VARCHAR`);
  for (const name of await droppedColumns(session, context, table)) {
    if (columns.has(name))
      await session.run(`UPDATE ${relation} SET ${quote(name)} = NULL WHERE ${quote(name)} IS NOT NULL`);
  }
}

function columnTaken(table: Table, name: string, [column, type]: readonly [string, string]): HeadwatersError {
  if (column !== name) {
    return new HeadwatersError(
      "NAMES_COLLIDE",
      `table "${table.id}": columns "${column}" and "${name}" differ only by case, which DuckDB can't tell apart`,
      {
        hint: `Give it another name by overrides.${table.id}.columns.rename; or run reset --drop for this table and sync again.`,
      },
    );
  }
  return new HeadwatersError(
    "DESTINATION_UNUSABLE",
    `table "${table.id}": column "${name}" of the copy is ${type}, which Headwaters has not made`,
    { hint: "Run reset --drop for this table and sync again." },
  );
}

/** Columns that the source had when the copy was last made ready, and has no more. */
async function droppedColumns(session: Session, context: DestinationContext, table: Table): Promise<string[]> {
  const [row] = await session.rows<{ columns: string }>(
    `SELECT columns FROM ${kept(session, "copies", context.connection)} WHERE connection = ? AND id = ?`,
    [context.connection, table.id],
  );
  if (row === undefined) return [];
  return (JSON.parse(row.columns) as string[]).filter((name) => !table.columns.some((column) => column.name === name));
}
