import type { SourceDefinition } from "../../src/protocol/source.ts";
import { definition as cassandra } from "../../src/sources/cassandra/index.ts";
import { definition as dragonflydb } from "../../src/sources/dragonflydb/index.ts";
import { definition as rethinkdb } from "../../src/sources/rethinkdb/index.ts";
import { definition as scylladb } from "../../src/sources/scylladb/index.ts";
import { definition as yugabytedb } from "../../src/sources/yugabytedb/index.ts";
import type { SourceHarness } from "../../src/testing/source-checks.ts";
import { type CassandraServer, startCassandra } from "../servers/cassandra.ts";
import { startPostgresql } from "../servers/postgresql.ts";
import { startValkey } from "../servers/redis.ts";
import { startRethinkdb } from "../servers/rethinkdb.ts";
import { cqlHarness } from "../sources/cassandra/harness.ts";
import { settingsOf as redisSettings } from "../sources/redis/reading.ts";
import { tables, things as hashes } from "../sources/redis/things.ts";
import { settingsOf as rethinkSettings, things as documents } from "../sources/rethinkdb/things.ts";
import { things as rows } from "../sources/postgresql/things.ts";

/** A source on a real server, with the table of the source suite to change. */
export interface ServedThings extends AsyncDisposable {
  readonly definition: SourceDefinition;
  /** As Fivetran's form gives it: text alone. */
  readonly configuration: Readonly<Record<string, string>>;
  /** The schema that its tables are sent under. */
  readonly schema: string;
  readonly things: SourceHarness;
}

/** Every source. What is served is the same in all of them, so that one test goes over this table. */
export const servedThings: readonly (readonly [title: string, start: () => Promise<ServedThings>])[] = [
  [
    "YugabyteDB",
    async () => {
      const server = await startPostgresql();
      const { host, port, database, user, password } = server;
      return {
        definition: yugabytedb,
        configuration: { host, port: String(port), database, user, password, lag: "5", schema: "" },
        schema: "public",
        things: rows(server),
        [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
      };
    },
  ],
  ["Cassandra", () => cql(cassandra, (host) => ({ hostname: host, cursor_column: "updated_at" }), undefined)],
  ["ScyllaDB", () => cql(scylladb, (host) => ({ host_1: host, allow_filtering: "true" }), false)],
  [
    "RethinkDB",
    async () => {
      const server = await startRethinkdb();
      return {
        definition: rethinkdb,
        configuration: rethinkSettings(server),
        schema: server.database,
        things: documents(server, true),
        [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
      };
    },
  ],
  [
    "DragonflyDB",
    async () => {
      const server = await startValkey(7);
      const settings = redisSettings(server) as Record<string, string>;
      return {
        definition: dragonflydb,
        configuration: { ...settings, tables: JSON.stringify(tables) },
        schema: `db${server.database}`,
        things: hashes(server),
        [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
      };
    },
  ],
];

async function cql(
  definition: SourceDefinition,
  settings: (host: string) => Record<string, string>,
  hasIndex: boolean | undefined,
): Promise<ServedThings> {
  const server: CassandraServer = await startCassandra();
  const { host, port, username, password, keyspace } = server;
  const login = { username: username ?? "", password: password ?? "" };
  const configuration = { ...settings(host), port: String(port), keyspace, ...login };
  return {
    definition,
    configuration,
    schema: keyspace,
    things: cqlHarness(server, definition, configuration, hasIndex),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}
