import { HeadwatersError } from "../../protocol/errors.ts";
import type { Pass, Progress } from "../../protocol/pass.ts";
import type { RunRecord, Stored } from "../../protocol/state-store.ts";
import type { TableState } from "../../protocol/table.ts";
import { bookkeepingSchema, lockKey, quoted, relationName } from "./names.ts";
import type { Session } from "./session.ts";

/** Raised when what is kept changes so that an older Headwaters must not touch it. */
const format = 1;

/** What is kept in the database, beside the data and in its transactions. Times are text: ISO 8601, UTC. */
const tables: Readonly<Record<string, string>> = {
  format: "version integer",
  // `session` and `started`: the server's process that writes for the holder.
  leases:
    "connection text PRIMARY KEY, lease bigint, host text, pid bigint, since text, held boolean, session bigint, started timestamptz",
  // The tables that are ours, under which names; the columns that the source last had.
  copies:
    "connection text, id text, schema_name text, table_name text, columns text, PRIMARY KEY (connection, id), UNIQUE (schema_name, table_name)",
  passes: "connection text, id text, pass text, PRIMARY KEY (connection, id)",
  // How the rows of a pass reach the copy of one of its tables; `stage` is where they are set aside, `columns` what it
  // has, `ordinal` how many rows it was given.
  pass_tables:
    "connection text, pass text, id text, mode text, stage text, columns text, ordinal bigint, PRIMARY KEY (connection, pass, id)",
  progress:
    "connection text, pass text, split text, attempt bigint, version bigint, state text, done boolean, PRIMARY KEY (connection, pass, split)",
  tables: "connection text, id text, state text, PRIMARY KEY (connection, id)",
  runs: "connection text, id text, started text, run text, PRIMARY KEY (connection, id)",
};

export const bookkeepingTables: readonly string[] = Object.keys(tables);

/** A table of the bookkeeping as SQL has it. */
export function kept(table: keyof typeof tables): string {
  return relationName(bookkeepingSchema, table);
}

/** Whether the database has bookkeeping at all. Throws where a newer Headwaters wrote it. */
export async function hasBookkeeping(session: Session): Promise<boolean> {
  const [found] = await session.rows("SELECT to_regclass($1) IS NOT NULL AS found", [kept("format")]);
  if (found!["found"] !== "t") return false;
  const version = await session.number(`SELECT max(version) FROM ${kept("format")}`);
  if (version > format) {
    throw new HeadwatersError(
      "DESTINATION_UNUSABLE",
      `the database was written by a newer Headwaters (format ${version})`,
      { hint: "Update Headwaters, or choose another database." },
    );
  }
  return true;
}

/** Makes the bookkeeping and the schema of the copies, where they are not there. */
export async function makeBookkeeping(session: Session, schema: string): Promise<void> {
  await session.run("BEGIN");
  try {
    // Two that make the same at once would fail, IF NOT EXISTS or not.
    await session.run("SELECT pg_advisory_xact_lock($1)", [lockKey("the bookkeeping")]);
    const made = await hasBookkeeping(session);
    for (const name of [bookkeepingSchema, schema]) {
      // Whoever may not make a schema can be given one that is there.
      const [there] = await session.rows("SELECT to_regnamespace($1) IS NOT NULL AS found", [quoted(name)]);
      if (there!["found"] !== "t") await session.run(`CREATE SCHEMA ${quoted(name)}`);
    }
    if (!made) {
      for (const [name, columns] of Object.entries(tables))
        await session.run(`CREATE TABLE ${kept(name)} (${columns})`);
      await session.run(`INSERT INTO ${kept("format")} VALUES (${format})`);
    }
    await session.run("COMMIT");
  } catch (thrown) {
    await session.rollback();
    throw thrown;
  }
}

export async function load(session: Session, connection: string): Promise<Stored> {
  const passes = await session.rows(`SELECT pass FROM ${kept("passes")} WHERE connection = $1`, [connection]);
  const states = await session.rows(`SELECT id, state FROM ${kept("tables")} WHERE connection = $1 ORDER BY id`, [
    connection,
  ]);
  const progress = await session.rows(
    `SELECT pass, split, attempt, version, state, done FROM ${kept("progress")} WHERE connection = $1`,
    [connection],
  );
  const [lastRun = null] = await loadRuns(session, connection, 1);
  return {
    lastRun,
    lastStamp: lastRun?.started ?? null,
    passes: passes.map(({ pass }) => JSON.parse(pass!) as Pass),
    progress: progress.map((row) => ({
      pass: row["pass"]!,
      split: row["split"]!,
      attempt: Number(row["attempt"]),
      version: Number(row["version"]),
      state: JSON.parse(row["state"]!) as Progress["state"],
      done: row["done"] === "t",
    })),
    tables: new Map(states.map(({ id, state }) => [id!, JSON.parse(state!) as TableState])),
  };
}

