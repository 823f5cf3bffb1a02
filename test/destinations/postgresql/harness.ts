import pg from "pg";
import { definition } from "../../../src/destinations/postgresql/index.ts";
import type { DestinationContext, Warehouse } from "../../../src/protocol/destination.ts";
import type { Cell } from "../../../src/toolkit/vectors.ts";
import { context, type DestinationHarness } from "../../conformance/destination/steps.ts";
import { type PostgresqlServer, runSql } from "../../servers/postgresql.ts";

/** A database of its own, emptied when it is disposed. */
export class PostgresqlHarness implements DestinationHarness {
  readonly tellsCase = true;
  readonly signsZeros = true;
  readonly server: PostgresqlServer;
  readonly #settings: object;

  constructor(server: PostgresqlServer, settings: object = {}) {
    this.server = server;
    this.#settings = settings;
  }

  /** The settings as a user would give them; `more` are further ones. */
  settings(more: object = {}): ReturnType<typeof definition.configuration.parse> {
    const { host, port, user, password, database } = this.server;
    const where = { host, port, user, password, database, sslmode: "disable" };
    return definition.configuration.parse({ ...where, ...this.#settings, ...more });
  }

  open(given: Partial<DestinationContext> = {}, how = { create: true }): Promise<Warehouse> {
    return definition.open(this.settings(), context(given), how);
  }

  async readBack(schema: string, table: string): Promise<Readonly<Record<string, Cell>>[] | null> {
    const columns = await this.query(
      `SELECT a.attname AS name, format_type(a.atttypid, NULL) AS type, ((a.atttypmod - 4) & 2047)::text AS scale
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`,
      [schema, table],
    );
    if (columns.length === 0) return null;
    const list = columns.map(({ name, type, scale }) => {
      const column = pg.escapeIdentifier(name!);
      return `${(asNumber[type!] ?? ((text) => `${text}::text`))(column, scale!)} AS ${column}`;
    });
    const rows = await this.query(
      `SELECT ${list.join(", ")} FROM ${pg.escapeIdentifier(schema)}.${pg.escapeIdentifier(table)}`,
    );
    return rows.map((row) =>
      Object.fromEntries(columns.map(({ name, type }) => [name!, cellOf(type!, row[name!] ?? null)])),
    );
  }

  async comments(schema: string, table: string): Promise<Readonly<Record<string, string>>> {
    const found = await this.query(
      `SELECT coalesce(a.attname, '') AS name, d.description AS comment FROM pg_description d
        JOIN pg_class c ON c.oid = d.objoid JOIN pg_namespace n ON n.oid = c.relnamespace
        LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.objsubid AND d.objsubid > 0
        WHERE d.classoid = 'pg_class'::regclass AND n.nspname = $1 AND c.relname = $2`,
      [schema, table],
    );
    return Object.fromEntries(found.map(({ name, comment }) => [name!, comment!]));
  }

  async tamper(sql: string): Promise<void> {
    await this.query(sql);
  }

  /** By a client that is not ours: values as the server writes them. */
  async query(sql: string, values: string[] = []): Promise<Record<string, string | null>[]> {
    const client = new pg.Client({
      connectionString: this.server.connectionString,
      types: { getTypeParser: () => (text: string) => text },
    });
    await client.connect();
    try {
      await client.query("SET TimeZone = 'UTC'; SET extra_float_digits = 3");
      return (await client.query<Record<string, string | null>>(sql, values)).rows;
    } finally {
      await client.end();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await runSql(
      this.server.connectionString,
      `DO $$ DECLARE s text; BEGIN
        FOR s IN SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
        LOOP EXECUTE format('DROP SCHEMA %I CASCADE', s); END LOOP; END $$`,
    );
  }
}

/** By whole seconds and what is left of them: before version 14, what `extract` gives is a double. */
function micros(column: string): string {
  const whole = `extract(epoch FROM date_trunc('second', ${column}))::numeric * 1000000`;
  const rest = `extract(microseconds FROM ${column})::numeric % 1000000`;
  return `CASE WHEN isfinite(${column}) THEN (${whole} + ${rest})::numeric(30,0)::text ELSE ${column}::text END`;
}

/** Values as numbers, reckoned by the server. */
const asNumber: Readonly<Record<string, (column: string, scale: string) => string>> = {
  numeric: (column, scale) => `(${column} * (10::numeric ^ ${scale}::int))::numeric(40,0)::text`,
  date: (column) => `CASE WHEN isfinite(${column}) THEN (${column} - date '1970-01-01')::text ELSE ${column}::text END`,
  "time without time zone": (column) => `(extract(epoch FROM ${column}) * 1000000)::numeric(30,0)::text`,
  "timestamp without time zone": micros,
  "timestamp with time zone": micros,
};

const infinities: Readonly<Record<string, Cell>> = {
  infinity: 9_223_372_036_854_775_807n,
  "-infinity": -9_223_372_036_854_775_807n,
};

function cellOf(type: string, text: string | null): Cell {
  if (text === null) return null;
  switch (type) {
    case "boolean":
      return text === "true";
    case "smallint":
    case "integer":
    case "real":
    case "double precision":
      return type === "real" ? Math.fround(Number(text)) : Number(text);
    case "date":
      return text === "infinity" ? 2_147_483_647 : text === "-infinity" ? -2_147_483_647 : Number(text);
    case "bigint":
    case "numeric":
    case "time without time zone":
      return BigInt(text);
    case "timestamp without time zone":
    case "timestamp with time zone":
      return infinities[text] ?? BigInt(text);
    case "bytea":
      return Uint8Array.from(Buffer.from(text.slice(2), "hex"));
    default:
      return text;
  }
}
