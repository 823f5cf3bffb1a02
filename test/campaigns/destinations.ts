import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import pg from "pg";
import { extensionsFolder } from "../../src/servers/duckdb-extensions.ts";
import { launchPostgresql } from "../../src/servers/postgresql.ts";
import { type Front, startFront } from "../servers/front.ts";
import type { Random } from "./random.ts";

/** What is compared of a copy. */
interface Compared {
  readonly table: string;
  readonly key: string;
  readonly value: string;
}

/** Where copies are kept; each has a name. */
export interface CampaignDestination extends AsyncDisposable {
  readonly name: string;
  settings(copy: string): unknown;
  /** Key and value of each row that is not deleted, by a client that is not ours. */
  rows(copy: string, of: Compared): Promise<readonly (readonly [string, string])[]>;
  forget(copy: string): Promise<void>;
  /** What its connections go through, and what restarts it, if it is a server. */
  readonly server?: { readonly front: Front; restart(random: Random): Promise<void> };
}

function live({ table, key, value }: Compared, relation: string): string {
  return `SELECT CAST(${key} AS VARCHAR) AS key, CAST(${value} AS VARCHAR) AS value FROM ${relation}."${table}" WHERE NOT _headwaters_deleted`;
}

async function byDuckdb(
  statements: readonly string[],
  query: string,
  settings: Record<string, string> = {},
): Promise<readonly (readonly [string, string])[]> {
  const instance = await DuckDBInstance.create(":memory:", settings);
  const connection = await instance.connect();
  try {
    for (const statement of statements) await connection.run(statement);
    const rows = (await connection.runAndReadAll(query)).getRowObjects();
    return rows.map(({ key, value }) => [String(key), String(value)] as const);
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

async function duckdb(folder: string): Promise<CampaignDestination> {
  const file = (copy: string): string => join(folder, `${copy}-file.duckdb`);
  return {
    name: "duckdb",
    settings: (copy) => `duckdb:${file(copy)}`,
    rows: (copy, of) => byDuckdb([`ATTACH '${file(copy)}' AS copy (READ_ONLY)`], live(of, `copy."${copy}"`)),
    async forget(copy) {
      for (const end of ["", ".wal", ".tmp"]) await rm(file(copy) + end, { recursive: true, force: true });
    },
    async [Symbol.asyncDispose]() {},
  };
}

async function ducklake(folder: string): Promise<CampaignDestination> {
  const extensions = await extensionsFolder();
  const files = await readdir(extensions, { recursive: true });
  const extension = join(
    extensions,
    files.find((name) => name.endsWith("ducklake.duckdb_extension"))!,
  );
  const catalog = (copy: string): string => join(folder, `${copy}.ducklake`);
  return {
    name: "ducklake",
    settings: (copy) => ({ type: "ducklake", catalog: catalog(copy), extensions }),
    rows: (copy, of) =>
      byDuckdb(
        [`LOAD '${extension}'`, `ATTACH 'ducklake:${catalog(copy)}' AS copy (READ_ONLY)`],
        live(of, `copy."${copy}"`),
      ),
    async forget(copy) {
      for (const end of ["", ".wal", ".tmp", ".files"]) await rm(catalog(copy) + end, { recursive: true, force: true });
    },
    async [Symbol.asyncDispose]() {},
  };
}

async function postgresql(): Promise<CampaignDestination> {
  const server = await launchPostgresql();
  const front: Front = await startFront(server);
  const run = async (query: string): Promise<readonly { key: string; value: string }[]> => {
    const client = new pg.Client({ connectionString: server.connectionString() });
    await client.connect();
    try {
      return (await client.query<{ key: string; value: string }>(query)).rows;
    } finally {
      await client.end();
    }
  };
  const { host, user, password } = server;
  return {
    name: "postgresql",
    settings: () => ({
      ...{ type: "postgresql", host, port: front.port, user, password, database: "postgres" },
      ...{ connect_timeout: 3, read_timeout: 2 },
    }),
    rows: async (copy, of) => (await run(live(of, `"${copy}"`))).map(({ key, value }) => [key, value] as const),
    async forget(copy) {
      await run(`DROP SCHEMA IF EXISTS "${copy}" CASCADE`);
    },
    server: {
      front,
      async restart(random) {
        await server.stop(random.below(2) === 0 ? "SIGINT" : "SIGQUIT");
        await server.start();
      },
    },
    async [Symbol.asyncDispose]() {
      await front[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

export const destinations: Readonly<Record<string, (folder: string) => Promise<CampaignDestination>>> = {
  duckdb,
  ducklake,
  postgresql,
};
