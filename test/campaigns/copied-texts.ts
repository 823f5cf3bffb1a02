import { DuckDBInstance } from "@duckdb/node-api";
import { type Client, escapeIdentifier } from "pg";
import type { DestinationHarness } from "../conformance/destination/steps.ts";
import { DuckdbHarness } from "../destinations/duckdb/harness.ts";
import type { LakeHarness } from "../destinations/ducklake/harness.ts";
import { PostgresqlHarness } from "../destinations/postgresql/harness.ts";

type Row = Readonly<Record<string, unknown>>;
type Query = (sql: string) => Promise<readonly Row[]>;
type Kind = "boolean" | "bytes" | "float" | "json" | "time" | "other";

/** Types of the destinations that write one value in several ways. */
const kinds: readonly (readonly [RegExp, Kind])[] = [
  [/^bool/i, "boolean"],
  [/^(?:blob|bytea)$/i, "bytes"],
  [/^(?:float|double|real)/i, "float"],
  [/^json$/i, "json"],
  [/^(?:date|timestamp)/i, "time"],
];

/** Runs `work` with a client of the destination that is not ours. */
export function withClient<Result>(
  harness: DuckdbHarness | LakeHarness | PostgresqlHarness,
  work: (query: Query) => Promise<Result>,
): Promise<Result> {
  if (harness instanceof DuckdbHarness) return withDuckdb(harness.path, work);
  return "using" in harness ? harness.using((query) => work(query)) : work((sql) => harness.query(sql));
}

/** Opens the file once: the harness would open it for each query. */
async function withDuckdb<Result>(path: string, work: (query: Query) => Promise<Result>): Promise<Result> {
  const instance = await DuckDBInstance.create(path);
  const connection = await instance.connect();
  try {
    return await work(async (sql) => (await connection.runAndReadAll(sql)).getRowObjects());
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

/**
 * Compares a table with its copy as two sets of texts: the source's as its types write them, the copy's as its database
 * does. Resolves to what differs, or to `null`.
 */
export async function differenceOf(
  source: Client,
  harness: DestinationHarness,
  query: Query,
  schema: string,
  table: string,
): Promise<string | null> {
  const typed = await query(
    `SELECT column_name AS name, data_type AS type FROM information_schema.columns
      WHERE table_schema = '${literal(schema)}' AND table_name = '${literal(table)}' ORDER BY ordinal_position`,
  );
  const types = new Map(
    typed
      .filter(({ name }) => !String(name).startsWith("_headwaters_"))
      .map(({ name, type }) => [String(name), kinds.find(([like]) => like.test(String(type)))?.[1] ?? "other"]),
  );
  const described = await source.query<{ name: string; category: string; kind: string; type: string }>(
    `SELECT a.attname AS name, t.typcategory AS category, t.typname AS type, c.relkind AS kind
      FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_type t ON t.oid = a.atttypid
      WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`,
    [schema, table],
  );
  const columns = described.rows;
  const names = columns.map(({ name }) => name);
  const missing = names.filter((name) => !types.has(name));
  if (missing.length > 0 || types.size !== names.length)
    return `columns: ${names.join()} and ${[...types.keys()].join()}`;

  const relation = `${escapeIdentifier(schema)}.${escapeIdentifier(table)}`;
  const selected = columns.map(({ name, type }) => {
    const column = escapeIdentifier(name);
    if (types.get(name) !== "json" || type === "json" || type === "jsonb") return column;
    // An array with a lower bound other than 1 is written with it.
    return `CASE WHEN format('%s', ${column}) LIKE '[%' THEN to_json(format('%s', ${column})) ELSE to_json(${column}) END AS ${column}`;
  });
  const only = columns[0]?.kind === "p" ? "" : "ONLY ";
  const { rows } = await source.query<Record<string, string | null>>(
    `SELECT ${selected.join(", ")} FROM ${only}${relation}`,
  );
  const inDuckdb = !(harness instanceof PostgresqlHarness);
  const copied = names.map((name) => {
    const column = escapeIdentifier(name);
    if (!inDuckdb) return column;
    return `${types.get(name) === "bytes" ? `hex(${column})` : `CAST(${column} AS VARCHAR)`} AS ${column}`;
  });
  const place = `${inDuckdb ? "copy." : ""}${relation}`;
  const copy = await query(`SELECT ${[...copied, "1"].join(", ")} FROM ${place} WHERE NOT _headwaters_deleted`);

  const texts = (all: readonly Row[]): string[] =>
    all
      .map((row) =>
        JSON.stringify(
          names.map((name) => canonical(row[name] as string | null, types.get(name)!, harness.signsZeros === true)),
        ),
      )
      .sort();
  const [left, right] = [texts(rows), texts(copy)];
  const at = left.findIndex((text, place) => text !== right[place]);
  if (at < 0 && left.length === right.length) return null;
  const place_ = at < 0 ? left.length : at;
  return `${left.length} and ${right.length} rows; first: ${left[place_]} and ${right[place_]}`.slice(0, 600);
}

function canonical(text: string | null, kind: Kind, signsZeros: boolean): string | null {
  if (text === null) return null;
  switch (kind) {
    case "boolean":
      return text.startsWith("t") ? "true" : "false";
    case "bytes":
      return text.replace(/^\\x/, "").toLowerCase();
    case "float": {
      const value = Number(text.replace(/inf(?:inity)?$/i, "Infinity").replace(/nan/i, "NaN"));
      return Object.is(value, -0) && signsZeros ? "-0" : String(value);
    }
    case "time":
      return text.includes("(BC)") ? `${text.replace(" (BC)", "")} BC` : text;
    default:
      return text;
  }
}

function literal(text: string): string {
  return text.replaceAll("'", "''");
}
