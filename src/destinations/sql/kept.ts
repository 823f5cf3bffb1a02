import { HeadwatersError } from "../../protocol/errors.ts";
import type { DestinationContext } from "../../protocol/destination.ts";
import type { Session } from "./dialect.ts";
import { migrations } from "./migrations.ts";
import { bookkeepingSchema } from "./names.ts";

/**
 * The version of the bookkeeping, raised with each change of it. `migrations.ts` converts older versions, and an older
 * Headwaters refuses newer ones.
 */
const format = migrations.at(-1)!.version;

type ColumnType = "text" | "bigint" | "boolean" | "integer";

interface Definition {
  /** Columns of later versions are added at the end. */
  readonly columns: Readonly<Record<string, ColumnType>>;
  /** The columns that are unique in a connection. They are the primary key, in databases with constraints. */
  readonly key?: readonly string[];
  /** Further constraints, in databases that have them. */
  readonly constraints?: string;
}

/**
 * The bookkeeping tables in the destination. They are written in the same transactions as the data. One writer holds
 * the lease of a connection, and only this writer changes the connection's rows. Times are text: ISO 8601, UTC.
 */
const tables = {
  format: { columns: { version: "integer" } },
  // `stamp`: the stamp of the last commit, in microseconds.
  leases: {
    columns: {
      connection: "text",
      lease: "bigint",
      host: "text",
      pid: "bigint",
      since: "text",
      held: "boolean",
      stamp: "text",
    },
    key: [],
  },
  // The names of the copies that Headwaters created, and the columns that the source last had.
  copies: {
    columns: { connection: "text", id: "text", schema_name: "text", table_name: "text", columns: "text" },
    key: ["id"],
    constraints: "UNIQUE (schema_name, table_name)",
  },
  passes: {
    columns: { connection: "text", id: "text", pass: "text" },
    key: ["id"],
  },
  // How the rows of a pass reach the copy of a table. `stage` is the table that they are set aside in, `columns` are
  // the stage's columns, and `ordinal` is the number of rows loaded into it.
  pass_tables: {
    columns: {
      connection: "text",
      pass: "text",
      id: "text",
      mode: "text",
      stage: "text",
      columns: "text",
      ordinal: "bigint",
    },
    key: ["pass", "id"],
  },
  progress: {
    columns: {
      connection: "text",
      pass: "text",
      split: "text",
      attempt: "bigint",
      version: "bigint",
      state: "text",
      done: "boolean",
      as_of: "text",
    },
    key: ["pass", "split"],
  },
  // Operations that no checkpoint covers yet. Consecutive operations of one kind on table `id` share one stage.
  held: {
    columns: {
      connection: "text",
      pass: "text",
      split: "text",
      place: "bigint",
      id: "text",
      kind: "text",
      stage: "text",
      columns: "text",
      ordinal: "bigint",
    },
    key: ["pass", "split", "place"],
  },
  tables: {
    columns: { connection: "text", id: "text", state: "text" },
    key: ["id"],
  },
  // Whether the copy of a table is as our last write left it, see `seals.ts`. `n` and `digest` are of its live rows.
  seals: {
    columns: {
      connection: "text",
      id: "text",
      state: "text",
      written: "text",
      n: "bigint",
      digest: "text",
      how: "text",
    },
    key: ["id"],
  },
  runs: {
    columns: { connection: "text", id: "text", started: "text", run: "text" },
    key: ["id"],
  },
} as const satisfies Readonly<Record<string, Definition>>;

/** A table of the bookkeeping. */
export type Kept = keyof typeof tables;

export const keptTables = Object.keys(tables) as readonly Kept[];

/** The types of a table's columns, without the connection. */
export function keptTypes(table: Kept): Readonly<Record<string, ColumnType>> {
  const { connection: _, ...types } = tables[table].columns as Definition["columns"];
  return types;
}

/** The columns that are unique in a connection. */
export function keptKey(table: Kept): readonly string[] {
  return (tables[table] as Definition).key ?? [];
}

/** The tables that all connections of a destination share. The others belong to one connection. */
const shared: ReadonlySet<Kept> = new Set(["format", "copies"]);

function keptName(table: Kept, suffix: string): string {
  return shared.has(table) ? table : table + suffix;
}

/** The quoted name of a bookkeeping table. */
export function kept({ dialect }: Session, table: Kept, connection: string): string {
  return dialect.relation(bookkeepingSchema, keptName(table, dialect.ownSuffix(connection)));
}

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
  if (outdated) await inTransaction(session, () => migrate(session));
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

/** Creates missing tables and adds missing columns. Resolves to the names of the tables that were created. */
async function shape(session: Session, suffix: string): Promise<readonly string[]> {
  const { relation, constraints, leaseColumns } = session.dialect;
  const made: string[] = [];
  for (const table of keptTables) {
    const name = keptName(table, suffix);
    const definition: Definition = tables[table];
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
