import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DuckDBInstance, type DuckDBValue } from "@duckdb/node-api";
import { definition } from "../../../src/destinations/ducklake/index.ts";
import type { DestinationContext, Warehouse } from "../../../src/protocol/destination.ts";
import type { Cell } from "../../../src/toolkit/vectors.ts";
import { context, type DestinationHarness } from "../../conformance/destination/steps.ts";
import { duckdbExtensions } from "../../servers/duckdb-extensions.ts";
import { type PostgresqlServer, startOwnPostgresql } from "../../servers/postgresql.ts";
import { cellOf, commentsIn } from "../duckdb/harness.ts";

/** Random syncs that the suite makes: each opens its lake some thirty times, and loads DuckDB's extensions each time. */
export const randomRuns = 4;

let client: DuckDBInstance | null = null;

/** What a lake is made with. */
export interface LakeOptions {
  /** Where DuckDB's extensions are. */
  readonly extensions: string;
  /** The server of the catalog; absent: a file. */
  readonly server?: PostgresqlServer;
  readonly settings?: Readonly<Record<string, unknown>>;
}

/** What a lake with its catalog in PostgreSQL needs: not any kin of it. Throws `MissingServer`. */
export async function lakeServer(): Promise<
  { readonly extensions: string; readonly server: PostgresqlServer } & AsyncDisposable
> {
  const { folder } = await duckdbExtensions();
  const server = await startOwnPostgresql();
  return { extensions: folder, server, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

/** A lake in a folder of its own; in a schema of its own, where its catalog is in PostgreSQL. */
export class LakeHarness implements DestinationHarness {
  readonly folder: string;
  readonly #options: LakeOptions;
  readonly #schema = `lake_${randomBytes(6).toString("hex")}`;

  private constructor(folder: string, options: LakeOptions) {
    this.folder = folder;
    this.#options = options;
  }

  static async make(options: LakeOptions): Promise<LakeHarness> {
    return new LakeHarness(await mkdtemp(join(tmpdir(), "headwaters-ducklake-")), options);
  }

  get settings(): Readonly<Record<string, unknown>> {
    const { extensions, server, settings } = this.#options;
    const where =
      server === undefined
        ? { catalog: join(this.folder, "copy.ducklake") }
        : {
            catalog: `postgresql://${server.user}@${server.host}:${server.port}/${server.database}?sslmode=prefer`,
            password: server.password,
            catalog_schema: this.#schema,
            data: join(this.folder, "files"),
          };
    return { ...where, extensions, ...settings };
  }

  open(given: Partial<DestinationContext> = {}, how = { create: true }): Promise<Warehouse> {
    return definition.open(definition.configuration.parse(this.settings), context(given), how);
  }

  async readBack(schema: string, table: string): Promise<Readonly<Record<string, Cell>>[] | null> {
    const known =
      "SELECT * FROM duckdb_columns() WHERE database_name = 'copy' AND schema_name = $1 AND table_name = $2";
    return this.using(async (query) => {
      if ((await query(known, [schema, table])).length === 0) return null;
      const quoted = [schema, table].map((name) => `"${name.replaceAll('"', '""')}"`).join(".");
      const rows = await query(`SELECT * FROM copy.${quoted}`);
      return rows.map((row) => Object.fromEntries(Object.entries(row).map(([name, value]) => [name, cellOf(value)])));
    });
  }

  comments(schema: string, table: string): Promise<Readonly<Record<string, string>>> {
    return commentsIn((sql, values) => this.query(sql, values), schema, table);
  }

  async tamper(sql: string): Promise<void> {
    await this.query(sql);
  }

  query(sql: string, values: DuckDBValue[] = []): Promise<Record<string, DuckDBValue>[]> {
    return this.using((query) => query(sql, values));
  }

  /** Paths of all files of the lake, below its folder. */
  async files(): Promise<readonly string[]> {
    const found = await readdir(this.folder, { recursive: true });
    return found.filter((name) => name.endsWith(".parquet"));
  }

  /** By a client that is not ours: plain DuckDB, as its documentation tells to attach a lake. */
  async using<Result>(
    work: (query: (sql: string, values?: DuckDBValue[]) => Promise<Record<string, DuckDBValue>[]>) => Promise<Result>,
  ): Promise<Result> {
    // One for all tests of a file: loading its extensions takes half a second.
    client ??= await DuckDBInstance.create(":memory:");
    const connection = await client.connect();
    try {
      for (const statement of await this.attaching("copy")) await connection.run(statement);
      try {
        // With values it would be prepared first, in a transaction of its own, which maintenance can't be.
        return await work(async (sql, values = []) => {
          const reader = await (values.length === 0
            ? connection.runAndReadAll(sql)
            : connection.runAndReadAll(sql, values));
          return reader.getRowObjects();
        });
      } finally {
        await connection.run("USE memory; DETACH copy");
      }
    } finally {
      connection.closeSync();
    }
  }

  /** What a user types to attach the lake under a name. */
  async attaching(name: string): Promise<readonly string[]> {
    const { extensions, server } = this.#options;
    const files = await readdir(extensions, { recursive: true });
    const load = (extension: string): string =>
      `LOAD '${join(
        extensions,
        files.find((file) => file.endsWith(`${extension}.duckdb_extension`))!,
      )}'`;
    if (server === undefined) {
      return [load("ducklake"), `ATTACH 'ducklake:${join(this.folder, "copy.ducklake")}' AS ${name}`, `USE ${name}`];
    }
    const { host, port, database, user, password } = server;
    const login = `dbname=${database} host=${host} port=${port} user=${user} password=${password}`;
    return [
      load("ducklake"),
      load("postgres_scanner"),
      `ATTACH 'ducklake:postgres:${login}' AS ${name} (METADATA_SCHEMA '${this.#schema}')`,
      `USE ${name}`,
    ];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}
