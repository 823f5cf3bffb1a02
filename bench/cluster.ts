/**
 * One, two and four workers on Temporal, for a source that gives each of its connections so many bytes a second, and what
 * Temporal costs beside a sync of one process: `npx tsx bench/cluster.ts [times]`. Needs `npm run build` before, Temporal's
 * server and PostgreSQL's programs.
 */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { type PostgresqlServer, runSql, startOwnPostgresql } from "../test/servers/postgresql.ts";
import { startTemporal } from "../test/servers/temporal.ts";
import { Place } from "../test/cluster/harness.ts";

const times = Number(process.argv[2] ?? 3);
const bytesPerSecond = 4 << 20;
/** Of a kilobyte, so that neither core is the limit. */
const rows = 160_000;

/** Stands before a server, and lets each connection receive so many bytes a second. */
async function startThrottle(to: {
  readonly host: string;
  readonly port: number;
}): Promise<{ port: number; end(): void }> {
  const pass = async (from: Socket, into: Socket): Promise<void> => {
    let next = performance.now();
    for await (const chunk of from as AsyncIterable<Buffer>) {
      if (!into.write(chunk)) await once(into, "drain");
      next = Math.max(next, performance.now() - 50) + (chunk.length / bytesPerSecond) * 1_000;
      if (next > performance.now()) await delay(next - performance.now());
    }
  };
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const behind = connect(to.port, to.host);
    for (const socket of [client, behind]) {
      sockets.add(socket);
      socket.on("error", () => {});
    }
    client.pipe(behind);
    void pass(behind, client)
      .catch(() => {})
      .finally(() => client.end());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    end() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

await using temporal = await startTemporal();
await using server = await startOwnPostgresql();
const from = await server.createDatabase();
await runSql(
  from.connectionString,
  `CREATE TABLE events (id bigint PRIMARY KEY, note text NOT NULL);
    INSERT INTO events SELECT n, repeat(md5(n::text), 30) FROM generate_series(1, ${rows}) n; ANALYZE`,
);
const throttle = await startThrottle(from);

/** The seconds of a first sync into a database of its own. `workers`: 0, in this process's own child, without Temporal. */
async function seconds(source: PostgresqlServer, workers: number, concurrency: number): Promise<number> {
  const to = await server.createDatabase();
  const parallel = Math.max(1, workers) * concurrency;
  await using place = await Place.make(temporal, source, to, { parallel });
  for (let count = 0; count < workers; count += 1) await place.worker({ concurrency });
  const began = performance.now();
  const { code, error } = await place.run("sync", ...(workers === 0 ? [] : ["--on", "temporal"]));
  const took = (performance.now() - began) / 1_000;
  if (code !== 0) throw new Error(error);
  const [copied] = await runSql<{ n: string }>(to.connectionString, "SELECT count(*) AS n FROM copy.events");
  if (Number(copied!.n) !== rows) throw new Error(`${copied!.n} rows were copied`);
  return took;
}

async function measure(title: string, source: PostgresqlServer, workers: number, concurrency: number): Promise<number> {
  const all: number[] = [];
  for (let time = 0; time < times; time += 1) all.push(await seconds(source, workers, concurrency));
  process.stdout.write(`${title}: ${median(all).toFixed(1)} s (${all.map((one) => one.toFixed(1)).join(", ")})\n`);
  return median(all);
}

try {
  const throttled = { ...from, port: throttle.port };
  process.stdout.write(`${rows} rows of 1 kB, ${bytesPerSecond >> 20} MiB a second for each connection\n`);
  const one = await measure("1 worker", throttled, 1, 1);
  for (const workers of [2, 4]) {
    const took = await measure(`${workers} workers`, throttled, workers, 1);
    process.stdout.write(`  ${(one / took).toFixed(2)} times as fast\n`);
  }
  const plain = await measure("unthrottled, one process, parallel 4", from, 0, 4);
  const cluster = await measure("unthrottled, one worker on Temporal, parallel 4", from, 1, 4);
  process.stdout.write(`  ${(cluster - plain).toFixed(1)} s more; ${((cluster / plain - 1) * 100).toFixed(0)} %\n`);
} finally {
  throttle.end();
}
