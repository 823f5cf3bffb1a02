import { createHash } from "node:crypto";
import { HeadwatersError } from "../../protocol/errors.ts";
import type { Column, Table } from "../../protocol/table.ts";
import { nearest } from "../../toolkit/nearest.ts";
import { refusedTable } from "../../toolkit/refused-table.ts";
import type { PostgresConnection } from "../../wire/postgres/connection.ts";
import { escapeIdentifier, qualifiedName } from "../../wire/postgres/literals.ts";
import { type CatalogTable, loadCatalog } from "./catalog/catalog.ts";
import { estimateRows } from "./catalog/estimate.ts";
import type { Server } from "./server.ts";
import { whyNotFollowed } from "./stream/followed.ts";
import type { Telling } from "./stream/telling.ts";
import { hasIndexOn, type Shape, keyIndexOf, type ShapeContext, shapeOf } from "./catalog/shape.ts";

/** From this many rows on, a window without an index on the cursor column is slow enough for a note. */
export const largeRows = 1_000_000;

/**
 * All tables of the schema, including those that this role may not read. An unreadable table fails when it is planned,
 * so it is neither overlooked nor stops the others. Throws if the schema is missing or closed to the role.
 */
export async function discoverTables(
  connection: PostgresConnection,
  server: Server,
  schema: string,
  context: ShapeContext,
  tellingOf: (table: string) => Telling | null,
  signal: AbortSignal,
): Promise<readonly Table[]> {
  await assertSchema(connection, schema, signal);
  const catalog = await loadCatalog(connection, schema, null, signal);
  return catalog.map((table) => {
    try {
      return tableOf(shapeOf(table, context), server, tellingOf(table.name), connection.settings.user);
    } catch (thrown) {
      return refusedTable(table.name, thrown);
    }
  });
}

/** The key columns of every table that has a key. */
export async function keysOfTables(
  connection: PostgresConnection,
  schema: string,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const keys = new Map<string, readonly string[]>();
  for (const table of await loadCatalog(connection, schema, null, signal)) {
    const index = keyIndexOf(table);
    if (index !== undefined) keys.set(table.name, index.columns);
  }
  return keys;
}

/** Throws `SCHEMA_UNKNOWN`, or `PRIVILEGE_MISSING` if the role may not use the schema. */
export async function assertSchema(connection: PostgresConnection, schema: string, signal: AbortSignal): Promise<void> {
  const rows = await connection.query(
    `SELECT nspname AS name, has_schema_privilege(oid, 'USAGE')::text AS usage FROM pg_namespace
     WHERE nspname = $1 OR nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema' ORDER BY nspname`,
    [schema],
    signal,
  );
  const found = rows.find((row) => row["name"] === schema);
  const { database, user } = connection.settings;
  if (found === undefined) {
    const names = rows.map((row) => row["name"]!);
    const meant = nearest(schema, names);
    throw new HeadwatersError("SCHEMA_UNKNOWN", `schema: database "${database}" has no schema "${schema}"`, {
      hint: meant === null ? `It has ${names.map((name) => `"${name}"`).join(", ")}.` : `Did you mean "${meant}"?`,
    });
  }
  if (found["usage"] !== "true") {
    throw new HeadwatersError("PRIVILEGE_MISSING", `schema: user "${user}" may not use schema "${schema}"`, {
      hint: `GRANT USAGE ON SCHEMA ${escapeIdentifier(schema)} TO ${escapeIdentifier(user)};`,
    });
  }
}

/** Throws `PRIVILEGE_MISSING` if the role may not read one of these columns. */
export function assertReadable(shape: Shape, columns: readonly Column[], user: string): void {
  const hidden = shape.columns.filter(
    ({ name, readable }) => !readable && columns.some((column) => column.name === name),
  );
  if (hidden.length === 0) return;
  const { schema, name } = shape.catalog;
  const what =
    hidden.length === columns.length
      ? "the table"
      : `column${hidden.length > 1 ? "s" : ""} ${hidden.map((column) => `"${column.name}"`).join(", ")}`;
  throw new HeadwatersError("PRIVILEGE_MISSING", `table "${name}": user "${user}" may not read ${what}`, {
    hint: grantSelect(schema, name, user),
  });
}

