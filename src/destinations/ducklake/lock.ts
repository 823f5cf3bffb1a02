import { createHash } from "node:crypto";
import { lockTaken } from "../../wire/postgres/literals.ts";
import { connectPostgres, type PostgresConnection, type PostgresSettings } from "../../wire/postgres/connection.ts";

const never = new AbortController().signal;

/**
 * Keeps other processes from writing a connection: an advisory lock in a session of the catalog's PostgreSQL. The
 * session ends when the process ends for any reason.
 */
export class CatalogLock implements AsyncDisposable {
  readonly #settings: PostgresSettings;
  /** The numbers of two locks: for the connection, and for the lake. */
  readonly #ids: readonly [string, string];
  #session: PostgresConnection;

  private constructor(settings: PostgresSettings, ids: readonly [string, string], session: PostgresConnection) {
    this.#settings = settings;
    this.#ids = ids;
    this.#session = session;
  }

  /** Connects. Errors of connecting are clearer here than DuckDB's. `lake` distinguishes the lakes of a database. */
  static async connect(settings: PostgresSettings, lake: string, connection: string): Promise<CatalogLock> {
    return new CatalogLock(settings, [lockId(lake, connection), lockId(lake)], await connectPostgres(settings, never));
  }

  /** How this connection is encrypted. DuckDB's connection to the catalog has the same TLS settings. */
  get tls(): PostgresConnection["tls"] {
    return this.#session.tls;
  }

  /** Takes the connection's lock; `false`: another session has it. Call it only once until `letGo`. */
  async take(): Promise<boolean> {
    if (!this.#session.alive) this.#session = await connectPostgres(this.#settings, never);
    const [row] = await this.#session.query("SELECT pg_try_advisory_lock($1::bigint) AS taken", [this.#ids[0]], never);
    return row!["taken"] === "t";
  }

  /** Whether any session has the connection's lock. */
  async isTaken(): Promise<boolean> {
    const [row] = await this.#session.query(lockTaken, [this.#ids[0]], never);
    return row!["taken"] === "t";
  }

  /** Runs `work` under the lake's lock. Waits for other processes that hold it. */
  async alone<Result>(work: () => Promise<Result>): Promise<Result> {
    const [, lake] = this.#ids;
    await this.#session.query("SELECT pg_advisory_lock($1::bigint)", [lake], never);
    try {
      return await work();
    } finally {
      if (this.#session.alive) await this.#session.query("SELECT pg_advisory_unlock($1::bigint)", [lake], never);
    }
  }

  /** Releases the connection's lock. That of a lost session ends with it at the server. */
  async letGo(): Promise<void> {
    if (!this.#session.alive) return;
    try {
      await this.#session.query("SELECT pg_advisory_unlock($1::bigint)", [this.#ids[0]], never);
    } catch (thrown) {
      if (this.#session.alive) throw thrown;
    }
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
