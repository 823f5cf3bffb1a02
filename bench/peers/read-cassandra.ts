/**
 * What the published example does, at its page size, without its mistakes: the vendor's driver, page after page, row by
 * row into DuckDB. `tsx read-cassandra.ts HOST PORT KEYSPACE TABLE FILE`
 */
import process from "node:process";
import { DuckDBInstance, DuckDBTimestampTZValue } from "@duckdb/node-api";
import cassandra from "cassandra-driver";

const [host, port, keyspace, table, file] = process.argv.slice(2) as [string, string, string, string, string];
const client = new cassandra.Client({
  contactPoints: [host],
  protocolOptions: { port: Number(port) },
  localDataCenter: "datacenter1",
});
const instance = await DuckDBInstance.create(file);
const connection = await instance.connect();
await connection.run(
  `CREATE TABLE "${table}" (id TEXT PRIMARY KEY, name TEXT, n INTEGER, amount DOUBLE, big BIGINT, updated_at TIMESTAMPTZ)`,
);
const appender = await connection.createAppender(table);
let pageState: Buffer | undefined;
do {
  const page: cassandra.types.ResultSet = await client.execute(
    `SELECT id, name, n, amount, big, updated_at FROM ${keyspace}.${table}`,
    [],
    {
      prepare: true,
      fetchSize: 100,
      ...(pageState === undefined ? {} : { pageState }),
    },
  );
  for (const row of page.rows) {
    appender.appendVarchar(String(row["id"]));
    appender.appendVarchar(row["name"] as string);
    appender.appendInteger(row["n"] as number);
    appender.appendDouble(row["amount"] as number);
    appender.appendBigInt(BigInt(String(row["big"])));
    appender.appendTimestampTZ(new DuckDBTimestampTZValue(BigInt((row["updated_at"] as Date).getTime()) * 1000n));
    appender.endRow();
  }
  const next = page.pageState as string | null | undefined;
  pageState = next === null || next === undefined ? undefined : Buffer.from(next, "hex");
} while (pageState !== undefined);
appender.closeSync();
connection.closeSync();
instance.closeSync();
await client.shutdown();
