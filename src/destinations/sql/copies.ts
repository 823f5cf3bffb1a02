import { HeadwatersError } from "../../protocol/errors.ts";
import type { DestinationContext } from "../../protocol/destination.ts";
import type { Table } from "../../protocol/table.ts";
import type { Type } from "../../protocol/types.ts";
import { widen } from "../../toolkit/types.ts";
import { kept } from "./kept.ts";
import type { ColumnChange, Dialect, Session, Target } from "./dialect.ts";
import { checkColumnNames, copyName, systemColumns } from "./names.ts";
import type { SystemColumns, Copy } from "./model.ts";

/** The type of a table's column in the copy; `undefined`: the copy lacks the column, or its type is none of ours. */
export function storedType({ physical }: Dialect, copy: Copy, column: string): Type | undefined {
  return copy.columns.get(physical(column));
}

/** The columns of a table that exist in its copy, by their names in the source. */
export function copyTargets({ dialect }: Session, copy: Copy, table: Table): ReadonlyMap<string, Target> {
  return new Map(
    table.columns.flatMap(({ name }): [string, Target][] => {
      const type = storedType(dialect, copy, name);
      return type === undefined ? [] : [[name, { sql: dialect.quote(name), type }]];
    }),
  );
}

/** The quoted names of the system columns. */
export function quotedSystem({ quote }: Dialect, { system }: Copy): Readonly<Record<keyof SystemColumns, string>> {
  return { synced: quote(system.synced), deleted: quote(system.deleted), id: quote(system.id) };
}

/** The number of rows in a copy that are not marked as deleted. */
export function countLive(session: Session, copy: Copy): Promise<number> {
  return session.number(
    `SELECT count(*) FROM ${copy.relation} WHERE NOT ${quotedSystem(session.dialect, copy).deleted}`,
  );
}

/** The copy of a table; `null`: there is none. Throws if the copy's name is taken. */
export async function describeCopy(session: Session, context: DestinationContext, id: string): Promise<Copy | null> {
  const { dialect } = session;
  const name = copyName(context, id);
  const [schema, table] = [dialect.physical(context.schema), dialect.physical(name)];
  const found = await session.rows(
    `SELECT connection, id, schema_name, table_name FROM ${kept(session, "copies", context.connection)}
      WHERE lower(schema_name) = lower($1) AND lower(table_name) = lower($2)`,
    [schema, table],
  );
  const isHere = (value: unknown, wanted: string): boolean =>
    dialect.identity(value as string) === dialect.identity(wanted);
  const owner = found.find((row) => isHere(row["schema_name"], schema) && isHere(row["table_name"], table));
  if (owner !== undefined && (owner["connection"] !== context.connection || owner["id"] !== id))
    throw takenBy(dialect, owner as Owner, id, name, context);
  const { columns, indexes } = await dialect.describe(session, schema, table);
  if (columns.length === 0) return null;
  if (owner === undefined) {
    throw new HeadwatersError(
      "DESTINATION_UNUSABLE",
      `schema: ${context.schema}.${name} is already there, and Headwaters has not made it`,
      { hint: `Choose another schema, another name (overrides.${id}.rename), or drop that one.` },
    );
  }
  const system = systemColumns(dialect, context.systemColumnPrefix);
  const native = new Map(columns.map((column) => [column.name, column.type]));
  for (const column of [system.synced, system.deleted]) {
    if (native.has(column)) continue;
    throw new HeadwatersError(
      "DESTINATION_UNUSABLE",
      `the copy of table "${id}" has no column "${column}": was systemColumnPrefix changed?`,
      { hint: "Set it as it was, or run reset --drop for this table and sync again." },
    );
  }
  const own: readonly string[] = Object.values(system);
  const types = [...native].flatMap(([column, nativeType]): [string, Type][] => {
    const type = own.includes(column) ? null : dialect.typeOf(nativeType);
    return type === null ? [] : [[column, type]];
  });
  const relation = dialect.relation(context.schema, name);
  return { id, relation, schema: context.schema, columns: new Map(types), native, system, indexes };
}

type Owner = Readonly<Record<"connection" | "id" | "table_name", string>>;

function takenBy(
  dialect: Dialect,
  owner: Owner,
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
    `the copies of tables "${owner.id}" and "${id}" would be one in ${dialect.title}: "${owner.table_name}" and "${dialect.physical(name)}"`,
    { hint: `Give one of them another name: overrides.${id}.rename.` },
  );
}

/**
 * Prepares a copy for the rows of `table`: creates it, adds new columns, widens types, and sets columns that the source
 * dropped to NULL, once. Columns that a user added to the copy are not changed.
 */
export async function prepareCopy(session: Session, context: DestinationContext, table: Table): Promise<Copy> {
  const system = systemColumns(session.dialect, context.systemColumnPrefix);
  checkColumnNames(session.dialect, table, system);
  session.dialect.vet(table, null);
  const found = await describeCopy(session, context, table.id);
  const changed = found === null || (await alterCopy(session, context, table, found));
  if (found === null) await createCopy(session, context, table, system);
  await keepCopy(session, context, table);
  return changed ? (await describeCopy(session, context, table.id))! : found!;
}

