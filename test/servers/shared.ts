import { launchCassandra } from "../../src/servers/cassandra.ts";
import { launchPostgresql } from "../../src/servers/postgresql.ts";
import { launchRedisStack } from "../../src/servers/redis-stack.ts";
import { launchValkey } from "../../src/servers/valkey.ts";
import { StandIn } from "./rethinkdb/server.ts";

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
  yugabytedb: {
    variable: "HEADWATERS_TEST_YUGABYTEDB",
    standIn: "PostgreSQL 15",
    start: async () => sharedAt(await launchPostgresql(), (server) => server.connectionString()),
  },
  cassandra: {
    variable: "HEADWATERS_TEST_CASSANDRA",
    standIn: "Cassandra 5.0",
    start: async () => sharedAt(await launchCassandra(), ({ host, port }) => `cql://${host}:${port}`),
  },
  scylladb: { variable: "HEADWATERS_TEST_SCYLLADB", kin: "cassandra" },
  dragonflydb: {
    variable: "HEADWATERS_TEST_DRAGONFLYDB",
    standIn: "Valkey 9",
    start: async () => sharedAt(await launchValkey(), ({ host, port }) => `redis://${host}:${port}`),
  },
  redisstack: {
    variable: "HEADWATERS_TEST_REDIS_STACK",
    standIn: "Redis Stack 7.4",
    start: async () => sharedAt(await launchRedisStack(), ({ host, port }) => `redis://${host}:${port}`),
  },
  rethinkdb: {
    variable: "HEADWATERS_TEST_RETHINKDB",
    standIn: "a stand-in over the wire",
    start: async () => sharedAt(await StandIn.start(), ({ port }) => `rethinkdb://admin:@127.0.0.1:${port}`),
  },
} as const satisfies Record<string, ServerKind>;

export type ServerName = keyof typeof serverKinds;

function sharedAt<Server extends AsyncDisposable>(server: Server, address: (server: Server) => string): SharedServer {
  return { address: address(server), [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}
