import { HeadwatersError } from "../../protocol/errors.ts";
import type { Pass, Progress } from "../../protocol/pass.ts";
import type { DestinationContext } from "../../protocol/destination.ts";
import type { RunRecord, Stored } from "../../protocol/state-store.ts";
import type { TableState } from "../../protocol/table.ts";
import type { Dialect, Parameter, Session } from "./dialect.ts";
import { bookkeepingSchema } from "./names.ts";

/** Raised when what is kept changes so that an older Headwaters must not touch it. */
const format = 1;

/** A table of the bookkeeping. */
export type Kept = "format" | "leases" | "copies" | "passes" | "pass_tables" | "progress" | "tables" | "runs";

/**
 * What is kept in the destination, beside the data and in its transactions. One writer holds the lease of a connection,
 * and its rows here are that writer's alone. Times are text: ISO 8601, UTC.
 */
const tables: Readonly<Record<Kept, { readonly columns: string; readonly constraints: string }>> = {
  format: { columns: "version integer", constraints: "" },
  leases: {
    columns: "connection text, lease bigint, host text, pid bigint, since text, held boolean",
    constraints: "PRIMARY KEY (connection)",
  },
  // The tables that are ours, under which names; the columns that the source last had.
  copies: {
    columns: "connection text, id text, schema_name text, table_name text, columns text",
    constraints: "PRIMARY KEY (connection, id), UNIQUE (schema_name, table_name)",
  },
  passes: { columns: "connection text, id text, pass text", constraints: "PRIMARY KEY (connection, id)" },
  // How the rows of a pass reach the copy of one of its tables; `stage` is where they are set aside, `columns` what it
  // has, `ordinal` how many rows it was given.
  pass_tables: {
    columns: "connection text, pass text, id text, mode text, stage text, columns text, ordinal bigint",
    constraints: "PRIMARY KEY (connection, pass, id)",
  },
  progress: {
    columns: "connection text, pass text, split text, attempt bigint, version bigint, state text, done boolean",
    constraints: "PRIMARY KEY (connection, pass, split)",
  },
  tables: { columns: "connection text, id text, state text", constraints: "PRIMARY KEY (connection, id)" },
  runs: { columns: "connection text, id text, started text, run text", constraints: "PRIMARY KEY (connection, id)" },
};

export const keptTables = Object.keys(tables) as readonly Kept[];

/** The tables that all connections of a destination share; rows of the others are of one connection. */
const shared: ReadonlySet<Kept> = new Set(["format", "copies"]);

/** The name of a table of the bookkeeping, as it is for this connection. */
function keptName(dialect: Dialect, table: Kept, connection: string): string {
  return shared.has(table) ? table : table + dialect.ownSuffix(connection);
}

/** A table of the bookkeeping as SQL has it. */
export function kept({ dialect }: Session, table: Kept, connection: string): string {
  return dialect.relation(bookkeepingSchema, keptName(dialect, table, connection));
}

/** Whether a table of the bookkeeping is there. */
async function isKept(session: Session, table: Kept, connection: string): Promise<boolean> {
  const name = keptName(session.dialect, table, connection);
  return (await session.dialect.describe(session, bookkeepingSchema, name)).columns.length > 0;
}

/** Whether there is bookkeeping at all. Throws where a newer Headwaters wrote it. */
export async function hasBookkeeping(session: Session, connection: string): Promise<boolean> {
  if (!(await isKept(session, "format", connection))) return false;
  const version = await session.number(`SELECT max(version) FROM ${kept(session, "format", connection)}`);
  if (version > format) {
    throw new HeadwatersError(
      "DESTINATION_UNUSABLE",
      `the destination was written by a newer Headwaters (format ${version})`,
      { hint: "Update Headwaters, or choose another destination." },
    );
  }
  return true;
}

/** Throws `CONFIGURATION_INVALID` where the copies would go to the schema of the bookkeeping. */
export function refuseOwnSchema({ schema }: DestinationContext): void {
  if (schema.toLowerCase() !== bookkeepingSchema) return;
  throw new HeadwatersError("CONFIGURATION_INVALID", `schema: "${schema}" is where Headwaters keeps its own`, {
    hint: "Choose another schema.",
  });
}

/** Throws `DESTINATION_EMPTY` where nothing is kept of the connection. `place` is the destination as users know it. */
export async function mustHold(session: Session, connection: string, place: string): Promise<void> {
  const held =
    (await hasBookkeeping(session, connection)) &&
    (await isKept(session, "leases", connection)) &&
    (await session.number(`SELECT count(*) FROM ${kept(session, "leases", connection)} WHERE connection = $1`, [
      connection,
    ])) > 0;
  if (held) return;
  throw new HeadwatersError("DESTINATION_EMPTY", `${place} holds nothing of connection "${connection}" yet`, {
    hint: "Run sync first.",
  });
}

