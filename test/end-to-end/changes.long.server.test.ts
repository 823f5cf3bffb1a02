import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import fc from "fast-check";
import pg from "pg";
import { expect, test } from "vitest";
import { definition as duckdb } from "../../src/destinations/duckdb/index.ts";
import { type Connection, defaultSettings, type SyncConnection } from "../../src/engine/connection.ts";
import { sync } from "../../src/engine/run/sync.ts";
import { type TableVerdict, verify } from "../../src/engine/commands/verify.ts";
import type { Log } from "../../src/protocol/log.ts";
import { definition as yugabytedb } from "../../src/sources/yugabytedb/index.ts";
import { type PostgresqlServer, runSql, startPostgresql } from "../servers/postgresql.ts";
import { describeWith } from "../servers/require.ts";

const signal = new AbortController().signal;
const log: Log = { debug: () => {}, info: () => {}, warn: () => {} };

/** Syncs a database into a file, in this process. */
async function syncInto(server: PostgresqlServer, path: string, settings: object = {}): Promise<void> {
  const record = await connected(
    server,
    path,
    (connection) => sync(connection, { signal, acceptDeletes: true }, () => {}),
    settings,
  );
  if (record.outcome !== "succeeded") throw new Error(JSON.stringify(record.tables));
}

/** What `verify` says of table `t`. */
async function verdictOf(server: PostgresqlServer, path: string, settings: object = {}): Promise<TableVerdict> {
  return (await connected(server, path, (connection) => verify(connection, { signal }, () => {}), settings)).tables[0]!;
}

async function connected<Result>(
  server: PostgresqlServer,
  path: string,
  work: (connection: Connection & SyncConnection) => Promise<Result>,
  settings: object,
): Promise<Result> {
  const { host, port, user, password, database } = server;
  const context = { log, tables: {}, types: "exact", signal } as const;
  const configuration = yugabytedb.configuration.parse({ host, port, user, password, database, ...settings });
  await using source = await yugabytedb.open(configuration, context);
  const target = {
    log,
    connection: "c",
    schema: "s",
    systemColumnPrefix: "_headwaters",
    deletion: "soft",
    rename: {},
  } as const;
  await using warehouse = await duckdb.open(duckdb.configuration.parse({ path }), target, { create: true });
  return await work({
    name: "c",
    source,
    capabilities: yugabytedb.capabilities,
    warehouse,
    scope: yugabytedb.scope(configuration),
    selection: { include: [], exclude: [] },
    settings: { ...defaultSettings, deletes: "each_sync", maxDeleteFraction: 1, batchBytes: 2_000 },
    log,
  });
}

/** Changes a copy as something else than a sync would. */
async function tamper(path: string, statement: string): Promise<void> {
  const instance = await DuckDBInstance.create(path);
  const connection = await instance.connect();
  await connection.run(statement);
  connection.closeSync();
  instance.closeSync();
}

async function rows(path: string): Promise<unknown[]> {
  const instance = await DuckDBInstance.create(path, { access_mode: "READ_ONLY" });
  const connection = await instance.connect();
  try {
    const sql =
      "SELECT COLUMNS(c -> c NOT LIKE '\\_headwaters%' ESCAPE '\\')::VARCHAR FROM s.t WHERE NOT _headwaters_deleted ORDER BY ALL";
    const result = await connection.runAndReadAll(sql);
    return result.getRowObjects().map((row) =>
      Object.fromEntries(
        Object.entries(row)
          .sort()
          .filter(([, value]) => value !== null),
      ),
    );
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

const id = fc.integer({ min: 1, max: 12 });
const stamp = fc.constantFrom("now()", "NULL", "now() - interval '3 days'", "now() + interval '1 year'");
const change = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("put" as const), id, stamp }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("delete" as const), id }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("rekey" as const), id, to: id }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("widen" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("add" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("drop" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("truncate" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("recreate" as const) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("sync" as const) }) },
);
type Change = typeof change extends fc.Arbitrary<infer Step> ? Step : never;

const create = `CREATE TABLE t (a int, b text, name varchar(20), amount int, updated_at timestamptz, PRIMARY KEY (a, b))`;

function statement(step: Exclude<Change, { kind: "sync" }>, count: number): string {
  switch (step.kind) {
    case "put":
      return `INSERT INTO t (a, b, name, amount, updated_at) VALUES (${step.id}, 'k', 'write ${count}', ${count}, ${step.stamp})
        ON CONFLICT (a, b) DO UPDATE SET name = excluded.name, amount = excluded.amount, updated_at = excluded.updated_at`;
    case "delete":
      return `DELETE FROM t WHERE a = ${step.id}`;
    case "rekey":
      return `UPDATE t SET a = ${step.to}, updated_at = now() WHERE a = ${step.id} AND NOT EXISTS (SELECT FROM t WHERE a = ${step.to})`;
    case "widen":
      return "ALTER TABLE t ALTER amount TYPE bigint";
    case "add":
      return `ALTER TABLE t ADD extra_${count} int DEFAULT ${count}`;
    case "drop":
      return `DO $$ DECLARE c text; BEGIN
        SELECT attname INTO c FROM pg_attribute WHERE attrelid = 't'::regclass AND attname LIKE 'extra%' AND NOT attisdropped LIMIT 1;
        IF c IS NOT NULL THEN EXECUTE format('ALTER TABLE t DROP %I', c); END IF; END $$`;
    case "truncate":
      return "TRUNCATE t";
    case "recreate":
      return `DROP TABLE t; ${create}`;
  }
}

