/**
 * Keeps histories of real syncs for `replay.test.ts`: `npx tsx test/cluster/record-histories.ts`. Needs `npm run build`
 * before, Temporal's server and PostgreSQL's programs. Add histories when the workflow changes, and keep the old ones, as
 * long as a version that wrote them may have left syncs under way.
 */
import { writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { Client, Connection } from "@temporalio/client";
import proto from "@temporalio/proto";
import { workflowId } from "../../src/cluster/contract.ts";
import { startOwnPostgresql } from "../servers/postgresql.ts";
import { startTemporal } from "../servers/temporal.ts";
import { fillShop, Place } from "./harness.ts";

const folder = new URL("histories/", import.meta.url);

await using temporal = await startTemporal();
await using server = await startOwnPostgresql();
const connection = await Connection.connect({ address: temporal.address });
const client = new Client({ connection });

/** Syncs by `work`, and keeps the history of the last workflow. */
async function record(name: string, settings: object, work: (place: Place) => Promise<unknown>): Promise<void> {
  const [from, to] = [await server.createDatabase(), await server.createDatabase()];
  await fillShop(from, 24_000);
  const isFile = name === "into-a-file";
  await using place = await Place.make(temporal, from, isFile ? "shop.duckdb" : to, { parallel: 4, ...settings });
  await place.worker();
  await work(place);
  const history = await client.workflow.getHandle(workflowId("shop")).fetchHistory();
  const { History } = proto.temporal.api.history.v1;
  const plain = History.toObject(History.fromObject(history), { longs: String, bytes: String, enums: String });
  const text = JSON.stringify(plain).replaceAll(hostname(), "host");
  await writeFile(new URL(`${name}.json`, folder), `${text}\n`);
  process.stdout.write(`${name}: ${history.events!.length} events, ${text.length} bytes\n`);
}

const sync = ["sync", "--on", "temporal"] as const;

await record("two-workers", {}, async (place) => {
  await place.worker();
  await place.run(...sync);
});
await record("second-sync-with-sweep", {}, async (place) => {
  await place.run(...sync);
  await place.run(...sync, "--sweep");
});
await record("into-a-file", {}, (place) => place.run(...sync));
await record("cancelled", { maxRowsPerSecond: 2_000 }, async (place) => {
  const running = place.run(...sync);
  await delay(4_000);
  await client.workflow.getHandle(workflowId("shop")).cancel();
  await running;
});
await record("lost-worker", { maxRowsPerSecond: 4_000, attempts: 1 }, async (place) => {
  const lost = await place.worker({ concurrency: 4 });
  const running = place.run(...sync);
  await delay(4_000);
  lost.signal("SIGKILL");
  await running;
});
await connection.close();
