import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { expect } from "vitest";
import { type CliRun, runCli } from "../cli/run-cli.ts";
import type { Fault, Front } from "../servers/front.ts";

/** What happens to the connection of a sync in the middle of a transfer, and how the sync ends. */
export interface Case {
  readonly what: string;
  readonly exit: number;
  strike(front: Front): Promise<void> | void;
}

const broken = (fault: Fault, exit: number): Case => ({
  what: fault,
  exit,
  strike: (front) => front.break(fault),
});

export const faults: readonly Case[] = [
  broken("cut", 0),
  broken("reset", 0),
  broken("forget", 0),
  broken("freeze", 0),
  broken("silent", 3),
  broken("drip", 3),
  {
    what: "restart",
    exit: 0,
    async strike(front) {
      await front.stop();
      await wait(500);
      await front.start();
    },
  },
  { what: "gone for longer than the retries last", exit: 3, strike: (front) => front.stop() },
];

/** One sync, which the fault strikes; another one without it, which proves the copy. */
export async function struck(front: Front, fault: Case, source: object, destination: object | string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "headwaters-fault-"));
  const connection = { source, destination, schema: `copy_${front.port}`, attempts: 3, batchSize: "64KB" };
  const sync = (...flags: string[]): Promise<CliRun> => runCli(["sync", "--json", ...flags], { folder });
  try {
    await writeFile(join(folder, "headwaters.yaml"), JSON.stringify({ connections: { c: connection } }));
    const striking: (void | Promise<void>)[] = [];
    const hit = front.after(700_000, () => striking.push(fault.strike(front)));
    const began = performance.now();
    const run = await sync();
    await hit;
    await Promise.all(striking);
    expect([run.code, run.out]).toEqual([fault.exit, expect.anything()]);
    expect(performance.now() - began).toBeLessThan(45_000);
    if (fault.what.startsWith("gone")) await front.start();
    // New connections work; the old ones stay open at the server.
    if (fault.what !== "freeze") front.heal();
    const next = await sync("--verify");
    expect([next.code, next.out]).toEqual([0, expect.stringContaining('"CONVERGED"')]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
