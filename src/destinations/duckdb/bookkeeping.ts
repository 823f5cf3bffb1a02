import { HeadwatersError } from "../../protocol/errors.ts";
import type { Pass, Progress } from "../../protocol/pass.ts";
import type { Holder, RunRecord, Stored } from "../../protocol/sink.ts";
import type { TableState } from "../../protocol/table.ts";
import type { Instance } from "./instance.ts";
import { bookkeepingSchema, quote } from "./names.ts";
import type { Session } from "./session.ts";

/** Raised when what is kept changes so that an older Headwaters must not touch it. */
const format = 1;

/**
 * What is kept in the file, beside the data and in its transactions. One writer holds the lease of a connection, and
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

/** A table of the bookkeeping as SQL has it. Whole, since a file's own name is a catalog that may be like a schema's. */
export function kept(session: Session, table: keyof typeof tables): string {
  return `${quote(session.catalog)}.${quote(bookkeepingSchema)}.${table}`;
}

/** Whether the file has bookkeeping at all. Throws where a newer Headwaters wrote it. */
export async function hasBookkeeping(session: Session): Promise<boolean> {
  const found = await session.number(
    "SELECT count(*) FROM duckdb_tables() WHERE database_name = current_database() AND schema_name = ? AND table_name = 'format'",
    [bookkeepingSchema],
  );
  if (found === 0) return false;
  const version = await session.number(`SELECT max(version) FROM ${kept(session, "format")}`);
  if (version > format) {
    throw new HeadwatersError(
      "DESTINATION_UNUSABLE",
      `the file was written by a newer Headwaters (format ${version})`,
      {
        hint: "Update Headwaters, or choose another file.",
      },
    );
  }
  return true;
}

/** Makes the bookkeeping and the schema of the copies, where they are not there. */
export async function makeBookkeeping(session: Session, schema: string): Promise<void> {
  const made = await hasBookkeeping(session);
  await session.run(
    [
      "BEGIN",
      `CREATE SCHEMA IF NOT EXISTS ${quote(session.catalog)}.${quote(bookkeepingSchema)}`,
      `CREATE SCHEMA IF NOT EXISTS ${quote(session.catalog)}.${quote(schema)}`,
      ...Object.entries(tables).map(
        ([name, columns]) => `CREATE TABLE IF NOT EXISTS ${kept(session, name)} (${columns})`,
      ),
      ...(made ? [] : [`INSERT INTO ${kept(session, "format")} VALUES (${format})`]),
      "COMMIT",
    ].join("; "),
  );
}

/**
 * The lease of a connection. Another process can't have the file open, so a holder that is not of this process is dead.
 */
export async function acquireLease(instance: Instance, connection: string, holder: Holder): Promise<number> {
  const running = instance.holders.get(connection);
  if (running !== undefined) throw syncRunning(connection, running.holder);
  // Taken before the first wait: of two that ask at once, one is refused.
  instance.holders.set(connection, { lease: 0, holder });
  try {
    const session = await instance.control();
    const lease =
      (await session.number(`SELECT max(lease) FROM ${kept(session, "leases")} WHERE connection = ?`, [connection])) +
      1;
    const values = [lease, holder.host, holder.pid, holder.since, connection];
    const changed = await session.run(
      `UPDATE ${kept(session, "leases")} SET lease = ?::BIGINT, host = ?, pid = ?::BIGINT, since = ?, held = TRUE WHERE connection = ?`,
      values,
    );
    if (changed === 0) {
      await session.run(
        `INSERT INTO ${kept(session, "leases")} (lease, host, pid, since, connection, held) VALUES (?::BIGINT, ?, ?::BIGINT, ?, ?, TRUE)`,
        values,
      );
    }
    instance.holders.set(connection, { lease, holder });
    return lease;
  } catch (thrown) {
    instance.holders.delete(connection);
    throw thrown;
  }
}

function syncRunning(connection: string, { host, pid, since }: Holder): HeadwatersError {
  return new HeadwatersError(
    "SYNC_RUNNING",
    `connection "${connection}" is in use by process ${pid} on ${host}, since ${since}`,
    { hint: "Wait until it has ended, or stop it." },
  );
}

export async function releaseLease(instance: Instance, connection: string, lease: number): Promise<void> {
  if (instance.holders.get(connection)?.lease !== lease) return;
  const session = await instance.control();
  await session.run(`UPDATE ${kept(session, "leases")} SET held = FALSE WHERE connection = ? AND lease = ?::BIGINT`, [
    connection,
    lease,
  ]);
  instance.holders.delete(connection);
}

