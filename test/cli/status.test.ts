import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type CliRun, runCli } from "./run-cli.ts";

/** A source whose configuration says how it fails. */
const source = `
import { defineSource, z } from "headwaters";
export default defineSource({
  name: "weather",
  configuration: z.object({ token: z.string().meta({ secret: true }), fails: z.string().default("") }),
  state: z.object({ next: z.number().default(0) }),
  schema: { readings: { key: ["id"], columns: { id: "LONG" } } },
  async *update({ configuration, state, upsert, checkpoint }) {
    if (configuration.fails === "throws") throw new Error("the key " + configuration.token + " is refused");
    if (configuration.fails === "killed") await new Promise(() => {});
    yield upsert("readings", { id: state.next });
    yield checkpoint({ next: state.next + 1 });
  },
});
`;

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "headwaters-status-"));
  await writeFile(join(folder, "weather.ts"), source);
  await configured("");
  return () => rm(folder, { recursive: true });
});

async function configured(fails: string, more = ""): Promise<void> {
  await writeFile(
    join(folder, "headwaters.yaml"),
    `connections:\n  w:\n    source: { type: ./weather.ts, token: \${TOKEN}, fails: "${fails}"${more} }\n    destination: duckdb:w.duckdb\n`,
  );
}

const secret = { TOKEN: "hunter2-hunter2" };

async function cli(line: string, environment: NodeJS.ProcessEnv = secret): Promise<CliRun> {
  const run = await runCli(line.split(" "), { folder, environment });
  expect(run.out + run.error).not.toContain(secret.TOKEN);
  return run;
}

async function statusJson(flags = ""): Promise<Record<string, unknown>> {
  return JSON.parse((await cli(`status --json${flags}`, {})).out) as Record<string, unknown>;
}

let children: ChildProcess[] = [];
afterEach(async () => {
  for (const child of children) {
    child.kill("SIGKILL");
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  }
  children = [];
});

/** Another process that reads the DuckDB file. */
async function reader(): Promise<number> {
  const script = `
    const duckdb = require("@duckdb/node-bindings");
    (async () => {
      globalThis.held = await duckdb.connect(await duckdb.open(${JSON.stringify(join(folder, "w.duckdb"))}));
      process.stdout.write("ready");
      setInterval(() => {}, 1000);
    })();`;
  const child = spawn(process.execPath, ["-e", script], { cwd: import.meta.dirname });
  children.push(child);
  await once(child.stdout, "data");
  return child.pid!;
}

