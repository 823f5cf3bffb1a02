import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { pythonPackages } from "../../src/servers/python.ts";
import { describeWith, orMissing } from "../servers/require.ts";
import { folderWith } from "./folder.ts";
import { Up } from "./up.ts";

const run = promisify(execFile);

async function startSchemathesis() {
  const python = await orMissing(pythonPackages("schemathesis==4.32.5"));
  return { ...python, [Symbol.asyncDispose]: async () => {} };
}

const token = "a-token-that-is-long";

await describeWith(startSchemathesis, "the API as Schemathesis finds it", (python) => {
  // Requests that are right, wrong and odd, made from the description of the API; its checks compare the answers with it.
  test(
    "every answer is as OpenAPI describes it, and no request makes the service fail",
    { timeout: 400_000 },
    async () => {
      // Nothing is reached: the port is closed.
      const shop = { source: "postgresql://reader:pw@127.0.0.1:9/shop", destination: "duckdb:copy.duckdb" };
      const alerts = { ops: { url: "http://127.0.0.1:9/hook" } };
      await using folder = await folderWith({ connections: { shop }, service: { token, alerts } });
      await using up = await Up.start(folder.path);
      const place = await mkdtemp(join(tmpdir(), "headwaters-schemathesis-"));
      try {
        const { failed, output } = await run(
          python.command,
          [
            ...["-c", "from schemathesis.cli import schemathesis; schemathesis()"],
            ...["run", `${up.address}/api/v1/openapi.json`, "--url", `${up.address}/api/v1`],
            ...["--header", `Authorization: Bearer ${token}`, "--phases", "examples,coverage,fuzzing"],
            // Events do not end; wrong tokens, which this check sends, make an address wait.
            ...["--exclude-path", "/events", "--exclude-checks", "ignored_auth"],
            ...["--max-examples", "20", "--seed", "1", "--no-color"],
          ],
          { cwd: place, env: { ...process.env, ...python.environment }, maxBuffer: 16 << 20 },
        ).then(
          ({ stdout }) => ({ failed: false, output: stdout }),
          (error: { readonly stdout: string; readonly stderr: string }) => ({
            failed: true,
            output: `${error.stdout}${error.stderr}`,
          }),
        );
        expect(failed ? output : "").toBe("");
        expect(Number(/(\d+) generated/.exec(output)![1])).toBeGreaterThan(300);
        expect(await up.stop()).toBe(0);
      } finally {
        await rm(place, { recursive: true, force: true });
      }
    },
  );
});
