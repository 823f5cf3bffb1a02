import { HeadwatersError } from "../../protocol/errors.ts";
import type { DestinationContext } from "../../protocol/destination.ts";
import type { Table } from "../../protocol/table.ts";
import type { Type } from "../../protocol/types.ts";
import { widen } from "../../toolkit/types.ts";
import { kept } from "./bookkeeping.ts";
import type { Target } from "./loader.ts";
import {
  checkColumnNames,
  copyName,
  physicalName,
  quoted,
  relationName,
  type SystemColumns,
  systemColumns,
} from "./names.ts";
import type { Session } from "./session.ts";
import { postgresType, typeOf } from "./types.ts";

/** The copy of one table, as it stands in the database. Its columns go by their physical names. */
export interface Copy {
  /** The id of the table. */
  readonly id: string;
  /** As SQL has it: schema and name. */
  readonly relation: string;
  readonly schema: string;
  /** The system columns are not among them. */
  readonly columns: ReadonlyMap<string, Type>;
  /** PostgreSQL's types of all its columns, also of those that a user added. */
  readonly native: ReadonlyMap<string, string>;
  readonly system: SystemColumns;
  /** Names of the indexes that we made: see `key-index.ts`. */
  readonly indexes: readonly string[];
}

/** What the names of our indexes begin with, so that they are told from those of users. */
export const indexPrefix = "_headwaters_";

/** The type that a column of the table has in the copy; `undefined`: there is no such column, or none of ours. */
export function storedType(copy: Copy, column: string): Type | undefined {
  return copy.columns.get(physicalName(column));
}

/** The columns of a table in its copy, by the names that the source has for them. */
export function copyTargets(copy: Copy, table: Table): ReadonlyMap<string, Target> {
  return new Map(
    table.columns.flatMap(({ name }): [string, Target][] => {
      const type = storedType(copy, name);
      return type === undefined ? [] : [[name, { sql: quoted(name), type }]];
    }),
  );
}

/** The copy of a table; `null`: there is none. Throws where its place is taken. */
export async function describeCopy(session: Session, context: DestinationContext, id: string): Promise<Copy | null> {
  const name = copyName(context, id);
  const place = [physicalName(context.schema), physicalName(name)];
  const [owner] = await session.rows(
    `SELECT connection, id FROM ${kept("copies")} WHERE schema_name = $1 AND table_name = $2`,
    place,
  );
  const columns = await session.rows(
    `SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type,
        (SELECT string_agg(i.relname, ' ') FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
          WHERE x.indrelid = c.oid AND starts_with(i.relname, $3)) AS indexes
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      WHERE n.nspname = $1 AND c.relname = $2 ORDER BY a.attnum`,
    [...place, indexPrefix],
  );
  if (owner !== undefined && (owner["connection"] !== context.connection || owner["id"] !== id))
    throw takenBy(String(owner["connection"]), String(owner["id"]), id, name, context);
  if (columns.length === 0) return null;
  if (owner === undefined) {
    throw new HeadwatersError(
      "DESTINATION_UNUSABLE",
      `schema: ${context.schema}.${name} is already in the database, and Headwaters has not made it`,
      { hint: `Choose another schema, another name (overrides.${id}.rename), or drop that one.` },
    );
  }
  const system = systemColumns(context.systemColumnPrefix);
  const native = new Map(columns.flatMap((row) => (row["name"] === null ? [] : [[row["name"]!, row["type"]!]])));
  for (const column of [system.synced, system.deleted]) {
    if (native.has(column)) continue;
    throw new HeadwatersError(
      "DESTINATION_UNUSABLE",
      `the copy of table "${id}" has no column "${column}": was systemColumnPrefix changed?`,
      { hint: "Set it as it was, or run reset --drop for this table and sync again." },
    );
  }
  const own: readonly string[] = Object.values(system);
  const types = [...native].flatMap(([column, formatted]): [string, Type][] => {
    const type = own.includes(column) ? null : typeOf(formatted);
    return type === null ? [] : [[column, type]];
  });
  return {
    id,
    relation: relationName(context.schema, name),
    schema: context.schema,
    columns: new Map(types),
    native,
    system,
    indexes: columns[0]!["indexes"]?.split(" ") ?? [],
  };
}

