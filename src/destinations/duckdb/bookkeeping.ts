import { HeadwatersError } from "../../protocol/errors.ts";
import type { Pass, Progress } from "../../protocol/pass.ts";
import type { DestinationContext } from "../../protocol/destination.ts";
import type { RunRecord, Stored } from "../../protocol/state-store.ts";
import type { TableState } from "../../protocol/table.ts";
import { bookkeepingSchema, fold, quote } from "./names.ts";
import type { Session } from "./session.ts";

/** Raised when what is kept changes so that an older Headwaters must not touch it. */
const format = 1;

/**
 * What is kept in the destination, beside the data and in its transactions. One writer holds the lease of a connection, and
 * its rows here are that writer's alone: no index is needed.
 */
const tables: Readonly<Record<string, string>> = {
  format: "version INTEGER",
  leases: "connection VARCHAR, lease BIGINT, host VARCHAR, pid BIGINT, since VARCHAR, held BOOLEAN",
  // The tables that are ours, under which names; the columns that the source last had.
  copies: "connection VARCHAR, id VARCHAR, schema_name VARCHAR, table_name VARCHAR, columns VARCHAR",
  passes: "connection VARCHAR, id VARCHAR, pass VARCHAR",
  // How the rows of a pass reach the copy of one of its tables; `stage` is where they are set aside.
  pass_tables: "connection VARCHAR, pass VARCHAR, id VARCHAR, mode VARCHAR, stage VARCHAR",
  progress:
    "connection VARCHAR, pass VARCHAR, split VARCHAR, attempt BIGINT, version BIGINT, state VARCHAR, done BOOLEAN",
  tables: "connection VARCHAR, id VARCHAR, state VARCHAR",
  runs: "connection VARCHAR, id VARCHAR, started VARCHAR, run VARCHAR",
};

