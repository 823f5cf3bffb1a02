import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { built } from "../built.ts";
import { startOwnValkey } from "../servers/redis.ts";
import { describeWith } from "../servers/require.ts";

interface Ended {
  readonly code: number | null;
  readonly output: string;
}

async function demo(source: string, folder: string, ...more: readonly string[]): Promise<Ended> {
  const child = spawn(process.execPath, [built("cli/main.js"), "demo", source, ...more], { cwd: folder });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (output += text));
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { code, output };
}

await describeWith(startOwnValkey, "the demo of", (server) => {
  beforeAll(() =>
    server.runAll([
      ["SET", "mine", "stays"],
      ["SELECT", 15],
      ["SET", "mine too", "stays"],
    ]),
  );

  test.each(["dragonflydb", "redis", "valkey"])(
    "%s takes an empty database of the server, copies, proves and leaves nothing behind",
    { timeout: 180_000 },
    async (source) => {
      const folder = await mkdtemp(join(tmpdir(), "headwaters-demo-"));
      try {
        const { code, output } = await demo(source, folder, "--server", `redis://${server.host}:${server.port}`);
        expect(code, output).toBe(0);
        expect(output).toContain(`Database 14 of ${server.host}:${server.port} is empty and is used`);
        expect(output).toContain("Moved: 1,211 rows, just those that changed, of 120,201.");
        expect(output).toContain("demo: CONVERGED");
        expect(String(await server.run("INFO", "keyspace")).match(/^db\d+:keys=\d+/gm)).toEqual([
          "db0:keys=1",
          "db15:keys=1",
        ]);
        const taken = await demo(source, folder, "--server", `redis://${server.host}:${server.port}/15`);
        expect([taken.code, taken.output]).toEqual([
          2,
          expect.stringMatching(/--server: database 15 of \S+ is not empty/),
        ]);
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    },
  );
});