/** Stores the name of a table's copy and its columns. Only changes are written: all connections share `copies`. */
async function keepCopy(session: Session, context: DestinationContext, table: Table): Promise<void> {
  const { physical } = session.dialect;
  const copies = kept(session, "copies", context.connection);
  const owned = [context.connection, table.id];
  const columns = JSON.stringify(table.columns.map(({ name }) => name));
  const told = [physical(context.schema), physical(copyName(context, table.id)), columns];
  const same = await session.number(
    `SELECT count(*) FROM ${copies} WHERE connection = $1 AND id = $2 AND schema_name = $3 AND table_name = $4 AND columns = $5`,
    [...owned, ...told],
  );
  if (same === 1) return;
  await session.run(`DELETE FROM ${copies} WHERE connection = $1 AND id = $2`, owned);
  await session.run(
    `INSERT INTO ${copies} (connection, id, schema_name, table_name, columns) VALUES ($1, $2, $3, $4, $5)`,
    [...owned, ...told],
  );
}

async function createCopy(
  session: Session,
  context: DestinationContext,
  table: Table,
  system: SystemColumns,
): Promise<void> {
  const { quote, physical, relation, typeName, constraints, title } = session.dialect;
  const name = copyName(context, table.id);
  const mandatory = constraints ? " NOT NULL" : "";
  const columns = [
    ...table.columns.map((column) => `${quote(column.name)} ${typeName(column.type)}`),
    ...(table.key.length === 0 ? [`${quote(system.id)} text`] : []),
    `${quote(system.synced)} timestamp with time zone${mandatory}`,
    `${quote(system.deleted)} boolean${mandatory}`,
  ];
  await session.run(`CREATE TABLE ${relation(context.schema, name)} (${columns.join(", ")})`);
  const cut = [name, ...table.columns.map((column) => column.name)].filter((full) => physical(full) !== full);
  for (const full of cut)
    context.log.warn(`"${full}" is longer than ${title}'s names: it is "${physical(full)}" there`);
}

/** Alters the copy for the columns of `table`. Resolves to whether it altered anything. */
async function alterCopy(session: Session, context: DestinationContext, table: Table, copy: Copy): Promise<boolean> {
  const { dialect } = session;
  const { quote, typeName, physical, identity } = dialect;
  const { relation, native, system } = copy;
  const changes: ColumnChange[] = [];
  for (const { name, type } of table.columns) {
    const known = storedType(dialect, copy, name);
    if (known === undefined) {
      const other = [...native].find(([column]) => identity(column) === identity(name));
      if (other !== undefined) throw columnTaken(dialect, table, name, other);
      changes.push({ kind: "add", sql: quote(name), type });
      continue;
    }
    const wide = widen(known, type);
    if (typeName(wide) !== typeName(known)) changes.push({ kind: "widen", sql: quote(name), type: wide, from: known });
  }
  if (table.key.length === 0 && !native.has(system.id))
    changes.push({ kind: "add", sql: quote(system.id), type: { kind: "STRING" } });
  for (const sql of dialect.alter(relation, changes)) await session.run(sql);
  const left = new Set(table.columns.map(({ name }) => physical(name)));
  const cleared = (await droppedColumns(session, context, table)).filter(
    (name) => storedType(dialect, copy, name) !== undefined && !left.has(physical(name)),
  );
  for (const name of cleared) {
    await dialect.merging.release(session, copy, name);
    await session.run(`UPDATE ${relation} SET ${quote(name)} = NULL WHERE ${quote(name)} IS NOT NULL`);
  }
  return changes.length + cleared.length > 0;
}

function columnTaken(
  { collision, physical }: Dialect,
  table: Table,
  name: string,
  [column, type]: readonly [string, string],
): HeadwatersError {
  if (column !== physical(name)) {
    return new HeadwatersError("NAMES_COLLIDE", `table "${table.id}": ${collision(column, name)}`, {
      hint: `Give it another name by overrides.${table.id}.columns.rename; or run reset --drop for this table and sync again.`,
    });
  }
  return new HeadwatersError(
    "DESTINATION_UNUSABLE",
    `table "${table.id}": column "${name}" of the copy is ${type}, which Headwaters has not made`,
    { hint: "Run reset --drop for this table and sync again." },
  );
}

/** Columns that the source had when the copy was last prepared, and no longer has. */
async function droppedColumns(session: Session, context: DestinationContext, table: Table): Promise<string[]> {
  const [row] = await session.rows(
    `SELECT columns FROM ${kept(session, "copies", context.connection)} WHERE connection = $1 AND id = $2`,
    [context.connection, table.id],
  );
  if (row === undefined) return [];
  return (JSON.parse(row["columns"] as string) as string[]).filter(
    (name) => !table.columns.some((column) => column.name === name),
  );
}
