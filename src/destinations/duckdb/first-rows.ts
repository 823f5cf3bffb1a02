import { type DuckDBConnection, StatementType } from "@duckdb/node-api";
import { HeadwatersError } from "../../protocol/errors.ts";
import type { Json } from "../../protocol/json.ts";
import type { QueryResult } from "../../protocol/query.ts";
import { queryFailed } from "../sql/query-failed.ts";

/** The first rows of a query that somebody wrote. Other statements are refused, since they might write files. */
export async function firstRows(connection: DuckDBConnection, sql: string, limit: number): Promise<QueryResult> {
  const statements = await connection.extractStatements(sql).catch((thrown: unknown) => {
    throw queryFailed(thrown);
  });
  const only = "query takes one SELECT";
  if (statements.count !== 1)
    throw new HeadwatersError("CONFIGURATION_INVALID", `${only}, not ${statements.count} statements.`);
  try {
    const prepared = await statements.prepare(0);
    if (prepared.statementType !== StatementType.SELECT) {
      throw new HeadwatersError("CONFIGURATION_INVALID", `${only}: it reads, and never writes.`);
    }
    const reader = await prepared.streamAndReadUntil(limit + 1);
    const rows = reader.getRowsJson() as (readonly Json[])[];
    const types = reader.columnTypes();
    return {
      columns: reader.deduplicatedColumnNames().map((name, index) => ({
        name,
        isNumber: /^(U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE|DECIMAL\(.*\))$/.test(String(types[index])),
      })),
      rows: rows.slice(0, limit),
      more: rows.length > limit,
    };
  } catch (thrown) {
    throw queryFailed(thrown);
  }
}