describe("status", () => {
  test("shows an attempt that failed, with its reason, without the source's secrets (case 30)", async () => {
    expect((await cli("sync")).code).toBe(0);
    await configured("throws");
    expect((await cli("sync")).code).not.toBe(0);
    const { code, out, error } = await cli("status", {});
    expect([code, error]).toEqual([0, ""]);
    expect(out).toMatch(/\nreadings +1 +20..-/);
    expect(out).toMatch(
      /\nrun .*: failed \(SOURCE_FAILED\), 0 of 1 table whole.*\n {2}readings: .*\n[^]*\nrun .*: succeeded/,
    );
    expect(await statusJson()).toMatchObject({ runs: [{ outcome: "failed" }, { outcome: "succeeded" }] });
    expect((await statusJson(" --runs 1"))["runs"]).toHaveLength(1);
    for (const name of await readdir(join(folder, ".headwaters", "w"))) {
      const file = join(folder, ".headwaters", "w", name);
      expect(await readFile(file, "utf8")).not.toContain(secret.TOKEN);
      if (process.platform !== "win32") expect((await stat(file)).mode & 0o777).toBe(0o600);
    }
  });

  test("shows an attempt whose settings were wrong (case 30)", async () => {
    expect((await cli("sync")).code).toBe(0);
    expect((await cli("sync", {})).code).toBe(2);
    expect((await cli("status", {})).out).toMatch(
      /\nrun .*: failed \(CONFIGURATION_INVALID\).*\n {2}.*environment variable TOKEN, which is not set/,
    );
  });

  test("tells a killed run from a running one (case 30)", async () => {
    expect((await cli("sync")).code).toBe(0);
    const [name] = await readdir(join(folder, ".headwaters", "w"));
    const file = join(folder, ".headwaters", "w", name!);
    const attempt = JSON.parse(await readFile(file, "utf8")) as object;
    const later = { id: "later", started: new Date(Date.now() + 1_000).toISOString(), ended: null, outcome: "running" };
    const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"]);
    children.push(child);
    await once(child, "spawn");
    const dead = { ...attempt, ...later, error: undefined, pid: child.pid, process: "another start", host: hostname() };
    await writeFile(join(folder, ".headwaters", "w", "9.json"), JSON.stringify(dead));
    expect(await statusJson()).toMatchObject({ runs: [{ id: "later", outcome: "died" }, { outcome: "succeeded" }] });
    expect((await cli("status", {})).out).toContain("Its process ended without a record");
    expect((await cli("status --max-age 1h", {})).code).toBe(7);
  });

  test("--max-age ends with 7 if a copy is older or the last sync failed (case 30)", async () => {
    expect((await cli("sync")).code).toBe(0);
    expect((await cli("status --max-age 1h", {})).code).toBe(0);
    const old = await cli("status --max-age 1ms --quiet", {});
    expect([old.code, old.out, old.error]).toEqual([7, "", expect.stringMatching(/^stale w: readings is as of 20/)]);
    await configured("throws");
    await cli("sync");
    const failed = await cli("status --max-age 1h --json", {});
    expect([failed.code, JSON.parse(failed.out)]).toMatchObject([
      7,
      { outcome: "stale", exitCode: 7, late: ["the last sync failed"] },
    ]);
    expect((await cli("status --max-age soon", {})).error).toContain("--max-age must be a duration");
    expect((await cli("status --runs 0", {})).code).toBe(2);
  });

  test("answers while another process has the file open, which sync names and may pass (cases 30, 32)", async () => {
    expect((await cli("sync")).code).toBe(0);
    const pid = await reader();
    const refused = await cli("sync");
    expect([refused.code, refused.error]).toEqual([
      3,
      expect.stringMatching(
        new RegExp(`w\\.duckdb is open in process ${pid} \\(node.*\\) \\(DESTINATION_BUSY\\)\n  .*close a program`),
      ),
    ]);
    const { code, out } = await cli("status", {});
    expect([code, out]).toEqual([
      0,
      expect.stringMatching(/\nnot read .*DESTINATION_BUSY\)\n[^]*\nreadings +unknown +20..-/),
    ]);
    expect(out).toMatch(/\nrun .*: failed \(DESTINATION_BUSY\)[^]*\nrun .*: succeeded/);
    expect(await statusJson()).toMatchObject({ unreadable: { code: "DESTINATION_BUSY" }, exitCode: 0 });
  });

  test("shows what is known if the destination can't be opened (case 30)", async () => {
    expect((await cli("sync")).code).toBe(0);
    await writeFile(join(folder, "w.duckdb"), "this is no database".repeat(1_000));
    expect((await cli("sync")).code).toBe(2);
    const { code, out } = await cli("status", {});
    expect([code, out]).toEqual([2, expect.stringMatching(/is not a DuckDB file \(DESTINATION_UNUSABLE\)\n/)]);
    expect(out).toMatch(/\nreadings +unknown +20..-[^]*: failed \(DESTINATION_UNUSABLE\)/);
  });

  test.runIf(process.getuid?.() !== 0)("a folder that can't be written is a warning (case 30)", async () => {
    await writeFile(join(folder, "state"), "");
    await chmod(join(folder, "state"), 0o400);
    const { code, error } = await cli("sync", { ...secret, HEADWATERS_STATE: join(folder, "state") });
    expect([code, error]).toEqual([0, expect.stringContaining("the attempt can't be recorded")]);
  });
});
