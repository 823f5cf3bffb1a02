import { createHash } from "node:crypto";
import { connectPostgres, type PostgresConnection, type PostgresSettings } from "../../wire/postgres/connection.ts";

const never = new AbortController().signal;

/**
 * Keeps other processes from writing a connection: a session of the catalog's PostgreSQL that holds an advisory lock.
 * It ends with the process, whatever happens to that.
 */
export class CatalogLock implements AsyncDisposable {
  readonly #settings: PostgresSettings;
  /** Of the connection, and of the lake. */
  readonly #ids: readonly [string, string];
  #session: PostgresConnection;

  private constructor(settings: PostgresSettings, ids: readonly [string, string], session: PostgresConnection) {
    this.#settings = settings;
    this.#ids = ids;
    this.#session = session;
  }

  /** Connects: an error of connecting is told better than by DuckDB. `lake` is what tells lakes of a database apart. */
  static async connect(settings: PostgresSettings, lake: string, connection: string): Promise<CatalogLock> {
    return new CatalogLock(settings, [lockId(lake, connection), lockId(lake)], await connectPostgres(settings, never));
  }

  /** How far the connection is encrypted: TLS of the catalog is made by the same settings. */
  get tls(): PostgresConnection["tls"] {
    return this.#session.tls;
  }

  /** `false`: another session has it. To be taken once until it is let go. */
  async take(): Promise<boolean> {
    if (!this.#session.alive) this.#session = await connectPostgres(this.#settings, never);
    const [row] = await this.#session.query("SELECT pg_try_advisory_lock($1::bigint) AS taken", [this.#ids[0]], never);
    return row!["taken"] === "t";
  }

  /** Does something that no other process may do to this lake meanwhile; waits for those that do. */
  async alone<Result>(work: () => Promise<Result>): Promise<Result> {
    const [, lake] = this.#ids;
    await this.#session.query("SELECT pg_advisory_lock($1::bigint)", [lake], never);
    try {
      return await work();
    } finally {
      if (this.#session.alive) await this.#session.query("SELECT pg_advisory_unlock($1::bigint)", [lake], never);
    }
  }

  /** A session that broke has let go of it already. */
  async letGo(): Promise<void> {
    if (this.#session.alive) await this.#session.query("SELECT pg_advisory_unlock($1::bigint)", [this.#ids[0]], never);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session[Symbol.asyncDispose]();
  }
}

function lockId(...names: readonly string[]): string {
  return String(
    createHash("md5")
      .update(["headwaters", ...names].join("\n"))
      .digest()
      .readBigInt64BE(),
  );
}
