import { randomBytes } from "node:crypto";
import { Client, escapeIdentifier, type QueryResult, type QueryResultRow } from "pg";
import { findBinaries } from "../../src/servers/postgresql-binaries.ts";
import { launchPostgresql, type PostgresqlOptions } from "../../src/servers/postgresql.ts";
import { orMissing, sharedServer } from "./require.ts";

/** A fresh database on a real server, for one test file. Disposing drops it, with all databases made through it. */
export interface PostgresqlServer extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** May do everything. */
  readonly user: string;
  readonly password: string;
  readonly database: string;
  /** All of the above as a URL. */
  readonly connectionString: string;
  /** As the server says it: `15.18`, or with `-YB-` in it. */
  readonly version: string;
  /** One more empty database beside it. */
  createDatabase(name?: string): Promise<PostgresqlServer>;
}

/** A server that only this test file uses, so that it may be stopped. */
export interface OwnPostgresql extends PostgresqlServer {
  /** Process id of the server. */
  pid(): Promise<number>;
  /** `fast` ends all sessions and shuts down in good order; `immediate` is a crash. */
  stop(how?: "fast" | "immediate"): Promise<void>;
  /** Starts it again on the same port and data. */
  start(): Promise<void>;
}

/**
 * A fresh database on the server that all test files share: the one of HEADWATERS_TEST_YUGABYTEDB
 * (`postgresql://user:password@host:port/database`, of a user who may create databases), else a PostgreSQL 15 that is
 * started once a run. Throws `MissingServer`: see `describeWith`.
 */
export async function startPostgresql(): Promise<PostgresqlServer> {
  return createDatabase(await sharedServer("yugabytedb"), `test_${randomBytes(6).toString("hex")}`);
}

/** A PostgreSQL 15 of its own (about 2 s), with other settings or files, or to be stopped by the test. Throws `MissingServer`. */
export async function startOwnPostgresql(options: PostgresqlOptions = {}): Promise<OwnPostgresql> {
  const server = await orMissing(launchPostgresql(options));
  try {
    const database = await createDatabase(server.connectionString(), "test");
    return {
      ...database,
      pid: () => server.pid(),
      stop: (how) => server.stop(how === "immediate" ? "SIGQUIT" : "SIGINT"),
      start: () => server.start(),
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  } catch (error) {
    await server[Symbol.asyncDispose]();
    throw error;
  }
}

/** For what starts a PostgreSQL itself: whether its programs are here. Throws `MissingServer`. */
export async function ownPostgresqlIsHere(): Promise<AsyncDisposable> {
  await orMissing((async () => findBinaries())());
  return { [Symbol.asyncDispose]: async () => {} };
}

/** Runs statements on a connection of its own and gives the rows of the last one. */
export async function runSql<Row extends QueryResultRow>(connectionString: string, sql: string): Promise<Row[]> {
  const client = new Client({ connectionString });
  await client.connect();
  try {
    const result: QueryResult<Row> | QueryResult<Row>[] = await client.query<Row>(sql);
    return (Array.isArray(result) ? result.at(-1)! : result).rows;
  } finally {
    await client.end();
  }
}

async function createDatabase(server: string, database: string): Promise<PostgresqlServer> {
  const name = escapeIdentifier(database);
  const url = new URL(server);
  if (url.port === "") throw new Error("HEADWATERS_TEST_YUGABYTEDB names no port");
  const { hostname, port, username, password } = url;
  url.pathname = `/${encodeURIComponent(database)}`;
  await runSql(server, `CREATE DATABASE ${name}`);
  const [version] = await runSql<{ server_version: string }>(server, "SHOW server_version");
  const others: PostgresqlServer[] = [];
  return {
    host: hostname,
    port: Number(port),
    user: decodeURIComponent(username),
    password: decodeURIComponent(password),
    database,
    connectionString: url.href,
    version: version!.server_version,
    async createDatabase(name = `test_${randomBytes(6).toString("hex")}`) {
      const other = await createDatabase(server, name);
      others.push(other);
      return other;
    },
    async [Symbol.asyncDispose]() {
      for (const other of others.splice(0)) await other[Symbol.asyncDispose]();
      await runSql(server, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    },
  };
}
