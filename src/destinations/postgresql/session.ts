import { reach } from "../../net/reach.ts";
import { copyHeader, copyTrailer, type NulPolicy, recycle } from "../../wire/postgres/copy-encode.ts";
import type { CopyIn } from "../../wire/postgres/copy-in.ts";
import { connectPostgres, type PostgresConnection, type PostgresSettings } from "../../wire/postgres/connection.ts";
import type { Rows } from "../../protocol/rows.ts";
import type { Table } from "../../protocol/table.ts";
import type { Type } from "../../protocol/types.ts";
import type { Fetched, Into, Loader, Parameter, Row } from "../sql/dialect.ts";
import { type Configuration, settingsOf } from "./config.ts";
import { postgresqlDialect } from "./dialect.ts";
import { destinationError } from "./errors.ts";
import type { Copying } from "./copying.ts";
import { fetchPages } from "./fetch.ts";
import { tableLoader, throughLoader } from "./loader.ts";
import { overMemory } from "./over.ts";

/** A row in the server's text format. */
export type TextRow = Readonly<Record<string, string | null>>;

/**
 * Settings of a session, besides those of every connection; those that the server lacks are skipped. `jit` is off because merges take seconds, and compiling does not make them faster. Keepalives end
 * the session of a dead process, and its locks, soon.
 */
const settings: Readonly<Record<string, string>> = {
  jit: "off",
  lock_timeout: "0",
  standard_conforming_strings: "on",
  default_transaction_isolation: "read committed",
  default_transaction_deferrable: "off",
  tcp_keepalives_idle: "30",
  tcp_keepalives_interval: "10",
  tcp_keepalives_count: "3",
};

/**
 * A session of the server. Statements run one after the other. A COPY into a table stays open until the next statement,
 * so that rows are sent while the server processes earlier ones.
 */
export class Session implements Copying, AsyncDisposable {
  readonly dialect = postgresqlDialect;
  readonly nul: NulPolicy;
  readonly #connection: PostgresConnection;
  readonly #settings: PostgresSettings;
  readonly #signal: AbortSignal;
  #copying: { readonly statement: string; readonly copy: CopyIn } | null = null;
  #tail: Promise<unknown> = Promise.resolve();

  private constructor(connection: PostgresConnection, configuration: Configuration, signal: AbortSignal) {
    this.#connection = connection;
    this.#settings = settingsOf(configuration);
    this.#signal = signal;
    this.nul = configuration.nul;
  }

  /** `signal` ends the session and the running statement. */
  static async open(configuration: Configuration, signal: AbortSignal): Promise<Session> {
    let session: Session | null = null;
    try {
      const connection = await reach(configuration, () => connectPostgres(settingsOf(configuration), signal));
      session = new Session(connection, configuration, signal);
      await session.run(
        `SELECT set_config(s.name, w.value, false) FROM unnest($1::text[], $2::text[]) AS w(name, value)
          JOIN pg_catalog.pg_settings AS s ON s.name = w.name`,
        [Object.keys(settings), Object.values(settings)],
      );
      // The default of 4 MB for a sort or a join is too small for a merge. A larger setting of the server is kept.
      await session.run(
        "SELECT set_config('work_mem', '64MB', false) WHERE pg_size_bytes(current_setting('work_mem')) < 64 << 20",
      );
      // Not every system supports this. Without it, a server notices a dead process only after the running statement.
      await session.run("SELECT set_config('client_connection_check_interval', '2s', false)").catch(() => 0);
      return session;
    } catch (thrown) {
      await session?.[Symbol.asyncDispose]();
      signal.throwIfAborted();
      throw destinationError(thrown, settingsOf(configuration));
    }
  }

  get alive(): boolean {
    return this.#connection.alive;
  }

  /** The session's `pid` in `pg_stat_activity`. */
  get processId(): number {
    return this.#connection.processId;
  }

  get tls(): PostgresConnection["tls"] {
    return this.#connection.tls;
  }

  run(sql: string, parameters: readonly (Parameter | readonly (string | null)[])[] = []): Promise<number> {
    return this.#alone(() => this.#connection.execute(sql, parameters, this.#signal));
  }

  /** Values are text in the server's format. */
  rows(sql: string, parameters: readonly (Parameter | readonly (string | null)[])[] = []): Promise<TextRow[]> {
    return this.#alone(() => this.#connection.query(sql, parameters, this.#signal));
  }

  async number(sql: string, parameters: readonly Parameter[] = []): Promise<number> {
    const [row] = await this.rows(sql, parameters);
    return Number(Object.values(row ?? {})[0] ?? 0);
  }

  loader(table: Table, into: Into, shape: Rows): Promise<Loader> {
    return tableLoader(this, table, into, shape);
  }

  through(table: Table, columns: ReadonlyMap<string, Type>, statement: (source: string) => string): Loader {
    return throughLoader(this, table, columns, statement);
  }

  over(
    table: Table,
    columns: ReadonlyMap<string, Type>,
    batches: readonly Rows[],
    query: (source: string) => string,
  ): Promise<readonly Row[]> {
    return overMemory(this, table, columns, batches, query);
  }

  pages(table: Table, query: string, columns: readonly Fetched[]): AsyncGenerator<Rows> {
    return fetchPages(this, table, query, columns);
  }

  send(statement: string, messages: Iterable<Uint8Array>): Promise<void> {
    return this.#next(async () => {
      if (this.#copying?.statement !== statement) {
        await this.#endCopy();
        this.#copying = { statement, copy: this.#connection.copyIn(statement) };
        await this.#copying.copy.write(copyHeader);
      }
      for (const message of messages) await this.#copying.copy.write(message, () => recycle(message));
    });
  }

  receive(statement: string, take: (messages: Buffer) => void): Promise<void> {
    return this.#alone(async () => {
      for await (const messages of this.#connection.copy(statement, this.#signal)) take(messages);
    });
  }

  /** Cancels the running statement and a COPY, and rolls back. */
  async rollback(): Promise<void> {
    if (!this.alive) return;
    await this.#connection.cancel();
    await this.#tail;
    const copying = this.#copying;
    this.#copying = null;
    await copying?.copy.fail();
    if (this.alive) await this.#connection.rollback();
  }

  /** Closes the session after the running statement has ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tail;
    await this.#connection[Symbol.asyncDispose]();
  }

  async #endCopy(): Promise<void> {
    const copying = this.#copying;
    if (copying === null) return;
    this.#copying = null;
    // Ignored here: `end()` reports this error.
    await copying.copy.write(copyTrailer).catch(() => {});
    await copying.copy.end();
  }

  #alone<Result>(work: () => Promise<Result>): Promise<Result> {
    return this.#next(async () => {
      await this.#endCopy();
      return work();
    });
  }

  #next<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#tail.then(async () => {
      try {
        return await work();
      } catch (thrown) {
        this.#signal.throwIfAborted();
        throw destinationError(this.#connection.lost ?? thrown, this.#settings);
      }
    });
    this.#tail = result.catch(() => {});
    return result;
  }
}
