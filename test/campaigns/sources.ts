import type { Client } from "cassandra-driver";
import pg from "pg";
import { launchCassandra } from "../../src/servers/cassandra.ts";
import { cqlClient } from "../../src/servers/cql-client.ts";
import { launchPostgresql } from "../../src/servers/postgresql.ts";
import { datum, term } from "../../src/wire/reql/terms.ts";
import { startOwnValkey } from "../servers/redis.ts";
import { startOwnRethinkdb } from "../servers/rethinkdb.ts";
import type { Random } from "./random.ts";

/** A database that changes while it is synced, and that may be restarted. */
export interface CampaignSource extends AsyncDisposable {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly table: string;
  /** The columns of the copy that rows are compared by: the key, and SQL for the value as text. */
  readonly key: string;
  readonly value: string;
  /** The settings of the source for a copy, behind this port. A server that is silent for a second or two is probed. */
  settings(port: number, copy: string): object;
  /** Inserts, updates and deletes some rows. */
  change(random: Random): Promise<void>;
  /** Every row by its key, as a client that is not ours sees it (of RethinkDB: the stand-in's own). */
  rows(): Promise<ReadonlyMap<string, string>>;
  restart(random: Random): Promise<void>;
  /** Removes what the copy has at the source. */
  forget?(copy: string): Promise<void>;
}

const rowsAtFirst = 20_000;

