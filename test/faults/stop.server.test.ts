import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { expect, test } from "vitest";
import { built } from "../built.ts";
import { startFront } from "../servers/front.ts";
import { describeWith } from "../servers/require.ts";
import { type Filled, filledPostgresql, kinds } from "./kinds.ts";

/** Waits that are far longer than a stop may take. */
const longWaits = { read_timeout: 60, connect_timeout: 60, request_timeout: 60 };

/** The settings of a source with such waits, as far as it has them. */
function withLongWaits(settings: Record<string, unknown>): Record<string, unknown> {
  const own = Object.entries(longWaits).filter(([name]) => name in settings);
  return { ...settings, ...Object.fromEntries(own) };
}

/** One sync in a process of its own, which a SIGTERM ends once `ready` has resolved. */
async function stopped(
  source: object,
  destination: object | string,
  signal: "SIGTERM" | "SIGINT",
  ready: (child: ChildProcess) => Promise<unknown>,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "headwaters-stop-"));
  try {
    const connection = { source, destination, schema: `copy_${Date.now()}`, batchSize: "64KB" };
    await writeFile(join(folder, "headwaters.yaml"), JSON.stringify({ connections: { c: connection } }));
    const child = spawn(process.execPath, [built("cli/main.js"), "sync", "--json"], { cwd: folder });
    let said = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (said += chunk.toString()));
    const closed = once(child, "close") as Promise<[code: number | null, signal: string | null]>;
    await ready(child);
    // It waits by now.
    await wait(300);
    expect([child.exitCode, said]).toEqual([null, expect.anything()]);
    const began = performance.now();
    child.kill(signal);
    const [code] = await closed;
    expect([code, said]).toEqual([130, expect.anything()]);
    expect(performance.now() - began).toBeLessThan(5_000);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** A port that takes connections and says nothing. Resolves once somebody has come. */
async function silentPort(): Promise<AsyncDisposable & { readonly port: number; readonly came: Promise<unknown> }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {}).resume();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    came: once(server, "connection"),
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

for (const [name, start] of Object.entries(kinds)) {
  await describeWith(start, `a stop while ${name} hangs (case 18)`, (server: Filled) => {
    test.each(["SIGTERM", "SIGINT"] as const)("%s in the middle of a transfer", { timeout: 60_000 }, async (signal) => {
      await using front = await startFront(server);
      const hit = front.after(700_000, () => front.break("silent"));
      await stopped(withLongWaits(server.source(front.port)), "duckdb:copy.duckdb", signal, () => hit);
    });

    test("SIGTERM while it connects", { timeout: 60_000 }, async () => {
      await using silent = await silentPort();
      await stopped(withLongWaits(server.source(silent.port)), "duckdb:copy.duckdb", "SIGTERM", () => silent.came);
    });

    test("SIGTERM in the pause before another attempt", { timeout: 60_000 }, async () => {
      await using front = await startFront(server);
      let gone: Promise<void> | null = null;
      const hit = front.after(700_000, () => (gone = front.stop()));
      await stopped(withLongWaits(server.source(front.port)), "duckdb:copy.duckdb", "SIGTERM", () => hit);
      await gone;
    });
  });
}

await describeWith(filledPostgresql, "a stop while PostgreSQL as destination hangs (case 18)", (server) => {
  test.each(["SIGTERM", "SIGINT"] as const)("%s in the middle of a transfer", { timeout: 60_000 }, async (signal) => {
    await using front = await startFront(server);
    const hit = front.after(700_000, () => front.break("silent"));
    const destination = { ...server.destination(front.port), read_timeout: 60, connect_timeout: 60 };
    await stopped(server.source(server.port), destination, signal, () => hit);
  });

  test("SIGTERM while it connects", { timeout: 60_000 }, async () => {
    await using silent = await silentPort();
    const destination = { ...server.destination(silent.port), read_timeout: 60, connect_timeout: 60 };
    await stopped(server.source(server.port), destination, "SIGTERM", () => silent.came);
  });
});
