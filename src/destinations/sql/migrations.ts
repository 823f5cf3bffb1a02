import type { RunRecord, TableRun } from "../../protocol/state-store.ts";
import type { ErrorCode } from "../../protocol/errors.ts";
import type { Type } from "../../protocol/types.ts";
import type { Session } from "./dialect.ts";
import { bookkeepingSchema } from "./names.ts";
import { insertRuns, type RunTables } from "./runs.ts";
import { stored } from "./stored-json.ts";

/** Converts the rows of the bookkeeping to a version. The version's new tables and columns exist already. */
export interface Migration {
  readonly version: number;
  /** `own`: the quoted name of a bookkeeping table, of one connection or shared by all. */
  run(session: Session, own: (table: "runs" | "run_tables" | "pass_tables") => string): Promise<void>;
}

/** In order. A released migration is never changed. */
export const migrations: readonly Migration[] = [
  {
    version: 2,
    async run(session, own) {
      await tellErrors(session, own("runs"));
      await tellStageColumns(session, own("pass_tables"));
    },
  },
  // The new table `seals` is empty: nothing is known of the copies that older versions wrote.
  { version: 3, async run() {} },
  {
    version: 4,
    run: (session, own) => tellRuns(session, { runs: own("runs"), run_tables: own("run_tables") }),
  },
];

/** Until version 3 a run was JSON in one column. It is taken out and put in again, by columns. */
async function tellRuns(session: Session, tables: RunTables): Promise<void> {
  const rows = await session.rows(`SELECT connection, run FROM ${tables.runs} WHERE run IS NOT NULL`);
  const records = rows.map(({ connection, run }) => ({
    connection: connection as string,
    run: JSON.parse(run as string) as RunRecord,
  }));
  await session.run(`DELETE FROM ${tables.runs}`);
  await insertRuns(session, tables, records);
}

/** Version 1 kept an error as the text `CODE: message`. */
async function tellErrors(session: Session, runs: string): Promise<void> {
  const rows = await session.rows(`SELECT connection, id, run FROM ${runs} WHERE run LIKE '%"error":"%'`);
  for (const { connection, id, run } of rows) {
    const record = JSON.parse(run as string) as RunRecord;
    const tables = record.tables.map((table) => ({
      ...table,
      error: errorOf(table.error as TableRun["error"] | string),
    }));
    await session.run(`UPDATE ${runs} SET run = $3 WHERE connection = $1 AND id = $2`, [
      connection as string,
      id as string,
      stored({ ...record, tables }),
    ]);
  }
}

function errorOf(error: TableRun["error"] | string): TableRun["error"] {
  if (typeof error !== "string") return error;
  const [code, ...message] = error.split(": ");
  return { code: code as ErrorCode, message: message.join(": "), hint: null };
}

/** Version 1 in DuckDB did not store the columns of a stage. They are read from the stage. */
async function tellStageColumns(session: Session, passTables: string): Promise<void> {
  const rows = await session.rows(`SELECT connection, pass, id, stage FROM ${passTables} WHERE columns IS NULL`);
  for (const { connection, pass, id, stage } of rows) {
    const [described] =
      stage === null ? [] : await session.dialect.describe(session, bookkeepingSchema, stage as string);
    const types = (described?.columns ?? [])
      .filter(({ name }) => name.startsWith("c_"))
      .map(({ name, type }): [string, Type] => [name.slice("c_".length), session.dialect.typeOf(type)!]);
    await session.run(
      `UPDATE ${passTables} SET columns = $4, ordinal = 0 WHERE connection = $1 AND pass = $2 AND id = $3`,
      [connection as string, pass as string, id as string, stored(types)],
    );
  }
}
