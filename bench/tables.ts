import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Client } from "pg";
import { launchPostgresql, type LocalPostgresql } from "../src/servers/postgresql.ts";
import { cacheFolder } from "./cache.ts";
import { type Measured, measure } from "./measure.ts";
import { machine, mebibytes, printTable, seconds, spread, summarize } from "./report.ts";

const help = `tsx bench/tables.ts [options], once it is built (npm run build)

Many small tables of one PostgreSQL into DuckDB or PostgreSQL: what a table costs. Whole processes.

  --tables N           tables (500)
  --rows N             rows of each (100)
  --runs N             runs of each kind of sync (5)
  --destination NAME   duckdb or postgresql (duckdb)
  --help               this`;

const { values: options } = parseArgs({
  options: {
    tables: { type: "string", default: "500" },
    rows: { type: "string", default: "100" },
    runs: { type: "string", default: "5" },
    destination: { type: "string", default: "duckdb" },
    help: { type: "boolean", default: false },
  },
});

const main = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));

if (options.help) console.log(help);
else await bench(Number(options.tables), Number(options.rows), Number(options.runs));

async function bench(tables: number, rows: number, runs: number): Promise<void> {
  console.log(`${machine()}\n${tables} tables of ${rows} rows (5 columns) into ${options.destination}\n`);
  await mkdir(cacheFolder, { recursive: true });
  const work = await mkdtemp(join(cacheFolder, "work-"));
  try {
    await using server = await launchPostgresql({ settings: { shared_buffers: "256MB", autovacuum: "off" } });
    await fill(server, tables, rows);
    await using target = await launchPostgresql({ settings: { shared_buffers: "256MB" } });
    const measured = new Map<string, Measured[]>();
    const take = async (what: string, ...given: readonly string[]): Promise<void> => {
      const one = await measure({ command: process.execPath, arguments: [main, ...given] }, work);
      measured.set(what, [...(measured.get(what) ?? []), one]);
    };
    const queries: number[] = [];
    for (let round = 0; round < runs; round++) {
      const connection = `tables${round}`;
      await configure(work, connection, server, target);
      queries.push(await indexedQueries(server, tables));
      await take("first sync", "sync", connection, "--quiet");
      await take("nothing changed", "sync", connection, "--quiet");
      await take("nothing changed, without sweeps", "sync", connection, "--quiet", "--deletes", "never");
      await take("verify", "verify", connection, "--quiet");
    }
    const rival = seconds(summarize(queries.map(asMeasured)).milliseconds);
    printTable(
      [`${tables} tables`, "median", "processor", "a table", "peak memory", "spread"],
      [
        [`${tables} indexed queries by pg`, rival, "–", "–", "–", "–"],
        ...[...measured].map(([what, all]) => {
          const summary = summarize(all);
          const processor = summary.processor ?? 0;
          return [
            what,
            seconds(summary.milliseconds),
            seconds(processor),
            `${(processor / tables).toFixed(1)} ms`,
            mebibytes(summary.peakBytes),
            spread(summary),
          ];
        }),
      ],
    );
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

function asMeasured(milliseconds: number): Measured {
  return { milliseconds, processorMilliseconds: null, peakBytes: null, said: "" };
}

function nameOf(table: number): string {
  return `t${String(table).padStart(5, "0")}`;
}

async function fill(server: LocalPostgresql, tables: number, rows: number): Promise<void> {
  await connected(server, async (client) => {
    for (let table = 0; table < tables; table++) {
      const name = nameOf(table);
      await client.query(`
        CREATE TABLE ${name} (id bigint PRIMARY KEY, name text, value double precision, created_at timestamptz,
          updated_at timestamptz NOT NULL);
        CREATE INDEX ON ${name} (updated_at);
        INSERT INTO ${name} SELECT n, 'name ' || n, n * 1.5, now() - interval '1 day', now() - interval '2 hours'
          FROM generate_series(1, ${rows}) n`);
    }
    await client.query("VACUUM ANALYZE");
  });
}

/** Asks each table for what changed in the last hour, one after the other, in milliseconds: nothing reads them in less. */
async function indexedQueries(server: LocalPostgresql, tables: number): Promise<number> {
  return connected(server, async (client) => {
    const began = performance.now();
    for (let table = 0; table < tables; table++)
      await client.query(`SELECT * FROM ${nameOf(table)} WHERE updated_at > now() - interval '1 hour'`);
    return performance.now() - began;
  });
}

async function connected<Result>(server: LocalPostgresql, work: (client: Client) => Promise<Result>): Promise<Result> {
  const client = new Client({ connectionString: server.connectionString() });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

async function configure(
  folder: string,
  connection: string,
  { host, port, user, password }: LocalPostgresql,
  target: LocalPostgresql,
): Promise<void> {
  const source = { type: "postgresql", host, port, user, password, database: "postgres", sslmode: "disable" };
  const { destination: kind } = options;
  const place = { host: target.host, port: target.port, user: target.user, password: target.password };
  const destination =
    kind === "postgresql"
      ? { type: "postgresql", ...place, database: "postgres", sslmode: "disable" }
      : `duckdb:${connection}-copy.duckdb`;
  const text = JSON.stringify({ connections: { [connection]: { source, destination, schema: connection } } });
  await writeFile(join(folder, "headwaters.yaml"), text, { mode: 0o600 });
}
