/**
 * What the server gives at most: Headwaters' own client asks for every page of a table as Headwaters does, and throws it
 * away. `tsx skip-cassandra.ts HOST PORT KEYSPACE TABLE`
 */
import process from "node:process";
import { Cluster } from "../../src/wire/cql/cluster.ts";
import type { Page } from "../../src/wire/cql/messages.ts";
import { cutRing, type TokenRange } from "../../src/sources/cql/splits.ts";

const [host, port, keyspace, table] = process.argv.slice(2) as [string, string, string, string];
const statement = `SELECT id, name, n, amount, big, updated_at FROM ${keyspace}.${table} WHERE token(id) > ? AND token(id) <= ?`;
const consistency = "LOCAL_QUORUM";
const [splits, parallel, pageSize] = [20, 4, 10_000];

await using cluster = new Cluster(
  {
    contactPoints: [host],
    port: Number(port),
    dataCenter: null,
    tls: null,
    username: null,
    password: null,
    connectTimeout: 10_000,
    requestTimeout: 60_000,
    connectionsPerNode: 1,
    names: { host: "host", dataCenter: "data_center" },
    keyspace,
    consistency,
  },
  { debug: () => {}, info: () => {}, warn: console.error },
);
const { signal } = new AbortController();
await cluster.refresh(signal);
await cluster.prepare(statement, { signal });

const ranges = cutRing([], splits);
let rows = 0;
const began = performance.now();
await Promise.all(Array.from({ length: parallel }, skipRanges));
console.log(`${rows} rows, ${Math.round((rows / (performance.now() - began)) * 1000)} rows/s`);

async function skipRanges(): Promise<void> {
  for (let range = ranges.pop(); range !== undefined; range = ranges.pop()) await skip(range);
}

async function skip({ low, high }: TokenRange): Promise<void> {
  const values = [low, high].map((token) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64BE(token);
    return bytes;
  });
  let pageState: Buffer | null = null;
  do {
    const page: Page = await cluster.page(
      statement,
      { consistency, values, pageSize, pageState },
      { signal, token: high },
    );
    rows += page.rows;
    pageState = page.next;
  } while (pageState !== null);
}
