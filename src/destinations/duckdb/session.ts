import { DuckDBConnection } from "@duckdb/node-api";
import duckdb from "@duckdb/node-bindings";
import type { Connection, DataChunk } from "@duckdb/node-bindings";
import type { QueryResult } from "../../protocol/query.ts";
import type { Rows } from "../../protocol/rows.ts";
import type { Table } from "../../protocol/table.ts";
import type { Type } from "../../protocol/types.ts";
import type { Dialect, Fetched, Into, Loader, Parameter, Row } from "../sql/dialect.ts";
import { duckdbDialect, quote } from "./dialect.ts";
import { Feed, type FeedColumn, type Slice } from "./feed.ts";
import type { Feeding } from "./feeding.ts";
import { fetchPages } from "./fetch.ts";
import { overMemory, tableLoader, throughLoader } from "./loader.ts";
import { firstRows } from "./first-rows.ts";
import type { Sizes } from "./sizes.ts";
import type { Storage } from "./storage.ts";

interface Settings {
  readonly catalog: string;
  readonly threads: number;
}

/**
 * From this number of rows on, a feed runs with one thread, which takes two more statements. A feed has work for one
 * thread only, and the others would spin. (Measured, 1 M rows of 9 columns on 2 processors: 1.2 s of processor time,
 * with a second thread 2.2 s.)
 */
const aloneRows = 16_384;

/**
 * One connection to DuckDB. Statements run one after the other, on DuckDB's own threads. Results are not streamed: an
 * unfinished result keeps a file locked after the file is closed (seen), and another statement ends the result.
 */
export class Session implements Feeding {
  /** The catalog that holds the copies. DuckDB names the catalog of a file after the file. */
  readonly catalog: string;
  readonly dialect: Dialect;
  readonly sizes: Sizes;
  readonly #storage: Storage;
  readonly #connection: DuckDBConnection;
  readonly #native: Connection;
  readonly #feed: Feed;
  readonly #threads: number;
  #threadsLowered = false;
  #tail: Promise<unknown> = Promise.resolve();

  private constructor(native: Connection, connection: DuckDBConnection, storage: Storage, settings: Settings) {
    this.catalog = settings.catalog;
    this.dialect = duckdbDialect(settings.catalog, storage);
    this.sizes = storage.sizes;
    this.#storage = storage;
    this.#threads = settings.threads;
    this.#native = native;
    this.#connection = connection;
    this.#feed = new Feed(native);
  }

  static async open(native: Connection, storage: Storage): Promise<Session> {
    const connection = new DuckDBConnection(native);
    // Conversions between times and text use UTC.
    await connection.run("SET TimeZone = 'UTC'");
    if (storage.catalog !== null) await connection.run(`USE ${quote(storage.catalog)}`);
    const reader = await connection.runAndReadAll(
      "SELECT current_database() AS catalog, current_setting('threads')::INTEGER AS threads",
    );
    return new Session(native, connection, storage, reader.getRowObjects()[0] as unknown as Settings);
  }

  run(sql: string, parameters: readonly Parameter[] = []): Promise<number> {
    return this.#alone(async () => {
      const result = await this.#connection.run(sql, given(parameters));
      return result.rowsChanged;
    });
  }

  /** Values are text for VARCHAR, bigints for BIGINT and HUGEINT, and numbers for smaller integers. */
  rows(sql: string, parameters: readonly Parameter[] = []): Promise<Row[]> {
    return this.#alone(async () => {
      const reader = await this.#connection.runAndReadAll(sql, given(parameters));
      return reader.getRowObjects() as unknown as Row[];
    });
  }

  /** The first rows of a query that somebody wrote. */
  select(sql: string, limit: number): Promise<QueryResult> {
    return this.#alone(() => firstRows(this.#connection, sql, limit));
  }

  async number(sql: string, parameters: readonly Parameter[] = []): Promise<number> {
    const [row] = await this.rows(sql, parameters);
    return Number(Object.values(row ?? {})[0] ?? 0);
  }

  async loader(table: Table, into: Into, shape: Rows): Promise<Loader> {
    return tableLoader(this, table, into, shape);
  }

  through(table: Table, columns: ReadonlyMap<string, Type>, statement: (source: string) => string): Loader {
    return throughLoader(this, table, columns, statement);
  }

  pages(_table: Table, query: string, columns: readonly Fetched[]): AsyncGenerator<Rows> {
    return fetchPages(this, query, columns);
  }

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

  over(
    table: Table,
    columns: ReadonlyMap<string, Type>,
    batches: readonly Rows[],
    query: (source: string) => string,
  ): Promise<readonly Row[]> {
    return overMemory(this, table, columns, batches, query);
  }

  feed(
    columns: readonly FeedColumn[],
    slices: readonly Slice[],
    sql: (source: string) => string,
  ): Promise<readonly Row[]> {
    let rows = 0;
    for (const { from, to } of slices) rows += to - from;
    return this.#alone(async () => {
      if (rows >= aloneRows && this.#threads > 1) {
        await this.#connection.run("SET threads = 1");
        this.#threadsLowered = true;
      }
      const result = await this.#feed.serve(columns, slices, async (source) => {
        const reader = await this.#connection.runAndReadAll(sql(source));
        return reader.getRowObjects() as unknown as Row[];
      });
      await this.#restoreThreads();
      return result;
    });
  }

  /** Rolls back the transaction, unless a failure already did. The running statement is interrupted. */
  rollback(): Promise<void> {
    this.interrupt();
    return this.#alone(async () => {
      try {
        await this.#connection.run("ROLLBACK");
      } catch (thrown) {
        if (!(thrown instanceof Error) || !thrown.message.includes("no transaction is active")) throw thrown;
      }
      // A failed feed can't restore the threads: a failed transaction accepts only ROLLBACK.
      await this.#restoreThreads();
    });
  }

  /** Interrupts the running statement, if any. The statement fails. */
  interrupt(): void {
    this.#connection.interrupt();
  }

  /** Waits for the running statement first: closing would wait for it in this thread, which a feed needs. */
  async close(): Promise<void> {
    await this.#tail;
    this.#connection.closeSync();
  }

  async #restoreThreads(): Promise<void> {
    if (!this.#threadsLowered) return;
    await this.#connection.run(`SET threads = ${this.#threads}`);
    this.#threadsLowered = false;
  }

  #alone<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#tail.then(async () => {
      try {
        return await work();
      } catch (thrown) {
        throw this.#storage.explain(thrown);
      }
    });
    this.#tail = result.catch(() => {});
    return result;
  }
}

/** A statement without parameters is not prepared: that takes two more turns, and plans in this thread. */
function given(parameters: readonly Parameter[]): Parameter[] | undefined {
  return parameters.length === 0 ? undefined : [...parameters];
}
