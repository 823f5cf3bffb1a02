import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import type { Browser } from "playwright-core";
import { type PostgresqlServer, runSql, startPostgresql } from "../servers/postgresql.ts";
import { type RedisServer, startValkey } from "../servers/redis.ts";
import { folderWith, sourceOf } from "../service/folder.ts";
import { Up } from "../service/up.ts";
import { startBrowser } from "./browser.ts";

/** What the tests of the page need: a browser, a PostgreSQL and a Valkey with rows, and a service that syncs them. */
export interface Place extends AsyncDisposable {
  readonly browser: Browser;
  readonly database: PostgresqlServer;
  readonly cache: RedisServer;
  readonly up: Up;
  /** What came to the webhook of the file's one alert. */
  alerts(): readonly unknown[];
  /** Changes the file of connections. */
  configure(file: object): Promise<void>;
  /** The file as it was at first. */
  readonly file: { readonly connections: Readonly<Record<string, object>> };
  /** Starts the service again, at the same address. */
  restart(): Promise<void>;
  sql(text: string): Promise<readonly Record<string, unknown>[]>;
}

const rows = `
  CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, email text, updated_at timestamptz NOT NULL DEFAULT now());
  INSERT INTO customers SELECT n, 'customer ' || n, n || '@example.com' FROM generate_series(1, 2000) n;
  CREATE TABLE orders (id int PRIMARY KEY, customer int NOT NULL, amount numeric(12, 2) NOT NULL, updated_at timestamptz NOT NULL DEFAULT now());
  INSERT INTO orders SELECT n, n % 2000 + 1, n * 1.25 FROM generate_series(1, 5000) n;
  CREATE TABLE items (id bigint PRIMARY KEY, "order" int NOT NULL, article text NOT NULL);
  INSERT INTO items SELECT n, n / 4, 'article ' || n % 300 FROM generate_series(1, 20000) n;`;

/** Port 1 of this machine: nobody listens there. */
const nobody = 1;

export async function startPlace(): Promise<Place> {
  const ends: (() => PromiseLike<unknown>)[] = [];
  const end = async (): Promise<void> => {
    for (const one of ends.splice(0).toReversed()) await one();
  };
  try {
    const browser = await startBrowser();
    ends.push(() => browser.close());
    const database = await startPostgresql();
    ends.push(() => database[Symbol.asyncDispose]());
    const cache = await startValkey(1);
    ends.push(() => cache[Symbol.asyncDispose]());
    await runSql(database.connectionString, rows);
    await cache.runAll(
      Array.from({ length: 500 }, (_, at) => ["HSET", `session:${at}`, "user", `user ${at}`, "hits", at]),
    );
    const alerts: unknown[] = [];
    const webhook = await receiver(alerts);
    ends.push(async () => webhook.close());
    const shop = sourceOf(database);
    const file = {
      service: { alerts: { team: { url: `http://127.0.0.1:${(webhook.address() as AddressInfo).port}/hook` } } },
      connections: {
        shop: { source: shop, destination: "duckdb:shop.duckdb", freshness: "1h", deletes: "each_sync" },
        archive: { source: shop, destination: "duckdb:archive.duckdb", maxRowsPerSecond: 4_000 },
        sessions: {
          source: { type: "valkey", host: cache.host, port: cache.port, database: cache.database },
          destination: "duckdb:sessions.duckdb",
          schedule: "1h",
          freshness: "2h",
        },
        billing: { source: { ...shop, port: nobody }, destination: "duckdb:billing.duckdb", attempts: 1 },
      },
    };
    const folder = await folderWith(file);
    ends.push(() => folder[Symbol.asyncDispose]());
    let up = await Up.start(folder.path);
    ends.push(() => up[Symbol.asyncDispose]());
    return {
      browser,
      database,
      cache,
      file,
      alerts: () => alerts,
      configure: (content) => folder.write(content),
      get up() {
        return up;
      },
      async restart() {
        await up.stop("SIGKILL");
        up = await Up.start(folder.path, ["--port", String(up.port)]);
      },
      sql: (text) => runSql(database.connectionString, text),
      [Symbol.asyncDispose]: end,
    };
  } catch (error) {
    await end();
    throw error;
  }
}

/** A receiver of webhooks. */
async function receiver(received: unknown[]): Promise<Server> {
  const server = createServer((request, response) => {
    void json(request).then((body) => {
      received.push(body);
      response.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}
