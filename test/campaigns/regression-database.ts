/**
 * Copies PostgreSQL's own regression database, built from Debian's source package, into each destination, and compares
 * the copies by independent clients; then the same after random changes. Run: `npx tsx test/campaigns/regression-database.ts`.
 * Takes some 15 minutes on two idle cores, and never more than 60. Exits with 1 if a copy is wrong.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import pg from "pg";
import { verify } from "../../src/engine/commands/verify.ts";
import { type Connection, defaultSettings } from "../../src/engine/connection.ts";
import { sync } from "../../src/engine/run/sync.ts";
import { extensionsFolder } from "../../src/servers/duckdb-extensions.ts";
import { launchPostgresql, type LocalPostgresql } from "../../src/servers/postgresql.ts";
import { definition as postgresql } from "../../src/sources/postgresql/index.ts";
import { DuckdbHarness } from "../destinations/duckdb/harness.ts";
import { LakeHarness } from "../destinations/ducklake/harness.ts";
import { PostgresqlHarness } from "../destinations/postgresql/harness.ts";
import { buildRegressionTests, makeRegressionDatabase } from "./build-regression.ts";
import { differenceOf, withClient } from "./copied-texts.ts";
import { changeAtRandom } from "./random-changes.ts";

type Harness = DuckdbHarness | LakeHarness | PostgresqlHarness;

const changes = Number(process.env["HEADWATERS_CHANGES"] ?? 20_000);
/** Which destinations are tried: `DuckDB,PostgreSQL`. */
const only = process.env["HEADWATERS_DESTINATIONS"]?.split(",");
/** Sources that were built before. */
const built = process.env["HEADWATERS_REGRESSION_SOURCES"];
const seed = Number(process.env["HEADWATERS_SEED"] ?? 1);
const signal = AbortSignal.timeout(60 * 60_000);
const began = Date.now();
let wrong = 0;

function say(text: string): void {
  process.stdout.write(`${String(Math.round((Date.now() - began) / 1_000)).padStart(5)} s  ${text}\n`);
}

function fault(text: string): void {
  wrong++;
  say(`WRONG: ${text}`);
}

