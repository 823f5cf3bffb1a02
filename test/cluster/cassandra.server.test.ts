import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { type CassandraServer, startOwnCassandra } from "../servers/cassandra.ts";
import { type PostgresqlServer, runSql } from "../servers/postgresql.ts";
import { describeWith } from "../servers/require.ts";
import { heartbeatSeconds, Place, startServers } from "./harness.ts";

async function startAll(): Promise<Awaited<ReturnType<typeof startServers>> & { readonly cassandra: CassandraServer }> {
  const servers = await startServers();
  try {
    const cassandra = await startOwnCassandra();
    return {
      ...servers,
      cassandra,
      async [Symbol.asyncDispose]() {
        await cassandra[Symbol.asyncDispose]();
        await servers[Symbol.asyncDispose]();
      },
    };
  } catch (thrown) {
    await servers[Symbol.asyncDispose]();
    throw thrown;
  }
}

/** Devices and moments: a text a row, which tells both. */
type Readings = readonly (readonly [device: number, at: number, note: string])[];

function readings(count: number): Readings {
  return Array.from({ length: count }, (_, n) => [n % 997, n, `reading ${n}`]);
}

async function copied(to: PostgresqlServer): Promise<readonly string[]> {
  const rows = await runSql<{ note: string; device: number; at: string }>(
    to.connectionString,
    "SELECT device, extract(epoch FROM at) * 1000 AS at, note FROM copy.readings WHERE NOT _headwaters_deleted",
  );
  return rows.map(({ device, at, note }) => `${device} ${Number(at)} ${note}`).sort();
}

await describeWith(startAll, "Cassandra on Temporal", ({ temporal, server, cassandra }) => {
  test(
    "workers share the token ranges of a table, also when one is frozen meanwhile",
    { timeout: 300_000 },
    async () => {
      const { host, port, keyspace } = cassandra;
      const to = await server.createDatabase();
      const all = readings(20_000);
      await cassandra.run("CREATE TABLE readings (device int, at timestamp, note text, PRIMARY KEY (device, at))");
      await cassandra.load("INSERT INTO readings (device, at, note) VALUES (?, ?, ?)", all);
      await using place = await Place.make(temporal, { type: "cassandra", ...{ hostname: host, port, keyspace } }, to, {
        ...{ parallel: 4, maxRowsPerSecond: 2_000, commitInterval: "500ms" },
      });
      const [frozen] = [await place.worker(), await place.worker()];
      const sync = place.run("sync", "--on", "temporal");
      await delay(4_000);
      frozen!.signal("SIGSTOP");
      await delay((heartbeatSeconds + 2) * 1_000);
      frozen!.signal("SIGCONT");
      const { code, error, output } = await sync;
      expect(code, error + output).toBe(0);
      expect(await copied(to)).toEqual(all.map(([device, at, note]) => `${device} ${at} ${note}`).sort());
      await cassandra.run("DELETE FROM readings WHERE device = 5");
      expect((await place.run("sync", "--on", "temporal", "--sweep")).code).toBe(0);
      const left = all.filter(([device]) => device !== 5);
      expect(await copied(to)).toEqual(left.map(([device, at, note]) => `${device} ${at} ${note}`).sort());
    },
  );
});
