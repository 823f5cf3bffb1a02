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

/** The columns of the tables in our schema, by the table's name. */
type Found = Map<string, readonly string[]>;

async function findTables(session: Session): Promise<Found> {
  const described = await session.dialect.describe(session, bookkeepingSchema, null);
  return new Map(described.map(({ table, columns }) => [table, columns.map(({ name }) => name)]));
}

/** The version of the stored bookkeeping; `null`: there is none. Throws if a newer Headwaters wrote it. */
export async function keptVersion(session: Session): Promise<number | null> {
  return versionAmong(session, await findTables(session));
}

async function versionAmong(session: Session, found: Found): Promise<number | null> {
  if (!found.has("format")) return null;
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
  throw new HeadwatersError("CONFIGURATION_INVALID", `schema: "${schema}" is the schema of Headwaters' own tables`, {
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
    const found = await findTables(session);
    const version = await versionAmong(session, found);
    outdated = version !== null && version < format;
    const known = version !== null && found.has(keptName("leases", suffix));
    if (!create && !(known && (await hasLease(session, connection)))) {
      throw new HeadwatersError("DESTINATION_EMPTY", `${place} has no data of connection "${connection}" yet`, {
        hint: "Run sync first.",
      });
    }
    if (create) for (const name of [bookkeepingSchema, schema]) await session.dialect.createSchema(session, name);
    const made: string[] = [];
    if (outdated) for (const other of suffixes(found)) made.push(...(await shape(session, other, found)));
    if (!known) made.push(...(await shape(session, suffix, found)));
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
function suffixes(found: Found): readonly string[] {
  return [...found.keys()].filter((name) => name.startsWith("leases")).map((name) => name.slice("leases".length));
}

/** Converts the rows of all connections, unless another process did so meanwhile. */
async function migrate(session: Session): Promise<void> {
  const { relation } = session.dialect;
  const found = await findTables(session);
  const from = (await versionAmong(session, found))!;
  for (const suffix of suffixes(found)) {
    for (const migration of migrations) {
      if (migration.version <= from) continue;
      await migration.run(session, (table) => relation(bookkeepingSchema, keptName(table, suffix)));
    }
  }
  await session.run(`UPDATE ${relation(bookkeepingSchema, "format")} SET version = ${format}`);
}

/** Drops columns whose values are elsewhere by now. Where it does not come to that, they stay, and nobody reads them. */
async function dropColumns(session: Session): Promise<void> {
  const found = await findTables(session);
  for (const suffix of suffixes(found)) {
    for (const table of keptTables) {
      const name = keptName(table, suffix);
      for (const column of keptDefinition(table).dropped ?? []) {
        if (found.get(name)?.includes(column) !== true) continue;
        await session.run(`ALTER TABLE ${session.dialect.relation(bookkeepingSchema, name)} DROP COLUMN ${column}`);
      }
    }
  }
}

/** Creates missing tables, which `found` gets too, and adds missing columns. Resolves to the names of the tables created. */
async function shape(session: Session, suffix: string, found: Found): Promise<readonly string[]> {
  const { relation, constraints, leaseColumns } = session.dialect;
  const made: string[] = [];
  for (const table of keptTables) {
    const name = keptName(table, suffix);
    const definition = keptDefinition(table);
    const known = found.get(name);
    const columns = Object.entries(definition.columns).map(([column, type]) => ({ column, sql: `${column} ${type}` }));
    if (known !== undefined) {
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
    found.set(name, Object.keys(definition.columns));
    made.push(name);
  }
  return made;
}
