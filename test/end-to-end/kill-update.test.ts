import { spawn } from "node:child_process";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { built } from "../built.ts";
import { Workplace } from "./program.ts";

const least = 4;
const source = { type: fileURLToPath(new URL("./game-source.ts", import.meta.url)), steps: 6_000 };

test("a source with update() that is killed goes on to the same end", { timeout: 600_000 }, async () => {
  await using place = await Workplace.make({ host: "", port: 0, user: "", password: "", database: "" });
  const connection = (file: string): unknown => ({
    source,
    destination: `duckdb:${file}`,
    schema: "public",
    commitInterval: "20ms",
    batchSize: "32KB",
  });
  const connections = { fresh: connection("fresh.duckdb"), copy: connection("copy.duckdb") };
  await place.write("headwaters.yaml", { connections });
  const fresh = await place.start(["sync", "fresh"]);
  expect(fresh.code, fresh.stderr).toBe(0);
  let killed = 0;
  while (await isKilled(place.folder, 1 + Math.floor(Math.random() * 8))) killed += 1;
  expect(killed).toBeGreaterThanOrEqual(least);
  for (const table of ["players", "moves"])
    expect(await place.differences(table, "copy.duckdb", "fresh.duckdb")).toEqual([]);
  const doubled = "SELECT id FROM copy.public.players GROUP BY id HAVING count(*) > 1 LIMIT 5";
  expect(await place.query("copy.duckdb", doubled)).toEqual([]);
});

/** Syncs and kills at some instant after so many commits that brought rows; `false`: it was over before. */
async function isKilled(cwd: string, commits: number): Promise<boolean> {
  const child = spawn(process.execPath, [built("cli/main.js"), "sync", "copy", "--json"], { cwd });
  let seen = 0;
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
  child.stdout.on("data", (chunk: Buffer) => {
    seen += chunk.toString().split('"kind":"committed"').length - 1;
    if (seen >= commits) void wait(Math.random() * 30).then(() => child.kill("SIGKILL"));
  });
  const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
  if (code !== null) expect(code, said).toBe(0);
  return code === null;
}