/** JSON for a column of the bookkeeping. A lake takes `{NAME}` in a text for a placeholder of its own: no brace stands so. */
function stored(value: unknown): string {
  return JSON.stringify(value).replaceAll(/\{(?=[A-Z])/g, "\\u007b");
}

/** The tables that all connections of a destination share; rows of the others are of one connection. */
const shared: ReadonlySet<string> = new Set(["format", "copies"]);

function keptName(session: Session, table: string, connection: string | null): string {
  return shared.has(table) || connection === null ? table : table + session.storage.ownSuffix(connection);
}

/** A table of the bookkeeping as SQL has it. Whole, since the name of a catalog may be like a schema's. */
export function kept(session: Session, table: keyof typeof tables, connection: string | null): string {
  return `${quote(session.catalog)}.${quote(bookkeepingSchema)}.${quote(keptName(session, table, connection))}`;
}

/** Names of all tables of the bookkeeping, as they are for this connection. */
export function keptNames(session: Session, connection: string): readonly string[] {
  return Object.keys(tables).map((table) => keptName(session, table, connection));
}

/** Whether a table of the bookkeeping is there. */
export async function isKept(
  session: Session,
  table: keyof typeof tables,
  connection: string | null,
): Promise<boolean> {
  const found = await session.number(
    "SELECT count(*) FROM duckdb_tables() WHERE database_name = current_database() AND schema_name = ? AND table_name = ?",
    [bookkeepingSchema, keptName(session, table, connection)],
  );
  return found > 0;
}

/** Whether there is bookkeeping at all. Throws where a newer Headwaters wrote it. */
async function hasBookkeeping(session: Session): Promise<boolean> {
  if (!(await isKept(session, "format", null))) return false;
  const version = await session.number(`SELECT max(version) FROM ${kept(session, "format", null)}`);
  if (version > format) {
    throw new HeadwatersError(
      "DESTINATION_UNUSABLE",
      `the destination was written by a newer Headwaters (format ${version})`,
      {
        hint: "Update Headwaters, or choose another destination.",
      },
    );
  }
  return true;
}

/** Throws `CONFIGURATION_INVALID` where the copies would go to the schema of the bookkeeping. */
export function refuseOwnSchema({ schema }: DestinationContext): void {
  if (fold(schema) !== bookkeepingSchema) return;
  throw new HeadwatersError("CONFIGURATION_INVALID", `schema: "${schema}" is where Headwaters keeps its own`, {
    hint: "Choose another schema.",
  });
}

/** Throws `DESTINATION_EMPTY` where nothing is kept of the connection. `place` is the destination as users know it. */
export async function mustHold(session: Session, connection: string, place: string): Promise<void> {
  const held =
    (await hasBookkeeping(session)) &&
    (await isKept(session, "leases", connection)) &&
    (await session.number(`SELECT count(*) FROM ${kept(session, "leases", connection)} WHERE connection = ?`, [
      connection,
    ])) > 0;
  if (held) return;
  throw new HeadwatersError("DESTINATION_EMPTY", `${place} holds nothing of connection "${connection}" yet`, {
    hint: "Run sync first.",
  });
}

/** Makes the bookkeeping and the schema of the copies, where they are not there. */
export async function makeBookkeeping(
  session: Session,
  { connection, schema }: Pick<DestinationContext, "connection" | "schema">,
): Promise<void> {
  const made = await hasBookkeeping(session);
  await session.run(
    [
      "BEGIN",
      `CREATE SCHEMA IF NOT EXISTS ${quote(session.catalog)}.${quote(bookkeepingSchema)}`,
      `CREATE SCHEMA IF NOT EXISTS ${quote(session.catalog)}.${quote(schema)}`,
      ...Object.entries(tables).map(
        ([name, columns]) => `CREATE TABLE IF NOT EXISTS ${kept(session, name, connection)} (${columns})`,
      ),
      ...(made ? [] : [`INSERT INTO ${kept(session, "format", null)} VALUES (${format})`]),
      "COMMIT",
    ].join("; "),
  );
}

/** In the transaction that is about to commit: throws `LEASE_LOST` where `lease` is not the newest, or was released. */
export async function checkLease(session: Session, connection: string, lease: number): Promise<void> {
  // Written, not read: a transaction that took the lease meanwhile makes this one conflict.
  const changed = await session.run(
    `UPDATE ${kept(session, "leases", connection)} SET held = TRUE WHERE connection = ? AND lease = ?::BIGINT AND held`,
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
    `SELECT count(*) FROM ${kept(session, "leases", connection)} WHERE connection = ? AND lease = ?::BIGINT AND held`,
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

export async function load(session: Session, connection: string): Promise<Stored> {
  const passes = await session.rows<{ pass: string }>(
    `SELECT pass FROM ${kept(session, "passes", connection)} WHERE connection = ?`,
    [connection],
  );
  const states = await session.rows<{ id: string; state: string }>(
    `SELECT id, state FROM ${kept(session, "tables", connection)} WHERE connection = ? ORDER BY id`,
    [connection],
  );
  const [lastRun = null] = await loadRuns(session, connection, 1);
  return {
    lastRun,
    lastStamp: lastRun?.started ?? null,
    passes: passes.map(({ pass }) => JSON.parse(pass) as Pass),
    progress: await loadProgress(session, connection),
    tables: new Map(states.map(({ id, state }) => [id, JSON.parse(state) as TableState])),
  };
}

async function loadProgress(session: Session, connection: string): Promise<Progress[]> {
  const rows = await session.rows<{
    pass: string;
    split: string;
    attempt: bigint;
    version: bigint;
    state: string;
    done: boolean;
  }>(
    `SELECT pass, split, attempt, version, state, done FROM ${kept(session, "progress", connection)} WHERE connection = ?`,
    [connection],
  );
  return rows.map((row) => ({
    ...row,
    attempt: Number(row.attempt),
    version: Number(row.version),
    state: JSON.parse(row.state) as Progress["state"],
  }));
}

/**
 * Replaces the progress of splits. Throws `LEASE_LOST` where one does not follow what is stored, or is of a pass that
 * is not open: somebody else went on with it.
 */
export async function saveProgress(session: Session, connection: string, progress: readonly Progress[]): Promise<void> {
  if (progress.length === 0) return;
  // Numbered: DuckDB counts `?` in the order in which it transforms a statement, not in that of its text.
  const given = JSON.stringify(progress.map((entry) => ({ ...entry, state: stored(entry.state) })));
  const rows = `(SELECT unnest(from_json($1, '[{"pass": "VARCHAR", "split": "VARCHAR", "attempt": "BIGINT", "version": "BIGINT", "state": "VARCHAR", "done": "BOOLEAN"}]'), recursive := true))`;
  const stale = await session.rows<{ split: string }>(
    `SELECT given.split FROM ${rows} given
      LEFT JOIN ${kept(session, "passes", connection)} open ON open.connection = $2 AND open.id = given.pass
      LEFT JOIN ${kept(session, "progress", connection)} known
        ON known.connection = $2 AND known.pass = given.pass AND known.split = given.split
      WHERE open.id IS NULL OR given.version <> coalesce(known.version, 0) + 1
        OR given.attempt < coalesce(known.attempt, 1)`,
    [given, connection],
  );
  if (stale.length > 0) {
    throw new HeadwatersError(
      "LEASE_LOST",
      `the progress of split "${stale[0]!.split}" does not follow what is stored: another writer went on with it; nothing was committed`,
      { hint: "Sync again." },
    );
  }
  await session.run(
    `DELETE FROM ${kept(session, "progress", connection)} known USING ${rows} given
      WHERE known.connection = $2 AND known.pass = given.pass AND known.split = given.split`,
    [given, connection],
  );
  await session.run(
    `INSERT INTO ${kept(session, "progress", connection)} (connection, pass, split, attempt, version, state, done)
      SELECT $2, pass, split, attempt, version, state, done FROM ${rows}`,
    [given, connection],
  );
}

export async function savePass(session: Session, connection: string, pass: Pass): Promise<void> {
  await session.run(`DELETE FROM ${kept(session, "passes", connection)} WHERE connection = ? AND id = ?`, [
    connection,
    pass.id,
  ]);
  await session.run(`INSERT INTO ${kept(session, "passes", connection)} VALUES (?, ?, ?)`, [
    connection,
    pass.id,
    stored(pass),
  ]);
}

/** A pass and its progress are forgotten; what it set aside is the caller's to drop. */
export async function forgetPass(session: Session, connection: string, pass: string): Promise<void> {
  for (const table of ["progress", "pass_tables"])
    await session.run(`DELETE FROM ${kept(session, table, connection)} WHERE connection = ? AND pass = ?`, [
      connection,
      pass,
    ]);
  await session.run(`DELETE FROM ${kept(session, "passes", connection)} WHERE connection = ? AND id = ?`, [
    connection,
    pass,
  ]);
}

export async function saveStates(
  session: Session,
  connection: string,
  states: ReadonlyMap<string, TableState>,
): Promise<void> {
  for (const [id, state] of states) {
    await session.run(`DELETE FROM ${kept(session, "tables", connection)} WHERE connection = ? AND id = ?`, [
      connection,
      id,
    ]);
    await session.run(`INSERT INTO ${kept(session, "tables", connection)} VALUES (?, ?, ?)`, [
      connection,
      id,
      stored(state),
    ]);
  }
}

export async function saveRun(session: Session, connection: string, run: RunRecord): Promise<void> {
  await session.run(`DELETE FROM ${kept(session, "runs", connection)} WHERE connection = ? AND id = ?`, [
    connection,
    run.id,
  ]);
  await session.run(`INSERT INTO ${kept(session, "runs", connection)} VALUES (?, ?, ?, ?)`, [
    connection,
    run.id,
    run.started,
    stored(run),
  ]);
}

export async function loadRuns(session: Session, connection: string, limit: number): Promise<RunRecord[]> {
  const rows = await session.rows<{ run: string }>(
    `SELECT run FROM ${kept(session, "runs", connection)} WHERE connection = ? ORDER BY started DESC, id LIMIT ?::BIGINT`,
    [connection, limit],
  );
  return rows.map(({ run }) => JSON.parse(run) as RunRecord);
}