/** The statement that lets the role read a table. */
export function grantSelect(schema: string, name: string, user: string): string {
  return `GRANT SELECT ON ${qualifiedName(schema, name)} TO ${escapeIdentifier(user)};`;
}

/** Another value means another table, or other parts of a column's type. */
export function identityOf({ oid, parts }: CatalogTable): string {
  return parts === null ? oid : `${oid} ${digestOf(parts)}`;
}

/** The log does not show the rows of a partition that is attached or detached, so all rows are read again. */
function storageOf({ partitioned, rewritten, storage }: CatalogTable, streamed: boolean): string {
  const told = partitioned && streamed ? storage : rewritten;
  return told === "" ? "" : digestOf(told);
}

function digestOf(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}

function tableOf(shape: Shape, server: Server, telling: Telling | null, user: string): Table {
  const { catalog, columns, key } = shape;
  const streamed = telling?.slot != null && whyNotFollowed(shape, server, telling.plugin) === null;
  const cursor = key.length === 0 ? null : shape.cursor;
  return {
    id: catalog.name,
    columns: columns.map(({ name, mapping, nullable, comment }) => ({
      name,
      type: mapping.type,
      nullable,
      ...commented(comment),
    })),
    key,
    identity: identityOf(catalog),
    storage: storageOf(catalog, streamed),
    cursor,
    version: cursor,
    ...(streamed ? { streamed } : {}),
    estimatedRows: estimateRows(catalog, server),
    ...commented(catalog.comment),
    notes: notesOf(shape, server, telling, user),
  };
}

function commented(comment: string | null): Pick<Table, "comment"> {
  return comment === null ? {} : { comment };
}

function notesOf(shape: Shape, server: Server, telling: Telling | null, user: string): string[] {
  const { catalog, columns, key, cursor } = shape;
  const notes: string[] = [];
  const hidden = columns.filter((column) => !column.readable).map((column) => column.name);
  if (!catalog.visible || hidden.length === columns.length) {
    notes.push(`User "${user}" may not read it: ${grantSelect(catalog.schema, catalog.name, user)}`);
  } else if (hidden.length > 0) {
    notes.push(`User "${user}" may not read ${hidden.join(", ")}: ${grantSelect(catalog.schema, catalog.name, user)}`);
  }
  if (catalog.secured) notes.push(`Row-level security would hide rows from user "${user}", so that reading it fails.`);
  const unfollowed = telling === null ? null : whyNotFollowed(shape, server, telling.plugin);
  const streamed = telling?.slot != null && unfollowed === null;
  if (unfollowed !== null) notes.push(`Its changes can't be read from the log, since ${unfollowed}.`);
  else if (streamed) notes.push(`Its changes are read from the log, by the slot ${telling.slot}.`);
  else if (telling !== null) {
    notes.push(
      "headwaters follow reads its changes from the log. YugabyteDB does not report where the log ends, so a sync finds changes by the cursor.",
    );
  }
  if (key.length === 0) notes.push("It has no primary key, so it is read whole at each sync.");
  else if (shape.keyIsIndex) {
    notes.push(`It has no primary key; the unique index on ${key.join(", ")} identifies its rows.`);
  }
  if (key.length > 0 && cursor === null && !streamed) {
    notes.push(
      "It has no cursor column (updated_at), so it is read whole at each sync. You can name one with the setting cursor.",
    );
  }
  if (key.length === 0 && cursor !== null) notes.push(`Without a key its cursor column ${cursor} is of no use.`);
  const rows = estimateRows(catalog, server);
  if (key.length > 0 && cursor !== null && !streamed && (rows ?? 0) >= largeRows && !hasIndexOn(shape, cursor)) {
    notes.push(
      `There is no index on ${cursor}, so each sync reads the whole table to find what changed: CREATE INDEX ON ${qualifiedName(catalog.schema, catalog.name)} (${escapeIdentifier(cursor)});`,
    );
  }
  if (catalog.inherited) notes.push("Other tables inherit from it; each is copied by itself, under its own name.");
  for (const column of columns)
    if (column.mapping.note !== null) notes.push(`Column ${column.name} ${column.mapping.note}.`);
  return notes;
}
