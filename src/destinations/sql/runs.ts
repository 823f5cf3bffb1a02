import type { ErrorCode } from "../../protocol/errors.ts";
import type { RunsAsked, SchemaChange } from "../../protocol/readable.ts";
import type { RecordedError, RunKind, RunRecord, TableRun, Trigger, Verdict } from "../../protocol/state-store.ts";
import type { Row, Session } from "./dialect.ts";
import { kept, keptTypes } from "./kept.ts";

/** The quoted names of the tables that runs are in. */
export interface RunTables {
  readonly runs: string;
  readonly run_tables: string;
}

function tablesOf(session: Session, connection: string): RunTables {
  return { runs: kept(session, "runs", connection), run_tables: kept(session, "run_tables", connection) };
}

/**
 * Replaces the record of a run. There is one writer: once another run has begun, an older run without an end has died.
 * (A proof is no writer, and is saved when it has ended.)
 */
export async function saveRun(session: Session, connection: string, run: RunRecord): Promise<void> {
  const tables = tablesOf(session, connection);
  for (const [relation, id] of [
    [tables.run_tables, "run"],
    [tables.runs, "id"],
  ] as const)
    await session.run(`DELETE FROM ${relation} WHERE connection = $1 AND ${id} = $2`, [connection, run.id]);
  if (run.ended === null) {
    await session.run(`UPDATE ${tables.runs} SET outcome = 'died' WHERE connection = $1 AND outcome = 'running'`, [
      connection,
    ]);
  }
  await insertRuns(session, tables, [{ connection, run }]);
}

/** Replaces what the record of a run says of one table. */
export async function saveTableRun(session: Session, connection: string, id: string, table: TableRun): Promise<void> {
  const { run_tables } = tablesOf(session, connection);
  const which = "WHERE connection = $1 AND run = $2 AND id = $3";
  const place = await session.number(`SELECT max(place) FROM ${run_tables} ${which}`, [connection, id, table.table]);
  await session.run(`DELETE FROM ${run_tables} ${which}`, [connection, id, table.table]);
  const row = { connection, ...tableRow(id, place, table) };
  await insert(session, run_tables, { connection: "text", ...keptTypes("run_tables") }, [row]);
}

/** Forgets runs, and changes of schemas, that are older than a moment. */
export async function forgetRuns(session: Session, connection: string, before: string): Promise<void> {
  const { runs, run_tables } = tablesOf(session, connection);
  const changes = kept(session, "schema_changes", connection);
  const old = `SELECT id FROM ${runs} WHERE connection = $1 AND started < $2`;
  await session.run(`DELETE FROM ${run_tables} WHERE connection = $1 AND run IN (${old})`, [connection, before]);
  await session.run(`DELETE FROM ${runs} WHERE connection = $1 AND started < $2`, [connection, before]);
  await session.run(`DELETE FROM ${changes} WHERE connection = $1 AND seen < $2`, [connection, before]);
}

/** Inserts runs by two statements, however many there are. */
export async function insertRuns(
  session: Session,
  { runs, run_tables }: RunTables,
  records: readonly { readonly connection: string; readonly run: RunRecord }[],
): Promise<void> {
  const runRows = records.map(({ connection, run }) => ({ connection, ...runRow(run) }));
  const tableRows = records.flatMap(({ connection, run }) =>
    run.tables.map((table, place) => ({ connection, ...tableRow(run.id, place, table) })),
  );
  await insert(session, runs, { connection: "text", ...keptTypes("runs") }, runRows);
  await insert(session, run_tables, { connection: "text", ...keptTypes("run_tables") }, tableRows);
}

async function insert(
  session: Session,
  relation: string,
  types: ReturnType<typeof keptTypes>,
  rows: readonly object[],
): Promise<void> {
  if (rows.length === 0) return;
  const columns = Object.keys(types).join(", ");
  await session.run(
    `INSERT INTO ${relation} (${columns}) SELECT ${columns} FROM ${session.dialect.records("$1", types)}`,
    [JSON.stringify(rows)],
  );
}

export async function addSchemaChanges(
  session: Session,
  connection: string,
  changes: readonly SchemaChange[],
): Promise<void> {
  const rows = changes.map(({ at, table, change }) => ({ connection, seen: at, id: table, change: plain(change) }));
  const types = { connection: "text", ...keptTypes("schema_changes") } as const;
  await insert(session, kept(session, "schema_changes", connection), types, rows);
}

export async function loadSchemaChanges(
  session: Session,
  connection: string,
  limit: number,
): Promise<readonly SchemaChange[]> {
  const rows = await session.rows(
    `SELECT seen, id, change FROM ${kept(session, "schema_changes", connection)} WHERE connection = $1
      ORDER BY seen DESC, id, change LIMIT ${Math.trunc(limit)}`,
    [connection],
  );
  return rows.map((row) => ({ at: text(row, "seen"), table: text(row, "id"), change: text(row, "change") }));
}

