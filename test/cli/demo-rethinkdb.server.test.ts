import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { built } from "../built.ts";
import { startOwnRethinkdb } from "../servers/rethinkdb.ts";
import { term } from "../../src/wire/reql/terms.ts";

interface Ended {
  readonly code: number | null;
  readonly output: string;
}

async function demo(folder: string, ...more: readonly string[]): Promise<Ended> {
  const child = spawn(process.execPath, [built("cli/main.js"), "demo", "rethinkdb", ...more], { cwd: folder });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (output += text));
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { code, output };
}

test("demo rethinkdb copies, proves and leaves no database behind", { timeout: 180_000 }, async () => {
  const folder = await mkdtemp(join(tmpdir(), "headwaters-demo-"));
  await using server = await startOwnRethinkdb();
  try {
    const before = await server.run(term("DB_LIST"));
    const { code, output } = await demo(folder, "--server", `rethinkdb://admin@127.0.0.1:${server.port}`);
    expect(code, output).toBe(0);
    expect(output).toContain("Moved: 1,344 rows, just those that changed, of 110,620.");
    expect(output).toContain("demo: CONVERGED");
    expect(await server.run(term("DB_LIST"))).toEqual(before);
    const unnamed = await demo(folder);
    expect([unnamed.code, unnamed.output]).toEqual([
      2,
      expect.stringMatching(/--server: it is missing; no package registry has a RethinkDB server/),
    ]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
