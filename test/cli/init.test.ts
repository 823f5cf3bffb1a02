import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { destinations } from "../../src/destinations/index.ts";
import { sources } from "../../src/sources/index.ts";
import { runCli } from "./run-cli.ts";
import { loadConnections } from "./sandbox.ts";
import { Sandbox } from "./sandbox.ts";

let sandbox: Sandbox;

beforeEach(async () => {
  sandbox = await Sandbox.create();
});

afterEach(async () => {
  await sandbox[Symbol.asyncDispose]();
});

const environment = { YUGABYTEDB_DATABASE: "iot", YUGABYTEDB_USER: "reader", YUGABYTEDB_PASSWORD: "hunter2" };

function written(name = "headwaters.yaml"): Promise<string> {
  return readFile(join(sandbox.folder, name), "utf8");
}

test("piped, it asks nothing, and the file works once the environment is there", async () => {
  const { folder, redactor } = sandbox;
  const { code, out, error } = await runCli(["init"], { folder });
  expect([code, error]).toEqual([0, ""]);
  expect(out).toBe(
    "Wrote headwaters.yaml.\nSet YUGABYTEDB_DATABASE, YUGABYTEDB_USER, YUGABYTEDB_PASSWORD, or write the values into headwaters.yaml.\nThen: headwaters check, headwaters sync.\n",
  );
  const [connection] = await loadConnections({ names: [] }, { folder, environment, redactor });
  expect(connection).toMatchObject({
    name: "yugabytedb",
    source: { configuration: { host: "localhost", database: "iot", user: "reader", password: "hunter2" } },
    destination: { configuration: { path: join(folder, "warehouse.duckdb") } },
  });
  await expect(await written()).toMatchFileSnapshot("golden/headwaters.yaml");
});

test("editors find the schema by a path that holds on other machines (case 34)", async () => {
  await runCli(["init"], { folder: sandbox.folder });
  const [, path] = /^# yaml-language-server: \$schema=(.*)$/m.exec(await written())!;
  expect(path).toBe("./.headwaters/headwaters.schema.json");
  expect(await written(path)).toBe(await readFile(new URL("../../headwaters.schema.json", import.meta.url), "utf8"));
});

test("only its owner may read it, and what is there is left alone", async () => {
  const { folder } = sandbox;
  await runCli(["init"], { folder });
  if (process.platform !== "win32") {
    expect((await stat(join(folder, "headwaters.yaml"))).mode & 0o777).toBe(0o600);
  }
  await writeFile(join(folder, "headwaters.yaml"), "mine");
  const again = await runCli(["init"], { folder });
  expect([again.code, again.error]).toEqual([
    2,
    "error headwaters.yaml exists already; nothing was changed. (CONFIGURATION_INVALID)\n  Name another file with --file, or move this one away first.\n",
  ]);
  expect(await written()).toBe("mine");
});

test("every commented setting can be put in place by taking its # away", async () => {
  const { folder, redactor } = sandbox;
  await runCli(["init"], { folder });
  // Those without a value behind them are for the reader to fill.
  const text = (await written()).replace(/^( +)#(\w+: \S.*)$/gm, "$1$2");
  await writeFile(join(folder, "headwaters.yaml"), text);
  const [connection] = await loadConnections({ names: [] }, { folder, environment, redactor });
  expect(connection!.settings).toMatchObject({ deletes: "auto", commitRows: 1000, maxRowsPerSecond: 50_000 });
  expect(connection!.tables).toMatchObject({ sensor_readings: { cursor: "recorded_at" } });
});

test.each(Object.keys(sources))("a file for %s has nothing but settings that there are", async (source) => {
  const { folder, redactor } = sandbox;
  const { code } = await runCli(["init", "--source", source, "--file", "one.yaml", "--quiet"], { folder });
  expect(code).toBe(0);
  const names = [...(await written("one.yaml")).matchAll(/\$\{([A-Z0-9_]+)\}/g)].map((match) => match[1]!);
  const filled = Object.fromEntries(names.map((name) => [name, name.endsWith("PORT") ? "1000" : "x"]));
  const [connection] = await loadConnections(
    { names: [], file: "one.yaml" },
    { folder, environment: filled, redactor },
  );
  expect(connection!.source.definition.name).toBe(source);
});

test("another name of a source stands for its own", async () => {
  const { folder } = sandbox;
  expect((await runCli(["init", "--source", "postgres", "--quiet"], { folder })).code).toBe(0);
  expect(await written()).toMatch(/connections:\n {2}postgresql:\n {4}source:\n {6}type: postgresql\n/);
});

test("kin name each other, and share what decides which rows there are", async () => {
  for (const [name, { load }] of Object.entries(sources)) {
    for (const other of (await load()).kin ?? []) {
      const kin = await sources[other]!.load();
      expect(kin.kin).toContain(name);
      expect([kin.scope, kin.schema]).toEqual([(await load()).scope, (await load()).schema]);
    }
  }
});

test("an unknown source, and a folder that is not there", async () => {
  const { folder } = sandbox;
  const unknown = await runCli(["init", "--source", "yugabite"], { folder });
  expect([unknown.code, unknown.error]).toEqual([
    2,
    'error --source names an unknown source: "yugabite". (CONFIGURATION_INVALID)\n  Did you mean yugabytedb?\n',
  ]);
  const nowhere = await runCli(["init", "--file", "no/where.yaml"], { folder });
  expect(nowhere.error).toMatch(/^error no\/where\.yaml can't be written \(ENOENT\)\./);
});

test("the registries know connectors by the names that these have", async () => {
  for (const registry of [sources, destinations]) {
    for (const [name, { title, load }] of Object.entries(registry)) expect(await load()).toMatchObject({ name, title });
  }
});
