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
import type { Source } from "../../../src/protocol/source.ts";
import { definition } from "../../../src/sources/redis/index.ts";
import type { RedisServer } from "../../servers/redis.ts";
import { openSource, settingsOf, signal } from "./reading.ts";

export interface CopyOptions extends Partial<SyncOptions> {
  readonly engine?: Partial<Settings>;
  /** Stands between the source and the engine. */
  readonly wrap?: (source: Source) => Source;
}

/** A DuckDB file with the copy of a server's database; it goes with its folder. */
export class Copy implements AsyncDisposable {
  readonly path: string;
  readonly warnings: string[] = [];
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
    this.path = join(folder, "copy.duckdb");
  }

  static async make(): Promise<Copy> {
    return new Copy(await mkdtemp(join(tmpdir(), "headwaters-")));
  }

  /** One sync, as a process of its own would do it: what it did on each table. */
  async sync(
    server: RedisServer,
    settings: Record<string, unknown> = {},
    options: CopyOptions = {},
  ): Promise<Record<string, TableRun>> {
    return this.#with(server, settings, options, async (connection) => {
      const record = await sync(connection, { signal, ...options }, () => {});
      return Object.fromEntries(record.tables.map((run) => [run.table, run]));
    });
  }

  async verify(server: RedisServer, settings: Record<string, unknown> = {}): Promise<VerifyReport> {
    return this.#with(server, settings, {}, async (connection) => verify(connection, { signal }, () => {}));
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

  /** Keys and values of the copy that are not deleted; a key that comes twice is an error. */
  async values(table = "dragonfly_data"): Promise<Record<string, string>> {
    const rows = await this.query(`SELECT key, value FROM s."${table}" WHERE NOT _headwaters_deleted ORDER BY key`);
    const values = Object.fromEntries(rows.map(({ key, value }) => [key as string, value as string]));
    if (Object.keys(values).length < rows.length) throw new Error("a key is twice in the copy");
    return values;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #with<Result>(
    server: RedisServer,
    settings: Record<string, unknown>,
    { engine, wrap }: CopyOptions,
    work: (connection: Connection) => Promise<Result>,
  ): Promise<Result> {
    const log = { debug: () => {}, info: () => {}, warn: (message: string) => void this.warnings.push(message) };
    await using source = await openSource(server, settings, { warnings: this.warnings });
    const target = {
      log,
      connection: "c",
      schema: "s",
      systemColumnPrefix: "_headwaters",
      deletion: "soft",
      rename: {},
    } as const;
    await using warehouse = await duckdb.open(duckdb.configuration.parse({ path: this.path }), target, {
      create: true,
    });
    const configuration = definition.configuration.parse({ ...settingsOf(server), ...settings });
    return await work({
      name: "c",
      source: wrap?.(source) ?? source,
      capabilities: definition.capabilities,
      warehouse,
      scope: definition.scope(configuration),
      selection: { include: [], exclude: [] },
      settings: { ...defaultSettings, deletes: "each_sync", maxDeleteFraction: 1, ...engine },
      log,
    });
  }
}
