import { type ChildProcess, spawn } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { built } from "../built.ts";
import { type PostgresqlServer, runSql, startPostgresql } from "../servers/postgresql.ts";
import { describeWith } from "../servers/require.ts";
import { Sandbox } from "./sandbox.ts";

/** What only a process of its own shows: signals, broken pipes, that it ends by itself. */
await describeWith(startPostgresql, "the process", (server: PostgresqlServer) => {
  let sandbox: Sandbox;

  beforeEach(async () => {
    sandbox = await Sandbox.create();
    await runSql(
      server.connectionString,
      `DROP TABLE IF EXISTS readings; CREATE TABLE readings (id int PRIMARY KEY, updated_at timestamptz DEFAULT now());
       INSERT INTO readings SELECT generate_series(1, 5000)`,
    );
  });

  afterEach(async () => {
    await sandbox[Symbol.asyncDispose]();
  });

  async function start(settings: string, ...flags: readonly string[]): Promise<ChildProcess> {
    const { host, port, database, user, password } = server;
    const source = JSON.stringify({ type: "yugabytedb", host, port, database, user, password });
    const text = `connections: { iot: { source: ${source}, destination: duckdb:w.duckdb${settings} } }`;
    await writeFile(join(sandbox.folder, "headwaters.yaml"), text);
    return spawn(process.execPath, [built("cli/main.js"), "sync", ...flags], { cwd: sandbox.folder });
  }

  const slow = ", maxRowsPerSecond: 500, batchSize: 1KB";

  test("the first Ctrl-C stops cleanly, and the next sync goes on", async () => {
    const stopped = await start(slow);
    await said(stopped, "full pass");
    stopped.kill("SIGINT");
    const { code, error } = await ended(stopped);
    expect(code).toBe(130);
    expect(error).toContain("Stopping: complete work is kept.");
    const { code: next, out } = await ended(await start("", "--verify"));
    expect(out).toContain("iot: CONVERGED");
    expect(next).toBe(0);
  });

  test("SIGTERM likewise", async () => {
    const stopped = await start(slow, "--json");
    await said(stopped, '"kind":"pass"');
    stopped.kill("SIGTERM");
    const { code, out, error } = await ended(stopped);
    expect(code).toBe(130);
    expect(JSON.parse(out.trimEnd().split("\n").at(-1)!)).toMatchObject({
      kind: "summary",
      outcome: "stopped",
      exitCode: 130,
    });
    expect(JSON.parse(error)).toMatchObject({ level: "info" });
  });

  test("the second Ctrl-C quits at once", async () => {
    const stopped = await start(slow);
    await said(stopped, "full pass");
    stopped.kill("SIGINT");
    stopped.kill("SIGINT");
    await said(stopped, "Stopping", "stderr");
    stopped.kill("SIGINT");
    expect((await ended(stopped)).code).toBe(130);
    expect((await ended(await start("", "--verify"))).out).toContain("iot: CONVERGED");
  });

  test("a reader that goes away does not stop the sync", async () => {
    const sync = await start("");
    sync.stdout!.destroy();
    expect((await ended(sync)).code).toBe(0);
    expect((await ended(await start("", "--verify"))).out).toContain("iot: CONVERGED");
  });
});

/** Waits until a process has written a text. */
function said(child: ChildProcess, text: string, where: "stdout" | "stderr" = "stdout"): Promise<void> {
  return new Promise((resolve, reject) => {
    let all = "";
    child[where]!.on("data", (chunk: Buffer) => {
      all += chunk.toString();
      if (all.includes(text)) resolve();
    });
    child.once("close", (code) => reject(new Error(`it ended with ${code} before it said "${text}": ${all}`)));
  });
}

function ended(child: ChildProcess): Promise<{ code: number | null; out: string; error: string }> {
  const texts = { out: "", error: "" };
  child.stdout!.on("data", (chunk: Buffer) => (texts.out += chunk.toString()));
  child.stderr!.on("data", (chunk: Buffer) => (texts.error += chunk.toString()));
  return new Promise((resolve) => {
    child.once("close", (code) => resolve({ code, ...texts }));
  });
}
