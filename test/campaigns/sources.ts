import pg from "pg";
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
  /** The settings of the source, behind this port. */
  settings(port: number): object;
  /** Inserts, updates and deletes some rows. */
  change(random: Random): Promise<void>;
  /** Every row by its key, as a client that is not ours sees it (of RethinkDB: the stand-in's own). */
  rows(): Promise<ReadonlyMap<string, string>>;
  restart(random: Random): Promise<void>;
}

const rowsAtFirst = 20_000;

async function postgresql(): Promise<CampaignSource> {
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
    ...{ name: "postgresql", host, port, table: "readings", key: "id", value: "coalesce(note, '')" },
    settings: (port) => ({ type: "postgresql", host, port, user, password, database: "postgres", lag: "1" }),
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
    settings: (port) => ({ type: "valkey", host, port, streams: false, time_series: false }),
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
    settings: (port) => ({ type: "rethinkdb", host, port: String(port), database, username: "admin", password: "" }),
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

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString();
}

export const sources: Readonly<Record<string, () => Promise<CampaignSource>>> = { postgresql, valkey, rethinkdb };
