import { DuckDBConnection } from "@duckdb/node-api";
import duckdb from "@duckdb/node-bindings";
import type { Connection, DataChunk } from "@duckdb/node-bindings";
import { toHeadwatersError } from "./errors.ts";
import { Feed, type FeedColumn, type Slice } from "./feed.ts";

/** What a statement can be given. */
export type Parameter = string | number | bigint | boolean | null;

/** A value as a query gives it: text for VARCHAR, bigint for BIGINT and HUGEINT, number for the smaller ones. */
export type Value = string | number | bigint | boolean | null;

/**
 * One connection to the file. Statements run one after the other, on DuckDB's own threads. Nothing here streams: an
 * unfinished result keeps the file locked after it is closed (seen), and another statement ends it.
 */
export class Session {
  /** The catalog that the file is: DuckDB names it after the file. */
  readonly catalog: string;
  readonly #connection: DuckDBConnection;
  readonly #native: Connection;
  readonly #path: string;
  readonly #feed: Feed;
  #tail: Promise<unknown> = Promise.resolve();

  private constructor(native: Connection, connection: DuckDBConnection, path: string, catalog: string) {
    this.catalog = catalog;
    this.#native = native;
    this.#connection = connection;
    this.#path = path;
    this.#feed = new Feed(native);
  }

  static async open(native: Connection, path: string): Promise<Session> {
    const connection = new DuckDBConnection(native);
    // Times become text, and text times, as UTC.
    await connection.run("SET TimeZone = 'UTC'");
    const catalog = await connection.runAndReadAll("SELECT current_database()");
    return new Session(native, connection, path, catalog.getRows()[0]![0] as string);
  }

  /** Resolves to how many rows the statement changed. */
  run(sql: string, parameters: readonly Parameter[] = []): Promise<number> {
    return this.#alone(async () => {
      const result =
        parameters.length === 0 ? await this.#connection.run(sql) : await this.#connection.run(sql, [...parameters]);
      return result.rowsChanged;
    });
  }

  /** For results that are small. */
  rows<Row extends Readonly<Record<string, Value>>>(
    sql: string,
    parameters: readonly Parameter[] = [],
  ): Promise<Row[]> {
    return this.#alone(async () => {
      const reader = await this.#connection.runAndReadAll(sql, [...parameters]);
      return reader.getRowObjects() as unknown as Row[];
    });
  }

  /** The one number of the one row of a result. */
  async number(sql: string, parameters: readonly Parameter[] = []): Promise<number> {
    const [row] = await this.rows(sql, parameters);
    return Number(Object.values(row ?? {})[0] ?? 0);
  }

  /** Hands the chunks of a result to `take`, which must be done with each when it returns. */
  chunks(sql: string, take: (chunk: DataChunk) => void): Promise<void> {
    return this.#alone(async () => {
      const result = await duckdb.query(this.#native, sql);
      for (;;) {
        const chunk = await duckdb.fetch_chunk(result);
        if (chunk === null || duckdb.data_chunk_get_size(chunk) === 0) return;
        take(chunk);
      }
    });
  }

  /** Runs a statement that reads rows from memory: `sql` is given the table function that yields `slices`, in order. */
  feed(columns: readonly FeedColumn[], slices: readonly Slice[], sql: (source: string) => string): Promise<void> {
    return this.#alone(() =>
      this.#feed.serve(columns, slices, async (source) => void (await this.#connection.run(sql(source)))),
    );
  }

  /** Undoes the transaction, unless a failure already did. */
  rollback(): Promise<void> {
    return this.#alone(async () => {
      try {
        await this.#connection.run("ROLLBACK");
      } catch (thrown) {
        if (!(thrown instanceof Error) || !thrown.message.includes("no transaction is active")) throw thrown;
      }
    });
  }

  /** Ends the statement under way, if there is one: it fails. */
  interrupt(): void {
    this.#connection.interrupt();
  }

  close(): void {
    this.#connection.closeSync();
  }

  #alone<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#tail.then(async () => {
      try {
        return await work();
      } catch (thrown) {
        throw toHeadwatersError(thrown, this.#path);
      }
    });
    this.#tail = result.catch(() => {});
    return result;
  }
}
