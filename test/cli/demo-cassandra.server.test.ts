import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { built } from "../built.ts";
import { type CassandraServer, startCassandra } from "../servers/cassandra.ts";
import { describeWith } from "../servers/require.ts";

interface Ended {
  readonly code: number | null;
  readonly output: string;
}

async function demo(folder: string, source: string, address: string): Promise<Ended> {
  const child = spawn(process.execPath, [built("cli/main.js"), "demo", source, "--server", address], { cwd: folder });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (output += text));
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { code, output };
}

/** By its name, where it listens on this machine: the vendor's driver knows nodes by their addresses. */
function addressOf({ host, port, username, password }: CassandraServer): string {
  const login = username === null ? "" : `${encodeURIComponent(username)}:${encodeURIComponent(password ?? "")}@`;
  return `cql://${login}${host === "127.0.0.1" ? "localhost" : host}:${port}`;
}

await describeWith(startCassandra, "demos on a Cassandra", (server: CassandraServer) => {
  test.each(["cassandra", "scylladb"])(
    "demo %s makes a keyspace, copies, proves and leaves nothing behind",
    { timeout: 180_000 },
    async (source) => {
      const folder = await mkdtemp(join(tmpdir(), "headwaters-demo-"));
      try {
        const { code, output } = await demo(folder, source, addressOf(server));
        expect(code, output).toBe(0);
        expect(output).toContain("Keyspace headwaters_demo is made on");
        expect(output).toContain("Moved: 800 rows, just those that changed, of 20,000.");
        expect(output).toContain("demo: CONVERGED");
        const keyspaces = await server.run("SELECT keyspace_name FROM system_schema.keyspaces");
        expect(keyspaces.map((row) => row["keyspace_name"])).not.toContain("headwaters_demo");
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    },
  );

  test("demo cassandra refuses a keyspace that is there", { timeout: 60_000 }, async () => {
    const replication = "{'class': 'SimpleStrategy', 'replication_factor': 1}";
    await server.run(`CREATE KEYSPACE headwaters_demo WITH replication = ${replication}`);
    try {
      const { code, output } = await demo(tmpdir(), "cassandra", addressOf(server));
      expect([code, output]).toEqual([2, expect.stringContaining("the keyspace headwaters_demo can't be made")]);
      expect(await server.run("DESCRIBE KEYSPACE headwaters_demo")).not.toEqual([]);
    } finally {
      await server.run("DROP KEYSPACE headwaters_demo");
    }
  });
});
