/**
 * What a commit of 100 changed rows costs in a DuckDB copy of 1 M, 10 M, … rows, and how far apart commits are then:
 * `npx tsx bench/follow-commit.ts [millions of rows …]`. Needs `npm run build` before, and PostgreSQL's programs.
 */
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import pg from "pg";
import { launchPostgresql } from "../src/servers/postgresql.ts";
import { Follower, percentile } from "./follower.ts";

const sizes = process.argv.length > 2 ? process.argv.slice(2).map(Number) : [1, 10];
const rounds = 20;
const changed = 100;

await using server = await launchPostgresql();
const url = new URL(server.connectionString());
const admin = new pg.Client({ connectionString: url.href });
await admin.connect();
try {
  for (const millions of sizes) {
    const folder = await mkdtemp(join(tmpdir(), "headwaters-bench-"));
    const database = `rows_${millions}`;
    await admin.query(`CREATE DATABASE ${database}`);
    url.pathname = `/${database}`;
    const writer = new pg.Client({ connectionString: url.href });
    await writer.connect();
    try {
      const { hostname: host, port, username: user, password } = url;
      const source = { type: "postgresql", host, port: Number(port), user, password, database, changes: "stream" };
      const connections = { c: { source, destination: "duckdb:copy.duckdb", schema: "c" } };
      await writeFile(join(folder, "headwaters.yaml"), JSON.stringify({ connections }), { mode: 0o600 });
      const rows = millions * 1_000_000;
      await writer.query(
        `CREATE TABLE t (id int PRIMARY KEY, name text, at timestamptz DEFAULT now());
         INSERT INTO t SELECT i, md5(i::text) FROM generate_series(1, ${rows}) i`,
      );
      await using follower = new Follower(folder, "c");
      await follower.until(() => follower.changes >= rows);
      await follower.until(() => follower.lags.length > 0);
      await new Promise((resolve) => setTimeout(resolve, 5_000));
      for (const [where, keys] of [
        ["anywhere", () => Array.from({ length: changed }, () => 1 + Math.floor(Math.random() * rows))],
        ["in a row", () => Array.from({ length: changed }, (_, at) => rows - at)],
      ] as const) {
        follower.lags.length = 0;
        const processor = follower.processor;
        for (let round = 0; round < rounds; round++) {
          const before = follower.lags.length;
          await writer.query(`UPDATE t SET name = md5(random()::text), at = now() WHERE id = ANY ($1)`, [keys()]);
          await follower.until(() => follower.lags.length > before);
        }
        const each = (follower.processor - processor) / rounds;
        console.log(
          `${millions} M rows, ${changed} changed ${where}: readable after ${percentile(follower.lags, 0.5)} (median), ${percentile(follower.lags, 0.9)} (p90); ${Math.round(each)} ms of processor time a commit`,
        );
      }
      const { size } = await stat(join(folder, "copy.duckdb"));
      console.log(
        `${millions} M rows: ${Math.round(size / 2 ** 20)} MiB on disk, ${Math.round(follower.peak)} MiB of memory`,
      );
    } finally {
      await writer.end();
      await rm(folder, { recursive: true, force: true });
    }
    await admin.query(`DROP DATABASE ${database} WITH (FORCE)`);
  }
} finally {
  await admin.end();
}
