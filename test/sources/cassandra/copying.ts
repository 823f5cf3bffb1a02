import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { definition as duckdb } from "../../../src/destinations/duckdb/index.ts";
import { type Connection, defaultSettings, type Settings } from "../../../src/engine/connection.ts";
import type { SyncOptions } from "../../../src/engine/run/run.ts";
import { sync } from "../../../src/engine/run/sync.ts";
import { verify, type VerifyReport } from "../../../src/engine/commands/verify.ts";
import type { TableRun } from "../../../src/protocol/state-store.ts";
import type { Source, SourceContext } from "../../../src/protocol/source.ts";
import { definition } from "../../../src/sources/cassandra/index.ts";
import type { CassandraServer } from "../../servers/cassandra.ts";
import { openCassandra } from "./harness.ts";

export interface CopyOptions extends Partial<SyncOptions> {
  readonly engine?: Partial<Settings>;
  readonly overrides?: SourceContext["tables"];
  /** Table names to sync; absent: all. */
  readonly include?: readonly string[];
  /** Stands between the source and the engine. */
  readonly wrap?: (source: Source) => Source;
}

/** A DuckDB file with the copy of a keyspace; it goes with its folder. */
export class Copy implements AsyncDisposable {
  readonly path: string;
  readonly warnings: string[] = [];
  readonly #folder: string;
  readonly #server: CassandraServer;

  private constructor(folder: string, server: CassandraServer) {
    this.#folder = folder;
    this.#server = server;
    this.path = join(folder, "copy.duckdb");
  }

  static async make(server: CassandraServer): Promise<Copy> {
    return new Copy(await mkdtemp(join(tmpdir(), "headwaters-")), server);
  }

  /** One sync, as a process of its own would do it: what it did on each table. */
  async sync(settings: Record<string, unknown> = {}, options: CopyOptions = {}): Promise<Record<string, TableRun>> {
    return this.#with(settings, options, async (connection) => {
      const record = await sync(connection, { signal: new AbortController().signal, ...options }, () => {});
      return Object.fromEntries(record.tables.map((run) => [run.table, run]));
    });
  }

  async verify(settings: Record<string, unknown> = {}, options: CopyOptions = {}): Promise<VerifyReport> {
    const { signal } = new AbortController();
    return this.#with(settings, options, async (connection) => verify(connection, { signal }, () => {}));
  }

  async query(sql: string): Promise<Record<string, unknown>[]> {
    const instance = await DuckDBInstance.create(this.path, { access_mode: "READ_ONLY" });
    const connection = await instance.connect();
    try {
      return (await connection.runAndReadAll(sql)).getRowObjects();
    } finally {
      connection.closeSync();
      instance.closeSync();
    }
  }

  /** Rows of the copy that are not deleted, without columns of ours. */
  async rows(table: string): Promise<Record<string, unknown>[]> {
    const rows = await this.query(`SELECT * FROM s."${table}" WHERE NOT _headwaters_deleted ORDER BY ALL`);
    return rows.map((row) =>
      Object.fromEntries(Object.entries(row).filter(([name]) => !name.startsWith("_headwaters"))),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #with<Result>(
    settings: Record<string, unknown>,
    { engine, wrap, overrides, include }: CopyOptions,
    work: (connection: Connection) => Promise<Result>,
  ): Promise<Result> {
    await using source = await openCassandra(
      this.#server,
      settings,
      overrides === undefined ? {} : { tables: overrides },
    );
    const log = { debug: () => {}, info: () => {}, warn: (message: string) => void this.warnings.push(message) };
    const target = {
      ...{ log, connection: "c", schema: "s", systemColumnPrefix: "_headwaters", rename: {} },
      deletion: "soft",
    } as const;
    await using warehouse = await duckdb.open(duckdb.configuration.parse({ path: this.path }), target, {
      create: true,
    });
    const result = await work({
      name: "c",
      source: wrap?.(source) ?? source,
      capabilities: definition.capabilities,
      warehouse,
      scope: "s",
      selection: { include: include ?? [], exclude: [] },
      settings: { ...defaultSettings, deletes: "each_sync", maxDeleteFraction: 1, ...engine },
      log,
    });
    this.warnings.push(...source.warnings);
    return result;
  }
}
