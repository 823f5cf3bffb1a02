import { expect, test, vi } from "vitest";
import { launchCassandra, type LocalCassandra } from "../../../src/servers/cassandra.ts";
import { type CassandraServer, startOwnCassandra } from "../../servers/cassandra.ts";
import { describeWith } from "../../servers/require.ts";
import { openCassandra, passOver, reading, rowsOfPass, tableNamed } from "./harness.ts";

const start = (): ReturnType<typeof startOwnCassandra> => startOwnCassandra();

await describeWith(start, "nodes that come and go", (server: CassandraServer & { readonly node: LocalCassandra }) => {
  test(
    "a pass goes on with a node that joined after it was planned, once the others are gone",
    {
      timeout: 180_000,
    },
    async () => {
      await server.run("CREATE TABLE moving (id int PRIMARY KEY, v text)");
      const settings = { hostname: `${server.host}, 127.0.0.2`, changes: "full", consistency: "LOCAL_ONE" };
      await using source = await openCassandra(server, settings);
      const pass = await passOver(source, await tableNamed(source, "moving"));
      await using other = await launchCassandra({ join: server.node, host: "127.0.0.2" });
      const everywhere = `ALTER KEYSPACE ${server.keyspace} WITH replication = {'class': 'NetworkTopologyStrategy', 'datacenter1': 2}`;
      await vi.waitFor(() => server.run(everywhere), { timeout: 30_000, interval: 500 });
      await vi.waitFor(
        async () => {
          await using there = await openCassandra(server, { ...settings, hostname: "127.0.0.2" });
          await rowsOfPass(there, await passOver(there, await tableNamed(there, "moving")));
        },
        { timeout: 30_000, interval: 500 },
      );
      await server.runAll(
        "INSERT INTO moving (id, v) VALUES (?, ?)",
        Array.from({ length: 500 }, (_, id) => [id, "v"]),
      );
      // Both are there: one that is planned now goes by either, and on when one dies in the middle.
      await using second = await openCassandra(server, settings);
      const spread = await passOver(second, await tableNamed(second, "moving"));
      const [first, ...rest] = spread.splits;
      const begun = await rowsOfPass(second, { ...spread, splits: [first!] });
      await server.node.stop("SIGKILL");
      try {
        expect(await rowsOfPass(source, pass)).toHaveLength(500);
        expect(begun.length + (await rowsOfPass(second, { ...spread, splits: rest })).length).toBe(500);
        const told = [...source.warnings, ...second.warnings].filter((warning) => warning.includes("can't be reached"));
        expect(told).toEqual([
          expect.stringContaining(`node ${server.host}:${server.port} can't be reached`),
          expect.stringContaining(`node ${server.host}:${server.port} can't be reached`),
        ]);
        await using late = await openCassandra(server, settings);
        expect((await late.discover(reading.signal)).map((table) => table.id)).toEqual(["moving"]);
      } finally {
        await other.stop("SIGKILL");
        await server.node.start();
        // What the suite ends with needs its client again.
        await vi.waitFor(() => server.run("SELECT key FROM system.local"), { timeout: 60_000, interval: 500 });
      }
    },
  );
});