/** From 0 to below 1: the same numbers for the same seed. */
function numbers(start: number): () => number {
  let state = start | 1;
  return () => {
    // https://en.wikipedia.org/wiki/Xorshift
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

/** Values come as the server writes them. */
async function independent(server: LocalPostgresql): Promise<pg.Client> {
  const types = { getTypeParser: () => (text: string) => text };
  const client = new pg.Client({ connectionString: server.connectionString("regression"), types });
  // A failure elsewhere stops the server under it: that one is to be reported.
  client.on("error", () => {});
  await client.connect();
  // The source reads with this path: names of objects (regclass) have their schemas.
  await client.query("SET search_path = pg_catalog");
  await client.query(
    "SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'iso_8601'; SET bytea_output = 'hex'; SET extra_float_digits = 1",
  );
  return client;
}

/** Syncs every schema, compares each copy, and verifies it. Prints what was refused. */
async function copyAll(title: string, harness: Harness, server: LocalPostgresql, schemas: readonly string[]) {
  const start = Date.now();
  const refused: string[] = [];
  const whole = new Map<string, readonly string[]>();
  let [verdicts, rows, writes] = [0, 0, 0];
  const connected = async <Result>(schema: string, work: (connection: Connection) => Promise<Result>) => {
    const log = { debug: () => {}, info: () => {}, warn: () => {} };
    const { host, port, user, password } = server;
    const place = { host, port, user, password, database: "regression", schema, sslmode: "disable" };
    const configuration = postgresql.configuration.parse(place);
    await using source = await postgresql.open(configuration, { log, tables: {}, types: "exact", signal });
    await using warehouse = await harness.open({ log, connection: schema, schema });
    return await work({
      name: schema,
      source,
      capabilities: postgresql.capabilities,
      warehouse,
      scope: postgresql.scope(configuration),
      selection: { include: [], exclude: [] },
      settings: { ...defaultSettings, maxDeleteFraction: 1, deletes: "each_sync" },
      log,
    });
  };
  for (const schema of schemas) {
    const run = await connected(schema, (connection) => sync(connection, { signal, acceptDeletes: true }, () => {}));
    for (const { table, error, rowsRead, inserted, updated, deleted } of run.tables) {
      rows += rowsRead;
      writes += inserted + updated + deleted;
      if (error !== null) refused.push(`${schema}.${table}: ${error.code}: ${error.message}`);
    }
    const tables = run.tables.filter(({ outcome }) => outcome === "whole").map(({ table }) => table);
    if (tables.length > 0) whole.set(schema, tables);
  }
  const count = [...whole.values()].flat().length;
  say(
    `${title}: ${count} tables whole, ${refused.length} refused; ${rows} rows read, ${writes} written, ${Math.round((Date.now() - start) / 1_000)} s`,
  );
  for (const line of refused.sort()) say(`  refused: ${line}`);
  const client = await independent(server);
  try {
    await withClient(harness, async (query) => {
      for (const [schema, tables] of whole)
        for (const table of tables) {
          const difference = await differenceOf(client, harness, query, schema, table).catch((error: unknown) =>
            String(error),
          );
          if (difference !== null) fault(`${title}: ${schema}.${table}: ${difference}`);
        }
    });
  } finally {
    await client.end();
  }
  say(`${title}: compared by an independent client`);
  for (const [schema, tables] of whole) {
    const report = await connected(schema, (connection) => verify(connection, { signal, tables }, () => {}));
    for (const { table, verdict, reasons } of report.tables) {
      verdicts++;
      if (verdict !== "CONVERGED") fault(`${title}: ${schema}.${table} is ${verdict}: ${reasons.join(" ")}`);
    }
  }
  say(`${title}: ${verdicts} tables verified`);
}

const folder = await mkdtemp(join(tmpdir(), "headwaters-regression-"));
try {
  const sources = built ?? (await buildRegressionTests(folder, signal));
  say("built pg_regress, psql and the functions in C");
  await using server = await launchPostgresql({ signal });
  say(`regression tests: ${await makeRegressionDatabase(sources, folder, server, signal)}`);
  const client = await independent(server);
  const found = await client.query<{ schema: string }>(
    `SELECT DISTINCT n.nspname AS schema FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
      ORDER BY 1`,
  );
  const schemas = found.rows.map(({ schema }) => schema);
  await client.query("CREATE DATABASE copies");
  const { host, port, user, password } = server;
  const own = {
    host,
    port,
    user,
    password,
    database: "copies",
    connectionString: server.connectionString("copies"),
    version: "15",
  };
  const nothing = {
    createDatabase: () => Promise.reject(new Error("no more databases")),
    [Symbol.asyncDispose]: async () => {},
  };
  await using duckdb = await DuckdbHarness.make();
  await using lake = await LakeHarness.make({ extensions: await extensionsFolder() });
  const all: readonly (readonly [string, Harness])[] = [
    ["DuckDB", duckdb],
    ["DuckLake", lake],
    ["PostgreSQL", new PostgresqlHarness({ ...own, ...nothing })],
  ];
  const destinations = all.filter(([title]) => only?.includes(title) !== false);
  await client.end();
  for (const [title, harness] of destinations) await copyAll(title, harness, server, schemas);
  const changing = await independent(server);
  say(`random changes: ${JSON.stringify(await changeAtRandom(changing, changes, numbers(seed)))}`);
  await changing.end();
  for (const [title, harness] of destinations) await copyAll(`${title}, changed`, harness, server, schemas);
} finally {
  await rm(folder, { recursive: true, force: true });
}
say(wrong === 0 ? "every copy is equal to its source" : `${wrong} faults`);
process.exitCode = wrong === 0 ? 0 : 1;
