import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import type { TableRun } from "../../src/protocol/state-store.ts";
import { type CliRun, runCli } from "./run-cli.ts";

/** A folder with a `headwaters.yaml` of one connection into a DuckDB file, where the program runs as users run it. */
export class Workspace implements AsyncDisposable {
  readonly folder: string;
  readonly #source: object;

  private constructor(folder: string, source: object) {
    this.folder = folder;
    this.#source = source;
  }

  static async make(source: object): Promise<Workspace> {
    return new Workspace(await mkdtemp(join(tmpdir(), "headwaters-selection-")), source);
  }

  /** Writes the file; `more` are settings of the connection. */
  async configure(more: object): Promise<void> {
    const defaults = { schema: "s", deletes: "each_sync", maxDeleteFraction: 1 };
    const connection = { source: this.#source, destination: "duckdb:w.duckdb", ...defaults, ...more };
    await writeFile(join(this.folder, "headwaters.yaml"), JSON.stringify({ connections: { c: connection } }, null, 2));
  }

  async run(...argv: readonly string[]): Promise<CliRun> {
    return runCli(argv, { folder: this.folder });
  }

  /** What a sync did on each table. */
  async sync(...flags: readonly string[]): Promise<Record<string, TableRun>> {
    const { out, error } = await this.run("sync", "--json", ...flags);
    const last = out.trimEnd().split("\n").at(-1)!;
    const summary = JSON.parse(last) as { run?: { tables: readonly TableRun[] } };
    if (summary.run === undefined) throw new Error(`${last}\n${error}`);
    return Object.fromEntries(summary.run.tables.map((run) => [run.table, run]));
  }

  /** Rows of the copy that are not deleted, in the order of all columns, without the system's. */
  async rows(table: string): Promise<Record<string, unknown>[]> {
    const instance = await DuckDBInstance.create(join(this.folder, "w.duckdb"), { access_mode: "READ_ONLY" });
    const connection = await instance.connect();
    try {
      const result = await connection.runAndReadAll(
        `SELECT COLUMNS(c -> NOT starts_with(c, '_headwaters')) FROM s."${table}" WHERE NOT _headwaters_deleted ORDER BY ALL`,
      );
      return result.getRowObjectsJson();
    } finally {
      connection.closeSync();
      instance.closeSync();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true });
  }
}
