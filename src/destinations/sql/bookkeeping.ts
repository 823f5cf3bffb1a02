import { HeadwatersError } from "../../protocol/errors.ts";
import type { Pass, Progress } from "../../protocol/pass.ts";
import type { Stored } from "../../protocol/state-store.ts";
import type { TableState } from "../../protocol/table.ts";
import type { Session } from "./dialect.ts";
import { type Kept, kept } from "./kept.ts";
import { loadRuns } from "./runs.ts";

/**
 * Runs in the transaction that is about to commit. Throws `LEASE_LOST` if `lease` is not the newest or was released.
 * The row is written, so that a concurrent transaction that takes the lease waits for this one or conflicts with it.
 * `held` is written because DuckDB detects conflicts by column, and taking the lease writes `held` too.
 */
export async function checkLease(session: Session, connection: string, lease: number, stamp: string): Promise<void> {
  const changed = await session.run(
    `UPDATE ${kept(session, "leases", connection)} SET held = true, stamp = $3 WHERE connection = $1 AND lease = CAST($2 AS bigint) AND held`,
    [connection, lease, stamp],
  );
  if (changed !== 1) throw leaseLost(connection);
}

/** Turns a commit's conflict with a writer that took the lease into `LEASE_LOST`. Other conflicts are temporary. */
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

export function leaseLost(connection: string, cause?: unknown): HeadwatersError {
  return new HeadwatersError(
    "LEASE_LOST",
    `another writer took connection "${connection}" over; nothing was committed`,
    { hint: "Sync again once it has ended.", cause },
  );
}

/** The rows of one connection in a bookkeeping table. */
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

/** The stamp of the last commit; `null`: there was none. */
export async function lastStamp(session: Session, connection: string): Promise<string | null> {
  const [lease] = await keptRows(session, "leases", connection, "stamp");
  return (lease?.["stamp"] as string | null | undefined) ?? null;
}

export async function load(session: Session, connection: string): Promise<Stored> {
  const passes = await keptRows(session, "passes", connection, "pass");
  const states = await keptRows(session, "tables", connection, "id, state");
  const progress = await keptRows(
    session,
    "progress",
    connection,
    "pass, split, attempt, version, state, as_of, CASE WHEN done THEN 1 ELSE 0 END AS done",
  );
  const [lastRun = null] = await loadRuns(session, connection, 1, { kind: "sync" });
  const stamp = await lastStamp(session, connection);
  return {
    lastRun,
    // Version 1 kept no stamps: its rows were stamped with the start of their sync.
    lastStamp: stamp ?? lastRun?.started ?? null,
    passes: passes.map(({ pass }) => parsed<Pass>(pass)),
    progress: progress.map((row) => ({
      pass: row["pass"] as string,
      split: row["split"] as string,
      attempt: Number(row["attempt"]),
      version: Number(row["version"]),
      state: parsed<Progress["state"]>(row["state"]),
      done: Number(row["done"]) === 1,
      ...(row["as_of"] === null ? {} : { asOf: row["as_of"] as string }),
    })),
    tables: new Map(
      states
        .map(({ id, state }): [string, TableState] => [id as string, parsed(state)])
        .sort(([a], [b]) => (a < b ? -1 : 1)),
    ),
  };
}

/**
 * Throws `LEASE_LOST` if the progress of a split does not follow the stored one, or if its pass is not open: another
 * writer went on with the pass. The lease must be checked before, so that no other writer changes these rows.
 */
export async function checkProgress(
  session: Session,
  connection: string,
  progress: readonly Progress[],
): Promise<void> {
  if (progress.length === 0) return;
  const given = progress.map(({ pass, split, attempt, version }) => ({ pass, split, attempt, version }));
  const [stale] = await session.rows(
    `SELECT given.split
      FROM ${session.dialect.records("$1", { pass: "text", split: "text", attempt: "bigint", version: "bigint" })}
      LEFT JOIN ${kept(session, "passes", connection)} opened ON opened.connection = $2 AND opened.id = given.pass
      LEFT JOIN ${kept(session, "progress", connection)} known
        ON known.connection = $2 AND known.pass = given.pass AND known.split = given.split
      WHERE opened.id IS NULL OR given.version <> coalesce(known.version, 0) + 1
        OR given.attempt < coalesce(known.attempt, 1)`,
    [JSON.stringify(given), connection],
  );
  if (stale === undefined) return;
  throw new HeadwatersError(
    "LEASE_LOST",
    `the progress of split "${String(stale["split"])}" does not follow what is stored: another writer went on with it; nothing was committed`,
    { hint: "Sync again." },
  );
}
