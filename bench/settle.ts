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
import { createTable, table } from "./table.ts";

const help = `tsx bench/settle.ts [options], once it is built (npm run build)

Syncs of one PostgreSQL table with a sweep, after a part of its rows was deleted, changed or added: settling must be linear.

  --rows N      rows of the table (200000)
  --runs N      runs of each (3)
  --parts a,b   percent of the rows (0,1,10,50,100)
  --help        this`;

const { values: options } = parseArgs({
  options: {
    rows: { type: "string", default: "200000" },
    runs: { type: "string", default: "3" },
    parts: { type: "string", default: "0,1,10,50,100" },
    help: { type: "boolean", default: false },
  },
});

const main = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));

/** Statements for a part of the rows. The first `part` percent of each hundred keys are meant. */
const changes = {
  deleted: (part: number) => `DELETE FROM ${table} WHERE reading_id % 100 < ${part}`,
  changed: (part: number) =>
    `UPDATE ${table} SET temperature = temperature + 1, updated_at = now() WHERE reading_id % 100 < ${part}`,
  added: (part: number, rows: number) =>
    filled(`SELECT n + ${rows} FROM generate_series(1, ${rows}) n WHERE n % 100 < ${part}`),
} as const;

if (options.help) console.log(help);
else await bench(Number(options.rows), Number(options.runs), options.parts.split(",").map(Number));

async function bench(rows: number, runs: number, parts: readonly number[]): Promise<void> {
  console.log(`${machine()}\n${rows.toLocaleString("en-US")} rows of ${table} (9 columns) into DuckDB\n`);
  await mkdir(cacheFolder, { recursive: true });
  const work = await mkdtemp(join(cacheFolder, "work-"));
  try {
    await using server = await launchPostgresql({ settings: { shared_buffers: "1GB", autovacuum: "off" } });
    await run(server, createTable());
    await configure(work, server);
    const sync = (...flags: readonly string[]): Promise<Measured> =>
      measure({ command: process.execPath, arguments: [main, "sync", "settle", "--quiet", ...flags] }, work);
    const shown: string[][] = [];
    for (const [what, statement] of Object.entries(changes)) {
      for (const part of parts) {
        const measured: Measured[] = [];
        for (let round = 0; round < runs; round++) {
          await rm(join(work, "out.duckdb"), { force: true });
          await run(server, `TRUNCATE ${table}`);
          await run(server, filled(`SELECT n FROM generate_series(1, ${rows}) n`));
          await sync();
          await run(server, statement(part, rows));
          await run(server, `VACUUM ANALYZE ${table}`);
          measured.push(await sync("--sweep", "--accept-deletes"));
        }
        const summary = summarize(measured);
        const processor = summary.processor === null ? "–" : seconds(summary.processor);
        shown.push([
          `${part} % ${what}`,
          seconds(summary.milliseconds),
          processor,
          mebibytes(summary.peakBytes),
          spread(summary),
        ]);
      }
    }
    printTable(["a sync with --sweep", "median", "processor", "peak memory", "spread"], shown);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

function filled(keys: string): string {
  return `INSERT INTO ${table} (reading_id, device_id, recorded_at, temperature, updated_at)
    SELECT key, 'device-' || key % 1000, now() - interval '1 day', key * 0.5, now() - interval '1 day' FROM (${keys}) AS k (key)`;
}

async function configure(folder: string, { host, port, user, password }: LocalPostgresql): Promise<void> {
  const source = { type: "postgresql", host, port, user, password, database: "postgres", sslmode: "disable" };
  const text = JSON.stringify({ connections: { settle: { source, destination: "duckdb:out.duckdb" } } });
  await writeFile(join(folder, "headwaters.yaml"), text, { mode: 0o600 });
}

async function run(server: LocalPostgresql, sql: string): Promise<void> {
  const client = new Client({ connectionString: server.connectionString() });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}