async function postgresql(changes: "cursor" | "stream"): Promise<CampaignSource> {
  const server = await launchPostgresql();
  const sql = async (text: string, values: readonly unknown[] = []): Promise<pg.QueryResult> => {
    const client = new pg.Client({ connectionString: server.connectionString() });
    // What ends the session is reported by the query.
    client.on("error", () => {});
    await client.connect();
    try {
      return await client.query(text, [...values]);
    } finally {
      await client.end().catch(() => {});
    }
  };
  await sql("CREATE TABLE readings (id bigint PRIMARY KEY, note text, updated_at timestamptz)");
  await sql(
    `INSERT INTO readings SELECT i * 7, repeat(md5(i::text), i % 9), now() - interval '1 day' FROM generate_series(1, ${rowsAtFirst}) i`,
  );
  const { host, port, user, password } = server;
  return {
    ...{ name: changes === "stream" ? "postgresql-log" : "postgresql", host, port },
    ...{ table: "readings", key: "id", value: "coalesce(note, '')" },
    settings: (port, copy) => ({
      ...{ type: "postgresql", host, port, user, password, database: "postgres", lag: "1" },
      ...{ connect_timeout: 3, read_timeout: 2 },
      ...(changes === "stream" ? { changes, slot: slotOf(copy) } : {}),
    }),
    async change(random) {
      const [some, other] = [random.below(997), random.below(997)];
      await sql(
        `BEGIN; UPDATE readings SET note = 'changed ${some}', updated_at = now() WHERE id % 997 = ${some};
         UPDATE readings SET note = 'unstamped ${other}', updated_at = NULL WHERE id % 9973 = ${other};
         DELETE FROM readings WHERE id % 1009 = ${other};
         INSERT INTO readings SELECT ${random.below(1 << 30)} + i, 'new', now() FROM generate_series(1, 20) i ON CONFLICT DO NOTHING;
         COMMIT`,
      );
    },
    async rows() {
      const { rows } = await sql("SELECT id::text AS key, coalesce(note, '') AS value FROM readings");
      return new Map((rows as { key: string; value: string }[]).map(({ key, value }) => [key, value]));
    },
    async restart(random) {
      await server.stop(random.below(2) === 0 ? "SIGINT" : "SIGQUIT");
      await server.start();
    },
    async forget(copy) {
      const found = "FROM pg_replication_slots WHERE slot_name = $1";
      await sql(`SELECT pg_terminate_backend(active_pid) ${found} AND active_pid IS NOT NULL`, [slotOf(copy)]);
      await sql(`SELECT pg_drop_replication_slot(slot_name) ${found}`, [slotOf(copy)]);
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

async function valkey(): Promise<CampaignSource> {
  const server = await startOwnValkey({ arguments: ["--appendonly", "yes"] });
  const key = (number: number): string => `reading:${number}`;
  await server.runAll(Array.from({ length: rowsAtFirst / 2 }, (_, row) => ["SET", key(row), `first ${row}`]));
  const { host, port } = server;
  return {
    ...{ name: "valkey", host, port, table: "dragonfly_data", key: "key", value: "value" },
    settings: (port) => ({ type: "valkey", host, port, streams: false, time_series: false, read_timeout: 2 }),
    async change(random) {
      const most = rowsAtFirst;
      await server.runAll([
        ...Array.from({ length: 30 }, () => ["SET", key(random.below(most)), `changed ${random.below(1 << 30)}`]),
        ...Array.from({ length: 15 }, () => ["DEL", key(random.below(most))]),
      ]);
    },
    async rows() {
      const keys = (await server.run("KEYS", "*")) as unknown as Uint8Array[];
      const values = keys.length === 0 ? [] : ((await server.run("MGET", ...keys)) as unknown as Uint8Array[]);
      return new Map(keys.map((name, row) => [text(name), text(values[row]!)]));
    },
    async restart(random) {
      await server.stop(random.below(2) === 0 ? "SIGTERM" : "SIGKILL");
      await server.start();
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

async function rethinkdb(): Promise<CampaignSource> {
  const server = await startOwnRethinkdb();
  const now = (): object => ({ $reql_type$: "TIME", epoch_time: Date.now() / 1_000, timezone: "+00:00" });
  const insert = (ids: readonly number[], note: string, stamped: boolean): Promise<void> =>
    server.insert(
      "readings",
      ids.map(
        (id) => ({ id, note, ...(stamped ? { updated_at: now() } : {}) }) as Parameters<typeof datum>[0] & object,
      ),
    );
  await server.createTable("readings");
  await insert(
    Array.from({ length: rowsAtFirst / 4 }, (_, id) => id),
    "first",
    true,
  );
  const some = (random: Random, count: number): number[] =>
    Array.from({ length: count }, () => random.below(rowsAtFirst / 2));
  const { host, port, database } = server;
  return {
    ...{ name: "rethinkdb", host, port, table: "readings", key: "CAST(id AS BIGINT)", value: "coalesce(note, '')" },
    settings: (port) => ({
      ...{ type: "rethinkdb", host, port: String(port), database, username: "admin", password: "" },
      ...{ connect_timeout: 3, read_timeout: 2 },
    }),
    async change(random) {
      await insert(some(random, 20), `changed ${random.below(1 << 30)}`, true);
      await insert(some(random, 3), `unstamped ${random.below(1 << 30)}`, false);
      for (const id of some(random, 8))
        await server.run(term("DELETE", [term("GET", [server.table("readings"), datum(id)])]));
    },
    async rows() {
      const documents = (await server.run(term("COERCE_TO", [server.table("readings"), "array"]))) as unknown;
      return new Map((documents as { id: number; note?: string }[]).map(({ id, note }) => [String(id), note ?? ""]));
    },
    restart: () => server.server.restart(),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

async function cassandra(): Promise<CampaignSource> {
  const node = await launchCassandra();
  const { host, port } = node;
  const connected = async (): Promise<Client> => {
    const client = await cqlClient({ host, port, username: null, password: null });
    await client.connect();
    return client;
  };
  const keyspace = "campaign";
  let client = await connected();
  await client.execute(
    `CREATE KEYSPACE ${keyspace} WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}`,
  );
  await client.execute(`CREATE TABLE ${keyspace}.readings (id int PRIMARY KEY, note text)`);
  const all = rowsAtFirst / 4;
  const put = (id: number, note: string): Promise<unknown> =>
    client.execute(`INSERT INTO ${keyspace}.readings (id, note) VALUES (?, ?)`, [id, note], { prepare: true });
  for (let from = 0; from < all; from += 100)
    await Promise.all(Array.from({ length: 100 }, (_, row) => put(from + row, "first")));
  return {
    ...{ name: "cassandra", host, port, table: "readings", key: "id", value: "coalesce(note, '')" },
    settings: (port) => ({
      ...{ type: "cassandra", hostname: host, port, keyspace, connect_timeout: 3, request_timeout: 3 },
    }),
    async change(random) {
      const note = `changed ${random.below(1 << 30)}`;
      for (let row = 0; row < 20; row++) await put(random.below(2 * all), note);
      for (let row = 0; row < 8; row++)
        await client.execute(`DELETE FROM ${keyspace}.readings WHERE id = ?`, [random.below(2 * all)], {
          prepare: true,
        });
    },
    async rows() {
      const found = new Map<string, string>();
      const rows = await client.execute(`SELECT id, note FROM ${keyspace}.readings`);
      // It turns the pages.
      for await (const row of rows) found.set(String(row["id"]), String(row["note"] ?? ""));
      return found;
    },
    async restart(random) {
      await node.stop(random.below(2) === 0 ? "SIGTERM" : "SIGKILL");
      await node.start();
      // The old one takes the node for down, for minutes.
      await client.shutdown();
      client = await connected();
    },
    async [Symbol.asyncDispose]() {
      await client.shutdown();
      await node[Symbol.asyncDispose]();
    },
  };
}

function slotOf(copy: string): string {
  return copy.replaceAll("-", "_");
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString();
}

export const sources: Readonly<Record<string, () => Promise<CampaignSource>>> = {
  postgresql: () => postgresql("cursor"),
  "postgresql-log": () => postgresql("stream"),
  valkey,
  rethinkdb,
  cassandra,
};
