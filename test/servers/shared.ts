import { LocalCassandra } from "../../src/servers/cassandra.ts";
import { LocalPostgresql } from "../../src/servers/postgresql.ts";
import { LocalValkey } from "../../src/servers/valkey.ts";
import { type ServerBinary, valkeyOfPackage } from "../../src/servers/valkey-binary.ts";
import { StandIn } from "./rethinkdb/server.ts";
import { findRedisStack } from "./redis-stack-binary.ts";

/** A server that runs until it is disposed. */
export interface SharedServer extends AsyncDisposable {
  /** Where it is, as the value of its variable would say. */
  readonly address: string;
}

/** How the server for one source is had: from an address in the environment, else by starting one here. */
export type ServerKind = {
  /** The variable with an address, which always wins. */
  readonly variable: string;
} & (
  | {
      /** What is started otherwise. */
      readonly standIn: string;
      start(): Promise<SharedServer>;
    }
  /** The closest kin: its server serves here too. */
  | { readonly kin: string }
);

/** Every server that suites share, by the name of the source that it serves. A run starts each one at most once. */
export const serverKinds = {
  yugabytedb: { variable: "HEADWATERS_TEST_YUGABYTEDB", standIn: "PostgreSQL 15", start: startSharedPostgresql },
  cassandra: { variable: "HEADWATERS_TEST_CASSANDRA", standIn: "Cassandra 5.0", start: startSharedCassandra },
  scylladb: { variable: "HEADWATERS_TEST_SCYLLADB", kin: "cassandra" },
  dragonflydb: {
    variable: "HEADWATERS_TEST_DRAGONFLYDB",
    standIn: "Valkey 9",
    start: async () => startSharedRedis(await valkeyOfPackage()),
  },
  redisstack: {
    variable: "HEADWATERS_TEST_REDIS_STACK",
    standIn: "Redis Stack 7.4",
    start: async () => startSharedRedis(await findRedisStack()),
  },
  rethinkdb: { variable: "HEADWATERS_TEST_RETHINKDB", standIn: "a stand-in over the wire", start: startSharedStandIn },
} as const satisfies Record<string, ServerKind>;

export type ServerName = keyof typeof serverKinds;

async function startSharedPostgresql(): Promise<SharedServer> {
  const server = await LocalPostgresql.start();
  return { address: server.connectionString(), [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

async function startSharedCassandra(): Promise<SharedServer> {
  const node = await LocalCassandra.start();
  return { address: `cql://${node.host}:${node.port}`, [Symbol.asyncDispose]: () => node[Symbol.asyncDispose]() };
}

async function startSharedRedis(binary: ServerBinary): Promise<SharedServer> {
  const server = await LocalValkey.start({ binary });
  const address = `redis://${server.host}:${server.port}`;
  return { address, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

async function startSharedStandIn(): Promise<SharedServer> {
  const server = await StandIn.start();
  const address = `rethinkdb://admin:@127.0.0.1:${server.port}`;
  return { address, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}
