import { HeadwatersError } from "../../protocol/errors.ts";
import type { DestinationContext } from "../../protocol/destination.ts";
import type { Session } from "./dialect.ts";
import { kept, keptDefinition, keptName, keptTables } from "./kept.ts";
import { migrations } from "./migrations.ts";
import { bookkeepingSchema } from "./names.ts";
import { makeViews } from "./views.ts";

/**
 * The version of the bookkeeping, raised with each change of it. `migrations.ts` converts older versions, and an older
 * Headwaters refuses newer ones.
 */
const format = migrations.at(-1)!.version;

/** The columns of a table in our schema; empty: the table does not exist. */
async function keptColumns(session: Session, name: string): Promise<readonly string[]> {
  const [described] = await session.dialect.describe(session, bookkeepingSchema, name);
  return described?.columns.map((column) => column.name) ?? [];
}

/** The version of the stored bookkeeping; `null`: there is none. Throws if a newer Headwaters wrote it. */
export async function keptVersion(session: Session): Promise<number | null> {
  if ((await keptColumns(session, "format")).length === 0) return null;
  const version = await session.number(
    `SELECT max(version) FROM ${session.dialect.relation(bookkeepingSchema, "format")}`,
  );
  if (version > format) {
    throw new HeadwatersError(
      "DESTINATION_UNUSABLE",
      `the destination was written by a newer Headwaters (format ${version})`,
      { hint: "Update Headwaters, or choose another destination." },
    );
  }
  return version;
}

/** Throws `CONFIGURATION_INVALID` if the copies would be in the schema of the bookkeeping. */
export function refuseOwnSchema({ schema }: DestinationContext): void {
  if (schema.toLowerCase() !== bookkeepingSchema) return;
  throw new HeadwatersError("CONFIGURATION_INVALID", `schema: "${schema}" is where Headwaters keeps its own`, {
    hint: "Choose another schema.",
  });
}

/**
 * Creates the bookkeeping and the schema of the copies if they do not exist, and migrates the bookkeeping of an older
 * Headwaters. Without `create`: throws `DESTINATION_EMPTY` if the destination has nothing of the connection. `place` is
 * the destination's name in messages. Resolves to the names of the tables that were created.
 */
export async function openBookkeeping(
  session: Session,
  { connection, schema }: Pick<DestinationContext, "connection" | "schema">,
  { create, place }: { readonly create: boolean; readonly place: string },
): Promise<readonly string[]> {
  const suffix = session.dialect.ownSuffix(connection);
  let outdated = false;
  const made = await inTransaction(session, async () => {
    const version = await keptVersion(session);
    outdated = version !== null && version < format;
    const known = version !== null && (await keptColumns(session, keptName("leases", suffix))).length > 0;
    if (!create && !(known && (await hasLease(session, connection)))) {
      throw new HeadwatersError("DESTINATION_EMPTY", `${place} holds nothing of connection "${connection}" yet`, {
        hint: "Run sync first.",
      });
    }
    if (create) for (const name of [bookkeepingSchema, schema]) await session.dialect.createSchema(session, name);
    const made: string[] = [];
    if (outdated) for (const other of await suffixes(session)) made.push(...(await shape(session, other)));
    if (!known) made.push(...(await shape(session, suffix)));
    if (version === null)
      await session.run(`INSERT INTO ${kept(session, "format", connection)} (version) VALUES (${format})`);
    return made;
  });
  // On its own: DuckLake can't commit rows of a table whose columns were changed in the same transaction.
  if (outdated) {
    await inTransaction(session, () => migrate(session));
    await inTransaction(session, () => dropColumns(session));
  }
  if (made.length > 0 || outdated) await inTransaction(session, () => makeViews(session, suffix));
  return made;
}

async function inTransaction<Result>(session: Session, work: () => Promise<Result>): Promise<Result> {
  await session.run(session.dialect.begin);
  try {
    await session.dialect.lockBookkeeping(session);
    const result = await work();
    await session.run("COMMIT");
    return result;
  } catch (thrown) {
    await session.rollback();
    throw thrown;
  }
}

async function hasLease(session: Session, connection: string): Promise<boolean> {
  const leases = kept(session, "leases", connection);
  return (await session.number(`SELECT count(*) FROM ${leases} WHERE connection = $1`, [connection])) > 0;
}

/** What the names of the tables of each connection end with. */
async function suffixes(session: Session): Promise<readonly string[]> {
  const found = await session.rows(
    `SELECT table_name FROM information_schema.tables
      WHERE table_catalog = current_database() AND table_schema = $1 AND table_name LIKE 'leases%'`,
    [bookkeepingSchema],
  );
  return found.map(({ table_name }) => (table_name as string).slice("leases".length));
}

/** Converts the rows of all connections, unless another process did so meanwhile. */
async function migrate(session: Session): Promise<void> {
  const { relation } = session.dialect;
  const from = (await keptVersion(session))!;
  for (const suffix of await suffixes(session)) {
    for (const migration of migrations) {
      if (migration.version <= from) continue;
      await migration.run(session, (table) => relation(bookkeepingSchema, keptName(table, suffix)));
    }
  }
  await session.run(`UPDATE ${relation(bookkeepingSchema, "format")} SET version = ${format}`);
}

/** Drops columns whose values are elsewhere by now. Where it does not come to that, they stay, and nobody reads them. */
async function dropColumns(session: Session): Promise<void> {
  for (const suffix of await suffixes(session)) {
    for (const table of keptTables) {
      const name = keptName(table, suffix);
      const known = await keptColumns(session, name);
      for (const column of keptDefinition(table).dropped ?? []) {
        if (!known.includes(column)) continue;
        await session.run(`ALTER TABLE ${session.dialect.relation(bookkeepingSchema, name)} DROP COLUMN ${column}`);
      }
    }
  }
}

/** Creates missing tables and adds missing columns. Resolves to the names of the tables that were created. */
async function shape(session: Session, suffix: string): Promise<readonly string[]> {
  const { relation, constraints, leaseColumns } = session.dialect;
  const made: string[] = [];
  for (const table of keptTables) {
    const name = keptName(table, suffix);
    const definition = keptDefinition(table);
    const known = await keptColumns(session, name);
    const columns = Object.entries(definition.columns).map(([column, type]) => ({ column, sql: `${column} ${type}` }));
    if (known.length > 0) {
      for (const { sql } of columns.filter(({ column }) => !known.includes(column)))
        await session.run(`ALTER TABLE ${relation(bookkeepingSchema, name)} ADD COLUMN ${sql}`);
      continue;
    }
    const parts = columns.map(({ sql }) => sql);
    if (table === "leases" && leaseColumns !== "") parts.push(leaseColumns);
    if (constraints && definition.key !== undefined)
      parts.push(`PRIMARY KEY (${["connection", ...definition.key].join(", ")})`);
    if (constraints && definition.constraints !== undefined) parts.push(definition.constraints);
    await session.run(`CREATE TABLE ${relation(bookkeepingSchema, name)} (${parts.join(", ")})`);
    made.push(name);
  }
  return made;
}
