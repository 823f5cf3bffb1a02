import { randomBytes } from "node:crypto";
import cassandra from "cassandra-driver";
import { type CassandraOptions, launchCassandra, type LocalCassandra } from "../../src/servers/cassandra.ts";
import { type CqlAddress, cqlClient, parseCqlAddress } from "../../src/servers/cql-client.ts";
import { sharedServer } from "./require.ts";

/** A fresh keyspace on a real server, for one test file. Disposing drops it. */
export interface CassandraServer extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  readonly username: string | null;
  readonly password: string | null;
  readonly keyspace: string;
  /** As the server says it: `5.0.9`. */
  readonly version: string;
  /** Runs a statement by a client that is not ours, in the keyspace. */
  run(statement: string, values?: readonly unknown[]): Promise<cassandra.types.Row[]>;
  /** Runs one statement many times, many at once. */
  runAll(statement: string, rows: readonly (readonly unknown[])[]): Promise<void>;
  /** Like `runAll`, in batches: several times as fast for many small rows. */
  load(statement: string, rows: readonly (readonly unknown[])[]): Promise<void>;
}

/**
 * A fresh keyspace on the server that all test files share: the one of HEADWATERS_TEST_CASSANDRA
 * (`cql://user:password@host:port`), else a Cassandra 5.0 that is started once a run. Throws `MissingServer`.
 */
export function startCassandra(): Promise<CassandraServer> {
  return onShared("cassandra");
}

/** Likewise, on the server of HEADWATERS_TEST_SCYLLADB; else that Cassandra stands in. */
export function startScylladb(): Promise<CassandraServer> {
  return onShared("scylladb");
}

async function onShared(name: "cassandra" | "scylladb"): Promise<CassandraServer> {
  const address = parseCqlAddress(await sharedServer(name));
  if (address === null) throw new Error(`the address of ${name} must be as cql://user:password@host:9042`);
  return openKeyspace(address);
}

/** A node that only this test file uses (9 to 18 s to start), with a keyspace on it. */
export async function startOwnCassandra(
  options: CassandraOptions = {},
  replication?: string,
): Promise<CassandraServer & { readonly node: LocalCassandra }> {
  const node = await launchCassandra(options);
  try {
    const login = options.passwords === true ? { username: "cassandra", password: "cassandra" } : noLogin;
    const tls = options.tls === undefined ? undefined : { ca: options.tls.certificate, rejectUnauthorized: false };
    const keyspace = await openKeyspace({ host: node.host, port: node.port, ...login, tls, replication });
    return {
      ...keyspace,
      node,
      async [Symbol.asyncDispose]() {
        try {
          await keyspace[Symbol.asyncDispose]();
        } finally {
          await node[Symbol.asyncDispose]();
        }
      },
    };
  } catch (error) {
    await node[Symbol.asyncDispose]();
    throw error;
  }
}

/** More than 5 KB in one batch makes the server warn, 50 KB makes it refuse. */
const batchRows = 60;

const noLogin = { username: null, password: null };

interface Where extends CqlAddress {
  readonly tls?: object | undefined;
  readonly replication?: string | undefined;
}

async function openKeyspace(where: Where): Promise<CassandraServer> {
  const keyspace = `test_${randomBytes(6).toString("hex")}`;
  const client = await cqlClient(where, where.tls === undefined ? {} : { sslOptions: where.tls });
  await client.connect();
  const replication = where.replication ?? "{'class': 'SimpleStrategy', 'replication_factor': 1}";
  await client.execute(`CREATE KEYSPACE ${keyspace} WITH replication = ${replication}`);
  await client.execute(`USE ${keyspace}`);
  const local = await client.execute("SELECT release_version FROM system.local");
  return {
    ...where,
    keyspace,
    version: String(local.first()["release_version"]),
    async run(statement, values = []) {
      const result = await client.execute(statement, [...values], { prepare: values.length > 0 });
      return result.rows ?? [];
    },
    async runAll(statement, rows) {
      await cassandra.concurrent.executeConcurrent(client, statement, rows as unknown[][], { concurrencyLevel: 64 });
    },
    async load(query, rows) {
      const starts = Array.from({ length: Math.ceil(rows.length / batchRows) }, (_, index) => index * batchRows);
      const write = async (): Promise<void> => {
        for (let from = starts.shift(); from !== undefined; from = starts.shift()) {
          const batch = rows.slice(from, from + batchRows).map((params) => ({ query, params: [...params] }));
          await client.batch(batch, { prepare: true, logged: false });
        }
      };
      await Promise.all(Array.from({ length: 16 }, write));
    },
    async [Symbol.asyncDispose]() {
      await client.execute(`DROP KEYSPACE IF EXISTS ${keyspace}`).finally(() => client.shutdown());
    },
  };
}
