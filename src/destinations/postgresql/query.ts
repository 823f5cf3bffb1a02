import { reach } from "../../net/reach.ts";
import type { Json } from "../../protocol/json.ts";
import type { QueryResult, UserQuery } from "../../protocol/query.ts";
import { connectPostgres } from "../../wire/postgres/connection.ts";
import { queryFailed } from "../sql/query-failed.ts";
import { type Configuration, settingsOf } from "./config.ts";
import { destinationError } from "./errors.ts";
import { postgresqlDialect } from "./dialect.ts";

/** The numbers of types of numbers in `pg_type`: of those that JSON holds exactly, and the others. */
const exactNumbers: ReadonlySet<number> = new Set([21, 23, 700, 701]);
const otherNumbers: ReadonlySet<number> = new Set([20, 26, 790, 1700]);
const boolean = 16;

/** Runs a query in a read-only transaction. A cursor takes nothing but a SELECT, and gives only the first rows. */
export async function queryDatabase(configuration: Configuration, query: UserQuery): Promise<QueryResult> {
  const { sql, schema, limit, signal } = query;
  const settings = { ...settingsOf(configuration), readOnly: true };
  let connection;
  try {
    connection = await reach(configuration, () => connectPostgres(settings, signal));
  } catch (thrown) {
    signal.throwIfAborted();
    throw destinationError(thrown, settings);
  }
  await using session = connection;
  const path = ["pg_catalog", ...(schema === "" ? [] : [postgresqlDialect.quote(schema)]), "public"].join(", ");
  await session.simple(`BEGIN READ ONLY; SET LOCAL search_path = ${path}`, signal);
  try {
    await session.single(`DECLARE looking NO SCROLL CURSOR FOR\n${sql.trim().replace(/;$/, "")}`, signal);
    const { columns, rows } = await session.single(`FETCH ${limit + 1} FROM looking`, signal);
    return {
      columns: columns.map(({ name, type }) => ({ name, isNumber: exactNumbers.has(type) || otherNumbers.has(type) })),
      rows: rows.slice(0, limit).map((row) => row.map((text, index) => valueOf(text, columns[index]!.type))),
      more: rows.length > limit,
    };
  } catch (thrown) {
    signal.throwIfAborted();
    throw queryFailed(session.lost === null ? sourceOf(thrown) : destinationError(thrown, settings));
  }
}

/** What the server said, without our own words for it, which are about the tables of a sync. */
function sourceOf(thrown: unknown): unknown {
  return thrown instanceof Error && thrown.cause instanceof Error ? thrown.cause : thrown;
}

function valueOf(text: string | null, type: number): Json {
  if (text === null) return null;
  if (type === boolean) return text === "t";
  const number = exactNumbers.has(type) ? Number(text) : Number.NaN;
  return Number.isFinite(number) ? number : text;
}