/**
 * Replaces the progress of splits. Throws `LEASE_LOST` where one does not follow what is stored, or is of a pass that
 * is not open: somebody else went on with it. The lease must be locked: nobody else changes these rows meanwhile.
 */
export async function saveProgress(session: Session, connection: string, progress: readonly Progress[]): Promise<void> {
  if (progress.length === 0) return;
  const given = JSON.stringify(progress.map((entry) => ({ ...entry, state: JSON.stringify(entry.state) })));
  const rows =
    "json_to_recordset($1::json) AS given(pass text, split text, attempt bigint, version bigint, state text, done boolean)";
  const stale = await session.rows(
    `SELECT given.split FROM ${rows}
      LEFT JOIN ${kept("passes")} open ON open.connection = $2 AND open.id = given.pass
      LEFT JOIN ${kept("progress")} known
        ON known.connection = $2 AND known.pass = given.pass AND known.split = given.split
      WHERE open.id IS NULL OR given.version <> coalesce(known.version, 0) + 1
        OR given.attempt < coalesce(known.attempt, 1)`,
    [given, connection],
  );
  if (stale.length > 0) {
    throw new HeadwatersError(
      "LEASE_LOST",
      `the progress of split "${stale[0]!["split"]}" does not follow what is stored: another writer went on with it; nothing was committed`,
      { hint: "Sync again." },
    );
  }
  await session.run(
    `INSERT INTO ${kept("progress")} (connection, pass, split, attempt, version, state, done)
      SELECT $2, pass, split, attempt, version, state, done FROM ${rows}
      ON CONFLICT (connection, pass, split) DO UPDATE SET attempt = excluded.attempt, version = excluded.version,
        state = excluded.state, done = excluded.done`,
    [given, connection],
  );
}

export async function savePass(session: Session, connection: string, pass: Pass): Promise<void> {
  await session.run(
    `INSERT INTO ${kept("passes")} (connection, id, pass) VALUES ($1, $2, $3)
      ON CONFLICT (connection, id) DO UPDATE SET pass = excluded.pass`,
    [connection, pass.id, JSON.stringify(pass)],
  );
}

/** A pass and its progress are forgotten; what it set aside is the caller's to drop. */
export async function forgetPass(session: Session, connection: string, pass: string): Promise<void> {
  for (const table of ["progress", "pass_tables"])
    await session.run(`DELETE FROM ${kept(table)} WHERE connection = $1 AND pass = $2`, [connection, pass]);
  await session.run(`DELETE FROM ${kept("passes")} WHERE connection = $1 AND id = $2`, [connection, pass]);
}

export async function saveStates(
  session: Session,
  connection: string,
  states: ReadonlyMap<string, TableState>,
): Promise<void> {
  for (const [id, state] of states) {
    await session.run(
      `INSERT INTO ${kept("tables")} (connection, id, state) VALUES ($1, $2, $3)
        ON CONFLICT (connection, id) DO UPDATE SET state = excluded.state`,
      [connection, id, JSON.stringify(state)],
    );
  }
}

export async function saveRun(session: Session, connection: string, run: RunRecord): Promise<void> {
  await session.run(
    `INSERT INTO ${kept("runs")} (connection, id, started, run) VALUES ($1, $2, $3, $4)
      ON CONFLICT (connection, id) DO UPDATE SET started = excluded.started, run = excluded.run`,
    [connection, run.id, run.started, JSON.stringify(run)],
  );
}

export async function loadRuns(session: Session, connection: string, limit: number): Promise<RunRecord[]> {
  const rows = await session.rows(
    `SELECT run FROM ${kept("runs")} WHERE connection = $1 ORDER BY started DESC, id LIMIT $2`,
    [connection, limit],
  );
  return rows.map(({ run }) => JSON.parse(run!) as RunRecord);
}
