import { startCassandra } from "../servers/cassandra.ts";
import { runSql, startPostgresql } from "../servers/postgresql.ts";
import { startValkey } from "../servers/redis.ts";
import { startRethinkdb } from "../servers/rethinkdb.ts";

/** A server with some megabytes to read, or to write into. */
export interface Filled extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** The source of a connection to it, through a front's port; waits are a second or two. */
  source(port: number): Record<string, unknown>;
}

const rows = 12_000;
const text = (id: number): string => `${id} ${"x".repeat(300)}`;
const ids = (): number[] => Array.from({ length: rows }, (_, index) => index);

export async function filledPostgresql(): Promise<Filled & { readonly destination: (port: number) => object }> {
  const server = await startPostgresql();
  await runSql(
    server.connectionString,
    `CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT n, n || repeat('x', 300) FROM generate_series(1, ${rows}) n`,
  );
  const { host, user, password, database } = server;
  const where = (port: number) => ({ host, port, user, password, database, connect_timeout: 2, read_timeout: 1 });
  return {
    ...server,
    source: (port) => ({ type: "postgresql", ...where(port) }),
    destination: (port) => ({ type: "postgresql", ...where(port) }),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** A source of every kind. Each is read through a front, with the waits that its settings allow at least. */
export const kinds: Readonly<Record<string, () => Promise<Filled>>> = {
  postgresql: filledPostgresql,
  async redis() {
    const server = await startValkey(14);
    await server.runAll(ids().map((id) => ["SET", `key:${id}`, text(id)]));
    const { host, port, database } = server;
    return {
      ...{ host, port },
      source: (port) => ({ type: "redis", host, port, database, read_timeout: 1 }),
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  },
  async rethinkdb() {
    const server = await startRethinkdb();
    await server.createTable("t");
    await server.insert(
      "t",
      ids().map((id) => ({ id, v: text(id) })),
    );
    const { host, port, database } = server;
    return {
      ...{ host, port },
      source: (port) => ({ type: "rethinkdb", host, port, database, connect_timeout: 2, read_timeout: 2 }),
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  },
  async cassandra() {
    const server = await startCassandra();
    await server.run("CREATE TABLE t (id int PRIMARY KEY, v text)");
    await server.load(
      "INSERT INTO t (id, v) VALUES (?, ?)",
      ids().map((id) => [id, text(id)]),
    );
    const { host, port, keyspace } = server;
    return {
      ...{ host, port },
      source: (port) => ({
        ...{ type: "cassandra", hostname: host, port, keyspace },
        ...{ connect_timeout: 2, request_timeout: 2 },
      }),
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  },
};
