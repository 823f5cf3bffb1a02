import { randomUUID } from "node:crypto";
import cassandra from "cassandra-driver";
import { launchCassandra } from "../src/servers/cassandra.ts";

/** What is measured on: six columns, a row of about 90 bytes. */
export const [keyspace, table] = ["bench", "events"];

/** A server with the table on it. */
export interface Origin extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** Changes so many rows, with a new cursor value. */
  touch(rows: number): Promise<void>;
}

const batchRows = 50;
const insert = `INSERT INTO ${keyspace}.${table} (id, name, n, amount, big, updated_at) VALUES (?, ?, ?, ?, ?, ?)`;

/** A Cassandra of its own, with `rows` rows that are flushed to disk and compacted as far as it is. */
export async function startOrigin(rows: number): Promise<Origin> {
  const node = await launchCassandra({ tuned: true });
  const client = new cassandra.Client({
    contactPoints: [node.host],
    protocolOptions: { port: node.port },
    localDataCenter: "datacenter1",
    socketOptions: { readTimeout: 60_000 },
  });
  const ids: string[] = [];
  const row = (id: string, index: number, at: number): unknown[] => [
    ...[id, `event ${index} ${"x".repeat(index % 30)}`, index, index * 1.5],
    ...[cassandra.types.Long.fromNumber(index * 1_000_003), new Date(at)],
  ];
  try {
    await client.connect();
    await client.execute(
      `CREATE KEYSPACE ${keyspace} WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}`,
    );
    await client.execute(
      `CREATE TABLE ${keyspace}.${table} (id uuid PRIMARY KEY, name text, n int, amount double, big bigint, updated_at timestamp)`,
    );
    await client.execute(`CREATE INDEX ON ${keyspace}.${table} (updated_at) USING 'sai'`);
    let next = 0;
    const began = Date.now() - 30 * 86_400_000;
    const write = async (): Promise<void> => {
      while (next < rows) {
        const from = next;
        next = Math.min(rows, from + batchRows);
        const batch = Array.from({ length: next - from }, (_, offset) => {
          const id = randomUUID();
          if ((from + offset) % 50 === 0) ids.push(id);
          return { query: insert, params: row(id, from + offset, began + (from + offset) * 1_000) };
        });
        await client.batch(batch, { prepare: true, logged: false });
      }
    };
    await Promise.all(Array.from({ length: 16 }, write));
  } catch (error) {
    await client.shutdown();
    await node[Symbol.asyncDispose]();
    throw error;
  }
  return {
    host: node.host,
    port: node.port,
    async touch(count) {
      const values = ids.slice(0, count).map((id, index) => row(id, index, Date.now()));
      await cassandra.concurrent.executeConcurrent(client, insert, values);
    },
    async [Symbol.asyncDispose]() {
      await client.shutdown();
      await node[Symbol.asyncDispose]();
    },
  };
}
