import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { expect, test, vi } from "vitest";
import type { Source } from "../../../src/protocol/source.ts";
import { startOwnValkey } from "../../servers/redis.ts";
import { describeWith } from "../../servers/require.ts";
import { Copy } from "./copying.ts";
import { disturbing } from "./disturbing.ts";

const keys = 4_000;

/**
 * A master and its replica behind one address, whose INFO has no `run_id`, as Dragonfly's: a real Dragonfly needs a newer
 * processor than every machine has.
 */
async function startSwitched() {
  const master = await startOwnValkey();
  const replica = await startOwnValkey();
  await master.runAll(Array.from({ length: keys }, (_, index) => ["SET", `key:${index}`, `value ${index}`]));
  await replica.run("REPLICAOF", master.host, master.port);
  await vi.waitFor(async () => expect(await replica.run("DBSIZE")).toBe(keys), { timeout: 20_000, interval: 50 });
  const open = new Set<Socket>();
  let behind = master;
  const front = createServer((client) => {
    const server = connect({ host: behind.host, port: behind.port });
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      open.add(one);
      one.once("close", () => other.destroy());
      one.on("error", () => other.destroy());
    }
    client.pipe(server);
    server.on("data", (chunk: Buffer) => client.write(renamed(chunk)));
  });
  front.listen(0, "127.0.0.1");
  await once(front, "listening");
  return {
    ...master,
    port: (front.address() as AddressInfo).port,
    /** The address leads to the other server from now on. */
    switch(): void {
      behind = behind === master ? replica : master;
      for (const socket of open) socket.destroy();
      open.clear();
    },
    async [Symbol.asyncDispose](): Promise<void> {
      front.close();
      for (const socket of open) socket.destroy();
      await replica[Symbol.asyncDispose]();
      await master[Symbol.asyncDispose]();
    },
  };
}

/** Fields of INFO under names of the same length. */
function renamed(chunk: Buffer): Buffer {
  return Buffer.from(chunk.toString("latin1").replace("\nrun_id:", "\nrun_xx:"), "latin1");
}

await describeWith(startSwitched, "an address that moves between a master and its replica", (server) => {
  test("no row is lost in the middle of a SCAN (case 52)", { timeout: 60_000 }, async () => {
    await using copy = await Copy.make();
    let operations = 0;
    const switching = (source: Source): Source =>
      disturbing(source, async () => {
        if (++operations === 30) server.switch();
      });
    const engine = { batchBytes: 4_000, commitRows: 1 };
    const run = (await copy.sync(server, {}, { engine, wrap: switching }))["dragonfly_data"]!;
    expect(run).toMatchObject({ outcome: "whole", error: null });
    expect(operations).toBeGreaterThan(30);
    expect(Object.keys(await copy.values())).toHaveLength(keys);
  });
});