export async function loadRuns(
  session: Session,
  connection: string,
  limit: number,
  { kind = null, before = null, id = null }: RunsAsked = {},
): Promise<RunRecord[]> {
  const { runs, run_tables } = tablesOf(session, connection);
  const rows = await session.rows(
    `SELECT id, started, kind, asked_by, ended, outcome, verdict, error_code, error_message, error_hint FROM ${runs}
      WHERE connection = $1 AND kind = coalesce($2, kind) AND started < coalesce($3, '9') AND id = coalesce($4, id)
      ORDER BY started DESC, id LIMIT ${Math.trunc(limit)}`,
    [connection, kind, before, id],
  );
  if (rows.length === 0) return [];
  const given = session.dialect.records("$2", { asked: "text" });
  const tables = await session.rows(
    `SELECT run, id, outcome, passes, rows_read, bytes_read, inserted, updated, deleted, milliseconds, as_of, verdict,
        reasons, error_code, error_message, error_hint
      FROM ${run_tables} known JOIN ${given} ON known.run = given.asked
      WHERE known.connection = $1 ORDER BY known.run, known.place`,
    [connection, JSON.stringify(rows.map((row) => ({ asked: row["id"] })))],
  );
  const byRun = new Map<string, TableRun[]>();
  for (const row of tables) {
    const run = text(row, "run");
    byRun.set(run, [...(byRun.get(run) ?? []), tableOf(row)]);
  }
  return rows.map((row) => runOf(row, byRun.get(text(row, "id")) ?? []));
}

function runRow({ id, started, kind = "sync", trigger, ended, outcome, verdict, error }: RunRecord): object {
  return { id, started, kind, asked_by: trigger ?? null, ended, outcome, verdict: verdict ?? null, ...errorRow(error) };
}

function tableRow(run: string, place: number, table: TableRun): object {
  const { passes, rowsRead, bytesRead, inserted, updated, deleted, milliseconds, asOf, outcome } = table;
  const { verdict, reasons = [], error } = table;
  return {
    run,
    id: table.table,
    place,
    outcome,
    passes: passes.join(" "),
    rows_read: rowsRead,
    bytes_read: bytesRead,
    inserted,
    updated,
    deleted,
    milliseconds,
    as_of: asOf,
    verdict: verdict ?? null,
    reasons: reasons.length === 0 ? null : plain(reasons.join("\n")),
    ...errorRow(error),
  };
}

function errorRow(error: RecordedError | null | undefined): object {
  return {
    error_code: error?.code ?? null,
    error_message: error == null ? null : plain(error.message),
    error_hint: error?.hint == null ? null : plain(error.hint),
  };
}

/** DuckLake takes `{NAME}` in a text for a placeholder of its own. */
function plain(text: string): string {
  return text.replaceAll(/\{(?=[A-Z])/g, "{ ");
}

function runOf(row: Row, tables: readonly TableRun[]): RunRecord {
  const error = errorOf(row);
  const trigger = optional(row, "asked_by");
  const verdict = optional(row, "verdict");
  const kind = text(row, "kind");
  return {
    id: text(row, "id"),
    ...(kind === "sync" ? {} : { kind: kind as RunKind }),
    ...(trigger === null ? {} : { trigger: trigger as Trigger }),
    ...(verdict === null ? {} : { verdict: verdict as Verdict }),
    started: text(row, "started"),
    ended: optional(row, "ended"),
    outcome: text(row, "outcome") as RunRecord["outcome"],
    tables,
    ...(error === null ? {} : { error }),
  };
}

function tableOf(row: Row): TableRun {
  const verdict = optional(row, "verdict");
  const reasons = optional(row, "reasons");
  const passes = text(row, "passes");
  return {
    table: text(row, "id"),
    outcome: text(row, "outcome") as TableRun["outcome"],
    passes: passes === "" ? [] : passes.split(" "),
    rowsRead: Number(row["rows_read"]),
    bytesRead: Number(row["bytes_read"]),
    inserted: Number(row["inserted"]),
    updated: Number(row["updated"]),
    deleted: Number(row["deleted"]),
    milliseconds: Number(row["milliseconds"]),
    asOf: optional(row, "as_of"),
    error: errorOf(row),
    ...(verdict === null ? {} : { verdict: verdict as Verdict }),
    ...(reasons === null ? {} : { reasons: reasons.split("\n") }),
  };
}

function errorOf(row: Row): RecordedError | null {
  const code = optional(row, "error_code");
  if (code === null) return null;
  return { code: code as ErrorCode, message: text(row, "error_message"), hint: optional(row, "error_hint") };
}

function text(row: Row, column: string): string {
  return row[column] as string;
}

function optional(row: Row, column: string): string | null {
  return (row[column] as string | null | undefined) ?? null;
}