/**
 * Makes the bookkeeping and the schema of the copies, where they are not there. Resolves to the names of the tables that
 * were made.
 */
export async function makeBookkeeping(
  session: Session,
  { connection, schema }: Pick<DestinationContext, "connection" | "schema">,
): Promise<readonly string[]> {
  const { dialect } = session;
  await session.run(dialect.begin);
  try {
    await dialect.lockBookkeeping(session);
    const made = await hasBookkeeping(session, connection);
    for (const name of [bookkeepingSchema, schema]) await dialect.createSchema(session, name);
    const names: string[] = [];
    if (!made || !(await isKept(session, "leases", connection))) {
      for (const table of keptTables)
        if (await createKept(session, table, connection)) names.push(keptName(dialect, table, connection));
    }
    if (!made) await session.run(`INSERT INTO ${kept(session, "format", connection)} VALUES (${format})`);
    await session.run("COMMIT");
    return names;
  } catch (thrown) {
    await session.rollback();
    throw thrown;
  }
}

/** Resolves to whether it was not there. */
async function createKept(session: Session, table: Kept, connection: string): Promise<boolean> {
  if (await isKept(session, table, connection)) return false;
  const { constraints, leaseColumns } = session.dialect;
  const definition = [
    tables[table].columns,
    ...(table === "leases" && leaseColumns !== "" ? [leaseColumns] : []),
    ...(constraints && tables[table].constraints !== "" ? [tables[table].constraints] : []),
  ];
  await session.run(`CREATE TABLE ${kept(session, table, connection)} (${definition.join(", ")})`);
  return true;
}

/**
 * In the transaction that is about to commit: throws `LEASE_LOST` where `lease` is not the newest, or was released. The
 * row is written, so that a transaction that takes the lease meanwhile waits for this one, or conflicts with it.
 */
export async function checkLease(session: Session, connection: string, lease: number): Promise<void> {
  const changed = await session.run(
    `UPDATE ${kept(session, "leases", connection)} SET held = true WHERE connection = $1 AND lease = CAST($2 AS bigint) AND held`,
    [connection, lease],
  );
  if (changed !== 1) throw leaseLost(connection);
}

/** What a commit failed with, told apart: a conflict with whoever took the lease meanwhile is for good, others pass. */
export async function asLeaseLost(
  thrown: unknown,
  session: Session,
  connection: string,
  lease: number,
): Promise<unknown> {
  if (!(thrown instanceof HeadwatersError) || thrown.code !== "WRITE_CONFLICT") return thrown;
  await session.rollback();
  const held = await session.number(
    `SELECT count(*) FROM ${kept(session, "leases", connection)} WHERE connection = $1 AND lease = CAST($2 AS bigint) AND held`,
    [connection, lease],
  );
  return held === 1 ? thrown : leaseLost(connection, thrown);
}

function leaseLost(connection: string, cause?: unknown): HeadwatersError {
  return new HeadwatersError(
    "LEASE_LOST",
    `another writer took connection "${connection}" over; nothing was committed`,
    { hint: "Sync again once it has ended.", cause },
  );
}

/** Rows of the bookkeeping of one connection: what it is, by its columns. */
async function keptRows(
  session: Session,
  table: Kept,
  connection: string,
  columns: string,
): Promise<readonly Readonly<Record<string, unknown>>[]> {
  return session.rows(`SELECT ${columns} FROM ${kept(session, table, connection)} WHERE connection = $1`, [connection]);
}

function parsed<Value>(text: unknown): Value {
  return JSON.parse(text as string) as Value;
}

export async function load(session: Session, connection: string): Promise<Stored> {
  const passes = await keptRows(session, "passes", connection, "pass");
  const states = await keptRows(session, "tables", connection, "id, state");
  const progress = await keptRows(
    session,
    "progress",
    connection,
    "pass, split, attempt, version, state, CASE WHEN done THEN 1 ELSE 0 END AS done",
  );
  const [lastRun = null] = await loadRuns(session, connection, 1);
  return {
    lastRun,
    lastStamp: lastRun?.started ?? null,
    passes: passes.map(({ pass }) => parsed<Pass>(pass)),
    progress: progress.map((row) => ({
      pass: row["pass"] as string,
      split: row["split"] as string,
      attempt: Number(row["attempt"]),
      version: Number(row["version"]),
      state: parsed<Progress["state"]>(row["state"]),
      done: Number(row["done"]) === 1,
    })),
    tables: new Map(
      states
        .map(({ id, state }): [string, TableState] => [id as string, parsed(state)])
        .sort(([a], [b]) => (a < b ? -1 : 1)),
    ),
  };
}

