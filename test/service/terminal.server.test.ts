import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { runCli } from "../cli/run-cli.ts";
import { runSql, startPostgresql } from "../servers/postgresql.ts";
import { describeWith } from "../servers/require.ts";
import { folderWith, sourceOf } from "./folder.ts";

await describeWith(startPostgresql, "history and logs in the terminal", (server) => {
  test("show syncs and verifies, and what one said", async () => {
    await runSql(
      server.connectionString,
      "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 10)",
    );
    const shop = { source: sourceOf(server), destination: "duckdb:copy.duckdb" };
    await using place = await folderWith({ connections: { shop } });
    const cli = (...argv: string[]) => runCli(argv, { folder: place.path });
    expect((await cli("sync")).code).toBe(0);
    expect((await cli("verify")).code).toBe(0);
    expect((await cli("history")).out).toMatch(/verify +CONVERGED.*\n.*sync +succeeded +\S+( ?m?s)? +10 +10 +0 +0/);
    const told = (await cli("history", "--json")).out
      .trim()
      .split("\n")
      .map((line) => (JSON.parse(line) as { run: { id: string; kind: string } }).run);
    expect(told.map(({ kind }) => kind)).toEqual(["verify", "sync"]);
    const log = await cli("logs", told[1]!.id.slice(0, 8));
    expect([log.code, log.out]).toEqual([0, expect.stringContaining("t: whole, 10 rows read, 10 inserted")]);
    const none = await cli("logs", "00000000");
    expect([none.code, none.error]).toEqual([2, expect.stringContaining("no log of a run")]);
    expect((await cli("history", "--runs", "0")).code).toBe(2);
    // Each attempt is one file, though the engine says another start.
    expect((await cli("status", "--json")).out).not.toContain('"outcome":"died"');
  });
});

test("alert test sends what it says, and names what is wrong", async () => {
  const bodies: string[] = [];
  const hook = createServer((request, response) => {
    request.on("data", (chunk: Buffer) => bodies.push(chunk.toString()));
    request.on("end", () => response.end());
  });
  await new Promise<void>((resolve) => void hook.listen(0, "127.0.0.1", resolve));
  try {
    const connections = { shop: { source: "postgresql://u@h/d", destination: "duckdb:w.duckdb" } };
    const url = `http://127.0.0.1:${(hook.address() as AddressInfo).port}/`;
    const alerts = { ops: { url }, gone: { url: "http://127.0.0.1:9/secret-path" } };
    await using place = await folderWith({ connections, service: { alerts } });
    const cli = (...argv: string[]) => runCli(argv, { folder: place.path });
    expect(await cli("alert", "test", "ops")).toMatchObject({ code: 0, out: "the test was sent to ops\n" });
    expect(JSON.parse(bodies.join(""))).toMatchObject({ event: "test" });
    const gone = await cli("alert", "test", "gone");
    expect([gone.code, gone.error]).toEqual([2, expect.stringContaining("could not be sent to gone")]);
    expect(gone.error).not.toContain("secret-path");
    expect((await cli("alert", "test", "nobody")).error).toContain("There are ops, gone.");
  } finally {
    await new Promise((resolve) => void hook.close(resolve));
  }
});
