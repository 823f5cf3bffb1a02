import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { expect, test } from "vitest";
import { built } from "../built.ts";
import { type CassandraServer, startCassandra } from "../servers/cassandra.ts";
import { describeWith } from "../servers/require.ts";
import { Workplace } from "./program.ts";

const slow = { timeout: 300_000 };
/** The published example checkpoints the greatest value that an unordered scan has shown: here it would lose rows. */
const [rows, killedAt] = [200_003, 41_700];

/** Runs a sync and kills it as soon as so many rows are durable; resolves to how many were. */
async function killed(place: Workplace, after: number): Promise<number> {
  const child = spawn(process.execPath, [built("cli/main.js"), "sync", "shop", "--json"], { cwd: place.folder });
  const ended = new Promise((resolve) => child.on("close", resolve));
  let durable = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    const event = JSON.parse(line) as { kind?: string; changes?: Record<string, { inserted: number }> };
    if (event.kind !== "committed") continue;
    durable += event.changes?.["sample_table"]?.inserted ?? 0;
    if (durable >= after) child.kill("SIGKILL");
  }
  await ended;
  return durable;
}

await describeWith(startCassandra, "a sync of Cassandra that is killed", (server: CassandraServer) => {
  test("goes on where it was, and all rows arrive", slow, async () => {
    await using place = await Workplace.make({ ...server, user: "", password: "", database: "" });
    const { host: hostname, port, username, password, keyspace } = server;
    const login = username === null ? {} : { username, password };
    const source = { type: "cassandra", hostname, port: String(port), keyspace, ...login, page_size: "1000" };
    const often = { commitInterval: "20ms", batchSize: "64KB", maxRowsPerSecond: 50_000 };
    const shop = { source, destination: "duckdb:copy.duckdb", ...often };
    await place.write("headwaters.yaml", { connections: { shop } });
    await server.run("CREATE TABLE sample_table (id int PRIMARY KEY, name text, created_at timestamp)");
    const insert = "INSERT INTO sample_table (id, name, created_at) VALUES (?, ?, ?)";
    const at = Date.UTC(2024, 4, 17);
    await server.load(
      insert,
      Array.from({ length: rows }, (_, id) => [id, `name ${id}`, id % 7 === 0 ? null : new Date(at + (id % 1_000))]),
    );
    const durable = await killed(place, killedAt);
    expect(durable).toBeGreaterThanOrEqual(killedAt);
    expect(durable).toBeLessThan(rows);
    const second = await place.start(["sync", "shop", "--json"]);
    expect(second.code, second.stderr).toBe(0);
    const read = second.stdout
      .split("\n")
      .filter((line) => line.includes('"kind":"read"'))
      .reduce((sum, line) => sum + (JSON.parse(line) as { rows: number }).rows, 0);
    // What was durable is not read again, but for the pages that were under way; the sweep that follows reads keys.
    expect(read).toBeLessThan(2 * rows - durable + 10_000);
    const sql = `SELECT count(*)::INTEGER AS rows, count(DISTINCT id)::INTEGER AS ids FROM copy."${keyspace}".sample_table WHERE NOT _headwaters_deleted`;
    expect(await place.query("copy.duckdb", sql)).toEqual([{ rows, ids: rows }]);
    const proof = await place.start(["verify", "shop"]);
    expect([proof.code, proof.stdout]).toEqual([0, expect.stringContaining("CONVERGED")]);
  });
});
