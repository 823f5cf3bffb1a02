import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { built } from "../built.ts";
import { ownPostgresqlIsHere } from "../servers/postgresql.ts";
import { describeWith } from "../servers/require.ts";

/** It takes about 15 s alone, of which the server's share is a third. */
const long = 120_000;

await describeWith(ownPostgresqlIsHere, "headwaters demo", () => {
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "headwaters-demo-"));
  });

  afterAll(() => rm(folder, { recursive: true }));

  function start(...source: readonly string[]): ChildProcess {
    return spawn(process.execPath, [built("cli/main.js"), "demo", ...source], {
      cwd: folder,
      stdio: ["ignore", "pipe", "inherit"],
    });
  }

  test.each([
    [[], "a stand-in for YugabyteDB"],
    [["postgres"], "Starting a real PostgreSQL 15\n"],
  ])(
    "%j copies, copies what changed, proves it, leaves only the warehouse",
    { timeout: long },
    async (source, title) => {
      const demo = start(...source);
      const ended = new Promise((resolve) => demo.once("close", resolve));
      const said = await text(demo.stdout!);
      expect(said).toContain(title);
      expect(said).toMatch(/Moved: 1,554 rows, just those that changed, of 256,000\./);
      expect(said).toMatch(/^demo: CONVERGED$/m);
      expect(said).toMatch(/^Rotterdam +[\d,]+/m);
      expect(await ended).toBe(0);
      expect(existsSync(join(folder, "demo", "warehouse.duckdb"))).toBe(true);
      expect(existsSync(serverFolder(said))).toBe(false);
    },
  );

  test("Ctrl-C ends it and its server", { timeout: long }, async () => {
    const demo = start();
    const ended = new Promise((resolve) => demo.once("close", resolve));
    let said = "";
    demo.stdout!.setEncoding("utf8").on("data", (chunk: string) => (said += chunk));
    await vi.waitFor(() => expect(said).toContain("First sync"), { timeout: long });
    expect(existsSync(serverFolder(said))).toBe(true);
    demo.kill("SIGINT");
    expect(await ended).toBe(130);
    expect(existsSync(serverFolder(said))).toBe(false);
  });
});

function serverFolder(said: string): string {
  return / in (\S+headwaters-postgresql-\w+)/.exec(said)![1]!;
}