function takenBy(
  owner: string,
  other: string,
  id: string,
  name: string,
  { connection, schema }: DestinationContext,
): HeadwatersError {
  if (owner !== connection) {
    return new HeadwatersError(
      "DESTINATION_UNUSABLE",
      `schema: ${schema}.${name} is the copy that connection "${owner}" keeps`,
      { hint: `Choose another schema for one of the two, or another name (overrides.${id}.rename).` },
    );
  }
  return new HeadwatersError(
    "NAMES_COLLIDE",
    `the copies of tables "${other}" and "${id}" would both be "${physicalName(name)}" in PostgreSQL`,
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
  const found = await describeCopy(session, context, table.id);
  const changed = found === null || (await alterCopy(session, context, table, found));
  if (found === null) await createCopy(session, context, table, system);
  await session.run(
    `INSERT INTO ${kept("copies")} (connection, id, schema_name, table_name, columns) VALUES ($1, $2, $3, $4, $5)
      ON CONFLICT (connection, id) DO UPDATE SET schema_name = excluded.schema_name, table_name = excluded.table_name,
        columns = excluded.columns`,
    [
      context.connection,
      table.id,
      physicalName(context.schema),
      physicalName(copyName(context, table.id)),
      JSON.stringify(table.columns.map(({ name }) => name)),
    ],
  );
  return changed ? (await describeCopy(session, context, table.id))! : found!;
}

async function createCopy(
  session: Session,
  context: DestinationContext,
  table: Table,
  system: SystemColumns,
): Promise<void> {
  const name = copyName(context, table.id);
  const columns = [
    ...table.columns.map(({ name, type }) => `${quoted(name)} ${postgresType(type)}`),
    ...(table.key.length === 0 ? [`${quoted(system.id)} text`] : []),
    `${quoted(system.synced)} timestamp with time zone NOT NULL`,
    `${quoted(system.deleted)} boolean NOT NULL`,
  ];
  await session.run(`CREATE TABLE ${relationName(context.schema, name)} (${columns.join(", ")})`);
  const cut = [name, ...table.columns.map((column) => column.name)].filter((full) => physicalName(full) !== full);
  for (const full of cut)
    context.log.warn(`"${full}" is longer than PostgreSQL's names: it is "${physicalName(full)}" there`);
}

/** Resolves to whether anything was altered. */
async function alterCopy(session: Session, context: DestinationContext, table: Table, copy: Copy): Promise<boolean> {
  const { relation, native, system } = copy;
  const changes: string[] = [];
  for (const { name, type } of table.columns) {
    const known = storedType(copy, name);
    if (known === undefined) {
      const other = native.get(physicalName(name));
      if (other !== undefined) throw columnTaken(table, name, other);
      changes.push(`ADD COLUMN ${quoted(name)} ${postgresType(type)}`);
      continue;
    }
    const wide = postgresType(widen(known, type));
    if (wide !== postgresType(known)) changes.push(`ALTER ${quoted(name)} TYPE ${wide} USING ${quoted(name)}::${wide}`);
  }
  if (table.key.length === 0 && !native.has(system.id)) changes.push(`ADD COLUMN ${quoted(system.id)} text`);
  // All at once: widening several columns writes the table anew but one time.
  if (changes.length > 0) await session.run(`ALTER TABLE ${relation} ${changes.join(", ")}`);
  for (const name of await droppedColumns(session, context, table)) {
    if (storedType(copy, name) !== undefined)
      await session.run(`UPDATE ${relation} SET ${quoted(name)} = NULL WHERE ${quoted(name)} IS NOT NULL`);
  }
  return changes.length > 0;
}

function columnTaken(table: Table, name: string, type: string): HeadwatersError {
  return new HeadwatersError(
    "DESTINATION_UNUSABLE",
    `table "${table.id}": column "${name}" of the copy is ${type}, which Headwaters has not made`,
    { hint: "Run reset --drop for this table and sync again." },
  );
}

/** Columns that the source had when the copy was last made ready, and has no more. */
async function droppedColumns(session: Session, context: DestinationContext, table: Table): Promise<string[]> {
  const [row] = await session.rows(`SELECT columns FROM ${kept("copies")} WHERE connection = $1 AND id = $2`, [
    context.connection,
    table.id,
  ]);
  if (row === undefined) return [];
  return (JSON.parse(row["columns"]!) as string[]).filter(
    (name) => !table.columns.some((column) => column.name === name),
  );
}