await describeWith(startPostgresql, "after any changes of rows and schema", (server) => {
  test("an incremental copy equals a fresh one, and is proven", { timeout: 300_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 5, maxLength: 25 }), async (steps) => {
        const folder = await mkdtemp(join(tmpdir(), "headwaters-"));
        try {
          await runSql(server.connectionString, `DROP TABLE IF EXISTS t; ${create}`);
          await runSql(
            server.connectionString,
            "INSERT INTO t SELECT i, 'k', 'first', i, now() FROM generate_series(1, 6) i",
          );
          const copy = join(folder, "copy.duckdb");
          await syncInto(server, copy);
          for (const [count, step] of steps.entries()) {
            if (step.kind === "sync") await syncInto(server, copy);
            else await runSql(server.connectionString, statement(step, count));
          }
          await syncInto(server, copy);
          expect(await verdictOf(server, copy)).toMatchObject({ verdict: "CONVERGED" });
          await syncInto(server, join(folder, "fresh.duckdb"));
          expect(await rows(copy)).toEqual(await rows(join(folder, "fresh.duckdb")));
        } finally {
          await rm(folder, { recursive: true, force: true });
        }
      }),
      { numRuns: 30, endOnFailure: true },
    );
  });
});

await describeWith(startPostgresql, "what verify makes of a source that changed", (server) => {
  const inFolder = async (work: (path: string) => Promise<void>): Promise<void> => {
    const folder = await mkdtemp(join(tmpdir(), "headwaters-"));
    try {
      await work(join(folder, "copy.duckdb"));
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  };

  test.each(["timestamptz", "timestamp", "date"])(
    "a row that was stamped before the sync and committed after it is NOT PROVEN, with a %s (case 5)",
    (type) =>
      inFolder(async (path) => {
        await runSql(
          server.connectionString,
          `DROP TABLE IF EXISTS t; CREATE TABLE t (id int PRIMARY KEY, name text, updated_at ${type});
           INSERT INTO t SELECT i, 'first', now() - interval '2 days' FROM generate_series(1, 10) i`,
        );
        const writer = new pg.Client({ connectionString: server.connectionString });
        await writer.connect();
        try {
          await writer.query(
            "BEGIN; UPDATE t SET name = 'late', updated_at = now() WHERE id = 3; SELECT pg_sleep(1.5)",
          );
          await syncInto(server, path);
          expect(await verdictOf(server, path)).toMatchObject({ verdict: "CONVERGED" });
          await writer.query("COMMIT");
        } finally {
          await writer.end();
        }
        expect(await verdictOf(server, path)).toMatchObject({
          verdict: "NOT PROVEN",
          different: 1,
          reasons: [expect.stringContaining("committed in the source after the copy's read point")],
        });
        await tamper(path, "UPDATE s.t SET name = 'tampered' WHERE id = 4");
        expect(await verdictOf(server, path)).toMatchObject({ verdict: "DIVERGED", different: 2 });
        await tamper(path, "UPDATE s.t SET name = 'first' WHERE id = 4");
        await syncInto(server, path);
        expect(await verdictOf(server, path)).toMatchObject({ verdict: "CONVERGED" });
      }),
  );

  test.each([
    ["by keys", {}],
    ["by the log", { changes: "stream" }],
  ])(
    "a large table without versions is sealed, read %s: the source changed, or something else did (case 5)",
    (_, how) =>
      inFolder(async (path) => {
        await using database = await server.createDatabase();
        await runSql(
          database.connectionString,
          `CREATE TABLE t (id int PRIMARY KEY, name text);
         INSERT INTO t SELECT i, 'first' FROM generate_series(1, 1000001) i`,
        );
        await syncInto(database, path, how);
        await runSql(database.connectionString, "UPDATE t SET name = 'later' WHERE id = 3; DELETE FROM t WHERE id = 7");
        expect(await verdictOf(database, path, how)).toMatchObject({
          verdict: "NOT PROVEN",
          ...{ different: 1, extra: 1 },
          reasons: [expect.stringContaining("exactly as the last sync left it")],
        });
        await syncInto(database, path, how);
        expect(await verdictOf(database, path, how)).toMatchObject({ verdict: "CONVERGED" });
        await tamper(path, "UPDATE s.t SET name = 'tampered' WHERE id = 4");
        await runSql(database.connectionString, "UPDATE t SET name = 'still later' WHERE id = 3");
        expect(await verdictOf(database, path, how)).toMatchObject({
          verdict: "DIVERGED",
          reasons: expect.arrayContaining(["Something other than a sync changed the copy."]),
        });
      }),
  );
});
