import { Client } from "pg";
import { launchPostgresql } from "../src/servers/postgresql.ts";

/** The table that everyone reads: nine columns, of all widths. */
export const table = "sensor_readings";

/** Where it is. */
export interface Origin {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly connectionString: string;
}

/** A PostgreSQL of our own with `rows` rows. Nothing is left to be done by whoever reads first: vacuumed and in memory. */
export async function startOrigin(rows: number): Promise<Origin & AsyncDisposable> {
  const server = await launchPostgresql({ settings: { shared_buffers: "1GB", autovacuum: "off" } });
  const connectionString = server.connectionString();
  try {
    await query(connectionString, createTable);
    await query(connectionString, fill(rows));
    await query(connectionString, `VACUUM (FREEZE, ANALYZE) ${table}`);
    await query(connectionString, "CHECKPOINT");
    await query(connectionString, `SELECT count(metadata) FROM ${table}`);
  } catch (error) {
    await server[Symbol.asyncDispose]();
    throw error;
  }
  const { host, port, user, password } = server;
  return { host, port, user, password, connectionString, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

/** Touches so many rows, spread over the whole table, as an application would. */
export async function touch({ connectionString }: Origin, rows: number, round: number): Promise<void> {
  await query(
    connectionString,
    `UPDATE ${table} SET temperature = temperature + 0.1, updated_at = now()
     WHERE reading_id IN (
       SELECT ${round} + n * (SELECT max(reading_id) / ${rows} FROM ${table}) FROM generate_series(0, ${rows - 1}) AS n
     )`,
  );
}

export const createTable = `
  CREATE TABLE ${table} (
    reading_id bigint PRIMARY KEY,
    device_id text NOT NULL,
    recorded_at timestamptz NOT NULL,
    temperature double precision,
    humidity double precision,
    pressure numeric(8, 2),
    status text,
    metadata jsonb,
    updated_at timestamptz NOT NULL
  )`;

/** Last touched when they were taken, from a year ago to yesterday. */
const fill = (rows: number): string => `
  INSERT INTO ${table}
  SELECT n, 'device-' || n % 1000, taken, 20 + random() * 10, 40 + random() * 20, (1000 + random() * 30)::numeric(8, 2),
         (ARRAY['ok', 'ok', 'ok', 'warning'])[1 + n % 4],
         jsonb_build_object('battery', n % 100, 'firmware', '2.' || n % 10, 'signal', -30 - n % 60),
         taken
  FROM generate_series(1, ${rows}) AS n,
       LATERAL (SELECT now() - interval '1 day' - (${rows} - n) * (interval '364 days' / ${rows})) AS moment (taken)`;

async function query(connectionString: string, sql: string): Promise<void> {
  const client = new Client({ connectionString });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}
