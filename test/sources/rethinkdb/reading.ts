import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { definition as duckdb } from "../../../src/destinations/duckdb/index.ts";
import { type Connection, defaultSettings, type Settings } from "../../../src/engine/connection.ts";
import type { SyncEvent } from "../../../src/engine/events.ts";
import type { SyncOptions } from "../../../src/engine/run/run.ts";
import { sync } from "../../../src/engine/run/sync.ts";
import { verify, type VerifyReport } from "../../../src/engine/commands/verify.ts";
import type { Json } from "../../../src/protocol/json.ts";
import type { Operation } from "../../../src/protocol/operation.ts";
import type { Pass, PassKind } from "../../../src/protocol/pass.ts";
import type { TableRun } from "../../../src/protocol/state-store.ts";
import type { Reading, Source, SourceContext, TableOptions } from "../../../src/protocol/source.ts";
import type { Table } from "../../../src/protocol/table.ts";
import { definition } from "../../../src/sources/rethinkdb/index.ts";
import { unite } from "../../../src/toolkit/types.ts";
import { type Cell, cell } from "../../../src/toolkit/vectors.ts";
import { assertWellFormed } from "../../../src/testing/well-formed.ts";
import type { RethinkDatabase } from "../../servers/rethinkdb.ts";

export const signal = new AbortController().signal;
export const fast: Reading = { signal, batchBytes: 64 << 10, until: "caught up", path: "fast" };
export const independent: Reading = { ...fast, path: "independent" };

/** What a test may set beside the address. */
export interface Opening {
  readonly configuration?: Record<string, unknown>;
  readonly tables?: Record<string, TableOptions>;
  readonly types?: SourceContext["types"];
  readonly follows?: true;
  readonly warnings?: string[];
}

/** Where a database is. */
export type Address = Pick<RethinkDatabase, "host" | "port" | "database" | "user" | "password">;

/** As in the published example: every value is text. */
function settingsOf(server: Address): Record<string, unknown> {
  const { host, port, database, user, password } = server;
  return { host, port: String(port), database, username: user === "admin" ? "" : user, password, use_ssl: "false" };
}

export async function openSource(server: Address, settings: Opening = {}): Promise<Source> {
  const { warnings = [], tables = {}, types = "exact", follows } = settings;
  const log = { debug: () => {}, info: () => {}, warn: (message: string) => void warnings.push(message) };
  const configuration = definition.configuration.parse({ ...settingsOf(server), ...settings.configuration });
  return definition.open(configuration, { log, tables, types, signal, ...(follows === undefined ? {} : { follows }) });
}

export async function tableOf(source: Source, id: string): Promise<Table> {
  const found = (await source.discover(signal)).find((table) => table.id === id);
  if (found === undefined) throw new Error(`there is no table ${id}`);
  if (found.refused !== undefined) throw found.refused;
  return found;
}

export async function planOf(
  source: Source,
  table: Table,
  kind: PassKind,
  previous: Record<string, Json> = {},
): Promise<Pass> {
  const plan = await source.plan([table], kind, previous, signal);
  return { ...plan, id: "p", kind, tables: [table], opened: plan.asOf, scope: "s", replace: false };
}

export async function* operations(source: Source, pass: Pass, how = fast): AsyncGenerator<Operation> {
  for (const split of pass.splits) yield* source.read(pass, split, null, how);
}

/** A row by its columns' names; what is NULL is left out. */
export type Row = Readonly<Record<string, Cell>>;

/** All rows of a pass by key, and the table as its operations left it. */
export async function readPass(
  source: Source,
  pass: Pass,
  how = fast,
): Promise<{ readonly rows: Map<string, Row>; readonly table: Table }> {
  const rows = new Map<string, Row>();
  let table = pass.tables[0]!;
  for await (const operation of operations(source, pass, how)) {
    if (operation.kind === "schema") table = unite(table, operation.table);
    if (!("rows" in operation)) continue;
    const { columns, values, length } = operation.rows;
    assertWellFormed(operation.rows);
    for (let row = 0; row < length; row++) {
      const cells = columns.map((name, column) => [name, shown(cell(values[column]!, row))] as const);
      const found = Object.fromEntries(cells.filter(([, value]) => value !== null));
      const key = String(found[table.key[0]!]);
      if (rows.has(key)) throw new Error(`key ${key} comes twice`);
      rows.set(key, found);
    }
  }
  return { rows, table };
}

function shown(value: Cell): Cell {
  return value instanceof Uint8Array ? Buffer.from(value).toString("hex") : value;
}

/** Column names and types. */
export function columnsOf({ columns }: Table): Record<string, string> {
  return Object.fromEntries(columns.map(({ name, type }) => [name, type.kind]));
}

export interface CopyOptions extends Opening {
  readonly engine?: Partial<Settings>;
  readonly sync?: Partial<SyncOptions>;
  readonly report?: (event: SyncEvent) => void;
}

/** A DuckDB file with the copy of a database; it goes with its folder. */
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
  async sync(server: Address, options: CopyOptions = {}): Promise<Record<string, TableRun>> {
    return this.#with(server, options, async (connection) => {
      const record = await sync(connection, { signal, ...options.sync }, options.report ?? (() => {}));
      return Object.fromEntries(record.tables.map((run) => [run.table, run]));
    });
  }

  async verify(server: Address, options: CopyOptions = {}): Promise<VerifyReport> {
    return this.#with(server, options, async (connection) => verify(connection, { signal }, () => {}));
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

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #with<Result>(
    server: Address,
    options: CopyOptions,
    work: (connection: Connection) => Promise<Result>,
  ): Promise<Result> {
    const log = { debug: () => {}, info: () => {}, warn: (message: string) => void this.warnings.push(message) };
    await using source = await openSource(server, { ...options, warnings: this.warnings });
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
    return await work({
      name: "c",
      source,
      capabilities: definition.capabilities,
      warehouse,
      scope: "s",
      selection: { include: [], exclude: [] },
      settings: { ...defaultSettings, deletes: "each_sync", maxDeleteFraction: 1, ...options.engine },
      log,
    });
  }
}

/** ReQL's pseudo types. */
export function time(text: string, timezone = "+00:00"): Json {
  return { $reql_type$: "TIME", epoch_time: Date.parse(text) / 1_000, timezone };
}

export function binary(bytes: Uint8Array): Json {
  return { $reql_type$: "BINARY", data: Buffer.from(bytes).toString("base64") };
}
