import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { definition } from "../../src/destinations/duckdb/index.ts";
import { type Connection, defaultSettings, type Settings } from "../../src/engine/connection.ts";
import type { SyncEvent } from "../../src/engine/events.ts";
import type { SyncOptions } from "../../src/engine/run/run.ts";
import { sync } from "../../src/engine/run/sync.ts";
import type { Json } from "../../src/protocol/json.ts";
import type { Warehouse } from "../../src/protocol/destination.ts";
import type { RunRecord } from "../../src/protocol/state-store.ts";
import type { Selection, Source, SourceCapabilities } from "../../src/protocol/source.ts";
import type { MemorySource } from "./memory-source.ts";

/** What a test may configure. */
export interface Configured {
  readonly settings?: Partial<Settings>;
  readonly scope?: Json;
  readonly tables?: NonNullable<Connection["tables"]>;
  readonly selection?: Selection;
  readonly capabilities?: SourceCapabilities;
}

const everything: Selection = { include: [], exclude: [] };
const windows: SourceCapabilities = {
  passes: ["full", "window", "keys"],
  independentPath: false,
  schema: "declared",
};

/** A DuckDB file in a folder of its own, which goes with it. */
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

  open(): Promise<Warehouse> {
    const log = { debug: () => {}, info: () => {}, warn: (message: string) => void this.warnings.push(message) };
    const context = {
      log,
      connection: "c",
      schema: "s",
      systemColumnPrefix: "_headwaters",
      deletion: "soft",
      rename: {},
    } as const;
    return definition.open(definition.configuration.parse({ path: this.path }), context, { create: true });
  }

  /** A connection from a source to this copy. */
  connection(
    source: Source,
    warehouse: Warehouse,
    { settings, scope, tables = {}, selection = everything, capabilities = windows }: Configured = {},
  ): Connection {
    return {
      name: "c",
      source,
      capabilities,
      warehouse,
      scope: scope ?? "s",
      selection,
      settings: { ...defaultSettings, deletes: "each_sync", maxDeleteFraction: 1, ...settings },
      tables,
      log: { debug: () => {}, info: () => {}, warn: (message) => void this.warnings.push(message) },
    };
  }

  /** One sync, with a destination that is opened for it and closed after it; `only`: of these tables. */
  async sync(
    source: Source,
    options: Configured &
      Partial<Omit<SyncOptions, "tables">> & {
        only?: readonly string[];
        wrap?: (warehouse: Warehouse) => Warehouse;
      } = {},
    report: (event: SyncEvent) => void = () => {},
  ): Promise<RunRecord> {
    await using warehouse = await this.open();
    const { settings: _s, scope: _c, tables: _t, selection: _l, capabilities: _p, wrap, only = [], ...rest } = options;
    const connection = this.connection(source, wrap?.(warehouse) ?? warehouse, options);
    return await sync(connection, { signal: new AbortController().signal, ...rest, tables: only }, report);
  }

  /** Rows of a query, by a client that is not ours. */
  query(sql: string): Promise<Record<string, unknown>[]> {
    return this.#client(sql, { access_mode: "READ_ONLY" });
  }

  /** Somebody else changes the copy. */
  async write(sql: string): Promise<void> {
    await this.#client(sql, {});
  }

  async #client(sql: string, how: Record<string, string>): Promise<Record<string, unknown>[]> {
    const instance = await DuckDBInstance.create(this.path, how);
    const connection = await instance.connect();
    try {
      return (await connection.runAndReadAll(sql)).getRowObjects();
    } finally {
      connection.closeSync();
      instance.closeSync();
    }
  }

  /** Rows of a copy that are not deleted, as `id → name`; a key that comes twice is an error. */
  async rows(table = "t"): Promise<Record<number, string>> {
    const rows: Record<number, string> = {};
    for (const { id, name } of await this.query(
      `SELECT id, name FROM s."${table}" WHERE NOT _headwaters_deleted ORDER BY id`,
    )) {
      if (String(id) in rows) throw new Error(`key ${String(id)} is twice in the copy`);
      rows[id as number] = name as string;
    }
    return rows;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** What the copy of a source's table must hold. */
export function expected(source: MemorySource, table = "t"): Record<number, string> {
  return Object.fromEntries(
    [...source.tables.get(table)!.values()].sort((a, b) => a.id - b.id).map(({ id, name }) => [id, name]),
  );
}