/** In the transaction that is about to commit: throws `LEASE_LOST` where `lease` is not the newest, or was released. */
export async function checkLease(session: Session, connection: string, lease: number): Promise<void> {
  // Written, not read: a transaction that took the lease meanwhile makes this one conflict.
  const changed = await session.run(
    `UPDATE ${kept(session, "leases")} SET held = TRUE WHERE connection = ? AND lease = ?::BIGINT AND held`,
    [connection, lease],
  );
  if (changed === 1) return;
  throw new HeadwatersError(
    "LEASE_LOST",
    `another writer took connection "${connection}" over; nothing was committed`,
    {
      hint: "Sync again once it has ended.",
    },
  );
}

export async function load(session: Session, connection: string): Promise<Stored> {
  const passes = await session.rows<{ pass: string }>(
    `SELECT pass FROM ${kept(session, "passes")} WHERE connection = ?`,
    [connection],
  );
  const states = await session.rows<{ id: string; state: string }>(
    `SELECT id, state FROM ${kept(session, "tables")} WHERE connection = ? ORDER BY id`,
    [connection],
  );
  return {
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
  }>(`SELECT pass, split, attempt, version, state, done FROM ${kept(session, "progress")} WHERE connection = ?`, [
    connection,
  ]);
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
  const given = JSON.stringify(progress.map((entry) => ({ ...entry, state: JSON.stringify(entry.state) })));
  const rows = `(SELECT unnest(from_json($1, '[{"pass": "VARCHAR", "split": "VARCHAR", "attempt": "BIGINT", "version": "BIGINT", "state": "VARCHAR", "done": "BOOLEAN"}]'), recursive := true))`;
  const stale = await session.rows<{ split: string }>(
    `SELECT given.split FROM ${rows} given
      LEFT JOIN ${kept(session, "passes")} open ON open.connection = $2 AND open.id = given.pass
      LEFT JOIN ${kept(session, "progress")} known
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
    `DELETE FROM ${kept(session, "progress")} known USING ${rows} given
      WHERE known.connection = $2 AND known.pass = given.pass AND known.split = given.split`,
    [given, connection],
  );
  await session.run(
    `INSERT INTO ${kept(session, "progress")} (connection, pass, split, attempt, version, state, done)
      SELECT $2, pass, split, attempt, version, state, done FROM ${rows}`,
    [given, connection],
  );
}

export async function savePass(session: Session, connection: string, pass: Pass): Promise<void> {
  await session.run(`DELETE FROM ${kept(session, "passes")} WHERE connection = ? AND id = ?`, [connection, pass.id]);
  await session.run(`INSERT INTO ${kept(session, "passes")} VALUES (?, ?, ?)`, [
    connection,
    pass.id,
    JSON.stringify(pass),
  ]);
}

/** A pass and its progress are forgotten; what it set aside is the caller's to drop. */
export async function forgetPass(session: Session, connection: string, pass: string): Promise<void> {
  for (const table of ["progress", "pass_tables"])
    await session.run(`DELETE FROM ${kept(session, table)} WHERE connection = ? AND pass = ?`, [connection, pass]);
  await session.run(`DELETE FROM ${kept(session, "passes")} WHERE connection = ? AND id = ?`, [connection, pass]);
}

export async function saveStates(
  session: Session,
  connection: string,
  states: ReadonlyMap<string, TableState>,
): Promise<void> {
  for (const [id, state] of states) {
    await session.run(`DELETE FROM ${kept(session, "tables")} WHERE connection = ? AND id = ?`, [connection, id]);
    await session.run(`INSERT INTO ${kept(session, "tables")} VALUES (?, ?, ?)`, [
      connection,
      id,
      JSON.stringify(state),
    ]);
  }
}

export async function saveRun(session: Session, connection: string, run: RunRecord): Promise<void> {
  await session.run(`DELETE FROM ${kept(session, "runs")} WHERE connection = ? AND id = ?`, [connection, run.id]);
  await session.run(`INSERT INTO ${kept(session, "runs")} VALUES (?, ?, ?, ?)`, [
    connection,
    run.id,
    run.started,
    JSON.stringify(run),
  ]);
}

export async function loadRuns(session: Session, connection: string, limit: number): Promise<RunRecord[]> {
  const rows = await session.rows<{ run: string }>(
    `SELECT run FROM ${kept(session, "runs")} WHERE connection = ? ORDER BY started DESC, id LIMIT ?::BIGINT`,
    [connection, limit],
  );
  return rows.map(({ run }) => JSON.parse(run) as RunRecord);
}
