import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  DuckDBBlobValue,
  DuckDBDateValue,
  DuckDBDecimalValue,
  DuckDBInstance,
  DuckDBTimestampTZValue,
  DuckDBTimestampValue,
  DuckDBTimeValue,
  DuckDBUUIDValue,
  type DuckDBValue,
} from "@duckdb/node-api";
import { definition } from "../../../src/destinations/duckdb/index.ts";
import type { DestinationContext, Warehouse } from "../../../src/protocol/destination.ts";
import type { Cell } from "../../../src/toolkit/vectors.ts";
import { context, type DestinationHarness } from "../../conformance/destination/steps.ts";

/** A DuckDB file in a folder of its own. */
export class DuckdbHarness implements DestinationHarness {
  readonly path: string;
  readonly folder: string;
  readonly #settings: object;

  private constructor(folder: string, settings: object) {
    this.folder = folder;
    this.path = join(folder, "copy.duckdb");
    this.#settings = settings;
  }

  static async make(settings: object = {}): Promise<DuckdbHarness> {
    return new DuckdbHarness(await mkdtemp(join(tmpdir(), "headwaters-duckdb-")), settings);
  }

  /** `more`: settings for this time. */
  open(given: Partial<DestinationContext> = {}, how = { create: true }, more: object = {}): Promise<Warehouse> {
    const configuration = definition.configuration.parse({ path: this.path, ...this.#settings, ...more });
    return definition.open(configuration, context(given), how);
  }

  async readBack(schema: string, table: string): Promise<Readonly<Record<string, Cell>>[] | null> {
    const tables = await this.query("SELECT * FROM duckdb_columns() WHERE schema_name = $1 AND table_name = $2", [
      schema,
      table,
    ]);
    if (tables.length === 0) return null;
    const quoted = [schema, table].map((name) => `"${name.replaceAll('"', '""')}"`).join(".");
    const rows = await this.query(`SELECT * FROM copy.${quoted}`);
    return rows.map((row) => Object.fromEntries(Object.entries(row).map(([name, value]) => [name, cellOf(value)])));
  }

  comments(schema: string, table: string): Promise<Readonly<Record<string, string>>> {
    return commentsIn((sql, values) => this.query(sql, values), schema, table);
  }

  async tamper(sql: string): Promise<void> {
    await this.query(sql);
  }

  /** By a client that is not ours. */
  async query(sql: string, values: DuckDBValue[] = []): Promise<Record<string, DuckDBValue>[]> {
    const instance = await DuckDBInstance.create(this.path);
    const connection = await instance.connect();
    try {
      return (await connection.runAndReadAll(sql, values)).getRowObjects();
    } finally {
      connection.closeSync();
      instance.closeSync();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** As the conformance suite has values. */
export function cellOf(value: DuckDBValue): Cell {
  if (value instanceof DuckDBDecimalValue) return value.value;
  if (value instanceof DuckDBDateValue) return value.days;
  if (value instanceof DuckDBBlobValue) return value.bytes;
  if (value instanceof DuckDBUUIDValue) return value.toString();
  if (value instanceof DuckDBTimeValue) return value.micros;
  if (value instanceof DuckDBTimestampValue || value instanceof DuckDBTimestampTZValue) return value.micros;
  return value as Cell;
}

/** The comments on a table, by the empty name, and on its columns. */
export async function commentsIn(
  query: (sql: string, values: DuckDBValue[]) => Promise<Record<string, DuckDBValue>[]>,
  schema: string,
  table: string,
): Promise<Readonly<Record<string, string>>> {
  const found = await query(
    `SELECT '' AS name, comment FROM duckdb_tables() WHERE database_name = 'copy' AND schema_name = $1 AND table_name = $2
      UNION ALL SELECT column_name, comment FROM duckdb_columns()
        WHERE database_name = 'copy' AND schema_name = $1 AND table_name = $2`,
    [schema, table],
  );
  return Object.fromEntries(
    found.filter(({ comment }) => comment !== null).map(({ name, comment }) => [name as string, comment as string]),
  );
}
