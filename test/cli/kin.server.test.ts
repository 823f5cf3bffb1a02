import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { type PostgresqlServer, runSql, startPostgresql } from "../servers/postgresql.ts";
import { type RedisServer, startValkey } from "../servers/redis.ts";
import { describeWith } from "../servers/require.ts";
import { type CliRun, runCli } from "./run-cli.ts";

/** One kind of server, and the names of the sources that read it. */
interface Kin {
  /** Each follows each of the others once. */
  readonly names: readonly string[];
  readonly table: string;
  readonly settings: Readonly<Record<string, unknown>>;
  /** How a sync that goes on reads the table. */
  readonly passes: readonly string[];
  fill(): Promise<unknown>;
  /** Adds a row. */
  add(index: number): Promise<unknown>;
}

await describeWith(startPostgresql, "a copy of PostgreSQL", ({ connectionString, ...server }: PostgresqlServer) => {
  const { host, port, database, user, password } = server;
  suite({
    names: ["yugabytedb", "postgresql", "postgres", "yugabytedb"],
    table: "things",
    settings: { host, port, database, user, password, lag: 0 },
    passes: ["window", "keys"],
    fill: () =>
      runSql(
        connectionString,
        `DROP TABLE IF EXISTS things; CREATE TABLE things (id int PRIMARY KEY, updated_at timestamptz DEFAULT now());
         INSERT INTO things SELECT n FROM generate_series(1, 40) n`,
      ),
    add: (index) => runSql(connectionString, `INSERT INTO things VALUES (${1_000 + index})`),
  });
});

await describeWith(
  () => startValkey(10),
  "a copy of Valkey",
  (server: RedisServer) => {
    const { host, port, database, username, password } = server;
    suite({
      names: ["dragonflydb", "redis", "valkey", "dragonflydb", "valkey", "redis", "dragonflydb"],
      table: "dragonfly_data",
      settings: { host, port, database, username, password, streams: false, time_series: false },
      passes: ["keys"],
      async fill() {
        await server.run("FLUSHDB");
        await server.runAll(Array.from({ length: 40 }, (_, index) => ["SET", `key:${index}`, index]));
      },
      add: (index) => server.run("SET", `new:${index}`, index),
    });
  },
);

function suite({ names, table, settings, passes, fill, add }: Kin): void {
  const [first, ...others] = names as readonly [string, ...string[]];
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "headwaters-kin-"));
    await fill();
    return () => rm(folder, { recursive: true });
  });

  async function cli(argv: readonly string[]): Promise<CliRun> {
    const run = await runCli(argv, { folder });
    expect([run.code, run.error]).toEqual([0, ""]);
    return run;
  }

  async function write(type: string, destination = "duckdb:w.duckdb"): Promise<void> {
    const connections = { c: { source: { type, ...settings }, destination } };
    await writeFile(join(folder, "headwaters.yaml"), JSON.stringify({ connections }));
  }

  /** A sync of a copy that goes on: it moves the new row alone. */
  async function expectOneRow(argv: readonly string[]): Promise<void> {
    const { out } = await cli([...argv, "--json"]);
    const summary = JSON.parse(out.trimEnd().split("\n").at(-1)!) as { readonly run: { readonly tables: object[] } };
    expect(summary.run.tables).toEqual([
      expect.objectContaining({ table, outcome: "whole", passes, inserted: 1, updated: 0, deleted: 0 }),
    ]);
  }

  describe("goes on under the other names of its source", () => {
    test("where the file of connections says another one", async () => {
      await write(first);
      await cli(["sync"]);
      for (const [index, name] of others.entries()) {
        await add(index);
        await write(name);
        await expectOneRow(["sync"]);
      }
      expect((await cli(["verify"])).out).toMatch(/c: CONVERGED\n$/);
    });

    test("where the command line says another one, and no connection has a name", async () => {
      await writeFile(join(folder, "c.json"), JSON.stringify(settings));
      const form = (name: string) => [
        "--source",
        name,
        "--configuration",
        "c.json",
        "--destination",
        "duckdb:w.duckdb",
      ];
      await cli(["sync", ...form(first)]);
      for (const [index, name] of others.entries()) {
        await add(index);
        await expectOneRow(["sync", ...form(name)]);
        expect((await cli(["status", ...form(name)])).out).toContain(table);
      }
    });

    test("where its state was exported under another one", async () => {
      await write(first);
      await cli(["sync"]);
      for (const [index, name] of others.entries()) {
        await cli(["state", "export", "--to", `${index}.json`]);
        await write(name);
        await cli(["state", "import", "--from", `${index}.json`, "--yes"]);
        await add(index);
        await expectOneRow(["sync"]);
      }
    });
  });
}
