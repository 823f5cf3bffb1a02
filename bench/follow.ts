/**
 * How soon a change is in the copy while it is followed, how fast it catches up, and the memory of one large transaction:
 * `npx tsx bench/follow.ts [seconds]`. Needs `npm run build` before, and PostgreSQL's programs.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import pg from "pg";
import { launchPostgresql } from "../src/servers/postgresql.ts";
import { Follower, percentile } from "./follower.ts";

const seconds = Number(process.argv[2] ?? 30);
const perSecond = 2_000;
const rowsBefore = 300_000;

await using server = await launchPostgresql();
const folder = await mkdtemp(join(tmpdir(), "headwaters-bench-"));
const admin = new pg.Client({ connectionString: server.connectionString() });
await admin.connect();
try {
  for (const database of ["source", "copies"]) await admin.query(`CREATE DATABASE ${database}`);
  const url = new URL(server.connectionString());
  const at = {
    type: "postgresql",
    host: url.hostname,
    port: Number(url.port),
    user: url.username,
    password: url.password,
  };
  const source = (slot: string) => ({ ...at, database: "source", changes: "stream", slot });
  const connections = {
    postgresql: { source: source("a"), destination: { ...at, database: "copies" }, schema: "c" },
    duckdb: { source: source("b"), destination: "duckdb:copy.duckdb", schema: "c" },
  };
  await writeFile(join(folder, "headwaters.yaml"), JSON.stringify({ connections }), { mode: 0o600 });
  url.pathname = "/source";
  const writer = new pg.Client({ connectionString: url.href });
  await writer.connect();
  await writer.query(
    `CREATE TABLE t (id int PRIMARY KEY, name text, at timestamptz DEFAULT now());
     INSERT INTO t SELECT i, md5(i::text) FROM generate_series(1, ${rowsBefore}) i`,
  );
  for (const connection of Object.keys(connections)) {
    {
      await using follower = new Follower(folder, connection);
      await follower.until(() => follower.changes >= rowsBefore);
      await new Promise((resolve) => setTimeout(resolve, 3_000));
      follower.lags.length = 0;
      const began = performance.now();
      // 20 rows in each transaction.
      for (let done = 0; done < seconds * perSecond; done += 20) {
        const keys = Array.from({ length: 20 }, () => 1 + Math.floor(Math.random() * rowsBefore));
        await writer.query(`UPDATE t SET name = md5(random()::text), at = now() WHERE id = ANY ($1)`, [keys]);
        const ahead = (done / perSecond) * 1_000 - (performance.now() - began);
        if (ahead > 1) await new Promise((resolve) => setTimeout(resolve, ahead));
      }
      const rate = (seconds * perSecond) / ((performance.now() - began) / 1_000);
      await new Promise((resolve) => setTimeout(resolve, 4_000));
      const { lags, peak } = follower;
      console.log(
        `${connection}: ${Math.round(rate)} changed rows/s for ${seconds} s: age of a commit's oldest change, median ${percentile(lags, 0.5)}, p99 ${percentile(lags, 0.99)}, ${lags.length} commits, ${Math.round(peak)} MiB`,
      );
    }
    // 500,000 changes of 300,000 keys while nobody follows.
    await writer.query(`UPDATE t SET name = name || '1'`);
    await writer.query(`UPDATE t SET name = name || '2' WHERE id <= 200000`);
    {
      const began = performance.now();
      await using follower = new Follower(folder, connection);
      await follower.until(() => follower.changes >= rowsBefore);
      const took = (performance.now() - began) / 1_000;
      console.log(
        `${connection}: 500,000 changes of 300,000 keys in ${took.toFixed(1)} s (${Math.round(500_000 / took)}/s, start-up and all), ${Math.round(follower.peak)} MiB`,
      );
    }
    {
      await using follower = new Follower(folder, connection);
      await new Promise((resolve) => setTimeout(resolve, 5_000));
      const began = performance.now();
      const from = connection === "duckdb" ? 3_000_000 : 1_000_000;
      await writer.query(`INSERT INTO t SELECT i, md5(i::text) FROM generate_series(${from}, ${from + 999_999}) i`);
      await follower.until(() => follower.changes >= 1_000_000);
      const took = (performance.now() - began) / 1_000;
      console.log(
        `${connection}: a transaction of 1,000,000 rows in ${took.toFixed(1)} s, ${Math.round(follower.peak)} MiB`,
      );
    }
    await writer.query(`DELETE FROM t WHERE id > ${rowsBefore}`);
  }
  await writer.end();
} finally {
  await admin.end();
  await rm(folder, { recursive: true, force: true });
}