/**
 * Replaces the progress of splits. Throws `LEASE_LOST` where one does not follow what is stored, or is of a pass that
 * is not open: somebody else went on with it. The lease must have been checked: nobody else changes these rows meanwhile.
 */
export async function saveProgress(session: Session, connection: string, progress: readonly Progress[]): Promise<void> {
  if (progress.length === 0) return;
  const given = JSON.stringify(progress.map((entry) => ({ ...entry, state: stored(entry.state) })));
  const rows = session.dialect.records("$1", {
    pass: "text",
    split: "text",
    attempt: "bigint",
    version: "bigint",
    state: "text",
    done: "boolean",
  });
  const known = kept(session, "progress", connection);
  const same = "known.connection = $2 AND known.pass = given.pass AND known.split = given.split";
  const [stale] = await session.rows(
    `SELECT given.split FROM ${rows}
      LEFT JOIN ${kept(session, "passes", connection)} opened ON opened.connection = $2 AND opened.id = given.pass
      LEFT JOIN ${known} known ON ${same}
      WHERE opened.id IS NULL OR given.version <> coalesce(known.version, 0) + 1
        OR given.attempt < coalesce(known.attempt, 1)`,
    [given, connection],
  );
  if (stale !== undefined) {
    throw new HeadwatersError(
      "LEASE_LOST",
      `the progress of split "${String(stale["split"])}" does not follow what is stored: another writer went on with it; nothing was committed`,
      { hint: "Sync again." },
    );
  }
  await session.run(`DELETE FROM ${known} known USING ${rows} WHERE ${same}`, [given, connection]);
  await session.run(
    `INSERT INTO ${known} (connection, pass, split, attempt, version, state, done)
      SELECT $2, pass, split, attempt, version, state, done FROM ${rows}`,
    [given, connection],
  );
}

/** JSON for a column of the bookkeeping. A lake takes `{NAME}` in a text for a placeholder of its own: no brace stands so. */
export function stored(value: unknown): string {
  return JSON.stringify(value).replaceAll(/\{(?=[A-Z])/g, "\\u007b");
}

/** Replaces the row of one connection whose `id` is given. */
async function save(
  session: Session,
  table: "passes" | "tables" | "runs",
  connection: string,
  row: Readonly<Record<"id" | "pass" | "state" | "started" | "run", string>> | Readonly<Record<string, string>>,
): Promise<void> {
  const relation = kept(session, table, connection);
  const names = ["connection", ...Object.keys(row)];
  const values: Parameter[] = [connection, ...Object.values(row)];
  await session.run(`DELETE FROM ${relation} WHERE connection = $1 AND id = $2`, [connection, row["id"]!]);
  await session.run(
    `INSERT INTO ${relation} (${names.join(", ")}) VALUES (${names.map((_, index) => `$${index + 1}`).join(", ")})`,
    values,
  );
}

export async function savePass(session: Session, connection: string, pass: Pass): Promise<void> {
  await save(session, "passes", connection, { id: pass.id, pass: stored(pass) });
}

/** A pass and its progress are forgotten; what it set aside is the caller's to drop. */
export async function forgetPass(session: Session, connection: string, pass: string): Promise<void> {
  for (const [table, column] of [
    ["progress", "pass"],
    ["pass_tables", "pass"],
    ["passes", "id"],
  ] as const) {
    await session.run(`DELETE FROM ${kept(session, table, connection)} WHERE connection = $1 AND ${column} = $2`, [
      connection,
      pass,
    ]);
  }
}

export async function saveStates(
  session: Session,
  connection: string,
  states: ReadonlyMap<string, TableState>,
): Promise<void> {
  for (const [id, state] of states) await save(session, "tables", connection, { id, state: stored(state) });
}

export async function saveRun(session: Session, connection: string, run: RunRecord): Promise<void> {
  await save(session, "runs", connection, { id: run.id, started: run.started, run: stored(run) });
}

export async function loadRuns(session: Session, connection: string, limit: number): Promise<RunRecord[]> {
  const rows = await session.rows(
    `SELECT run FROM ${kept(session, "runs", connection)} WHERE connection = $1 ORDER BY started DESC, id LIMIT ${Math.trunc(limit)}`,
    [connection],
  );
  return rows.map(({ run }) => parsed<RunRecord>(run));
}
