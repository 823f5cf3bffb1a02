import { existsSync } from "node:fs";
import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { runSql, startPostgresql } from "../servers/postgresql.ts";
import { describeWith } from "../servers/require.ts";
import { type CliRun, runCli } from "./run-cli.ts";
import { Sandbox } from "./sandbox.ts";
import { keys, Typist } from "./typist.ts";

const { enter, down, space, stop, clear } = keys;
const password = "it's `${a}` $secret";

await describeWith(startPostgresql, "init on a terminal", (server) => {
  let sandbox: Sandbox;

  beforeEach(async () => {
    sandbox = await Sandbox.create();
    await runSql(
      server.connectionString,
      `DROP SCHEMA IF EXISTS shop CASCADE; CREATE SCHEMA shop; DROP ROLE IF EXISTS keeper;
       CREATE ROLE keeper LOGIN PASSWORD 'it''s \`\${a}\` $secret'; GRANT USAGE ON SCHEMA shop TO keeper; GRANT pg_read_all_stats TO keeper;
       CREATE TABLE shop.orders (id int PRIMARY KEY, updated_at timestamptz DEFAULT now());
       CREATE TABLE shop.log (line text); CREATE TABLE shop.customers (id int PRIMARY KEY, name text);
       INSERT INTO shop.orders SELECT generate_series(1, 50); INSERT INTO shop.customers VALUES (1, 'Ann');
       GRANT SELECT ON ALL TABLES IN SCHEMA shop TO keeper; ANALYZE`,
    );
  });

  afterEach(async () => {
    await sandbox[Symbol.asyncDispose]();
  });

  async function typed(typist: Typist, ...more: readonly string[]): Promise<CliRun> {
    const { folder } = sandbox;
    const ran = await runCli(["init", ...more], { folder, stdin: typist.stdin, stdout: typist, stderr: typist });
    expect(typist.waiting).toEqual([]);
    return ran;
  }

  const file = (name: string): Promise<string> => readFile(join(sandbox.folder, name), "utf8");

  test("asks, tries each answer, writes secrets apart, and syncs", async () => {
    await mkdir(join(sandbox.folder, ".git"));
    await writeFile(join(sandbox.folder, ".gitignore"), "node_modules");
    const typist = new Typist([
      ["Which database do you want to copy?", `${down}${down}${enter}`],
      ["host: ", `${clear}${server.host}${enter}`],
      ["port: ", `${clear}${server.port}${enter}`],
      ["database: ", `${server.database}${enter}`],
      ["user: ", `keeper${enter}`],
      ["password: ", `wrong${enter}`],
      ["schema: ", `${clear}shop${enter}`],
      ["What now?", enter],
      ["host: ", enter],
      ["port: ", enter],
      ["database: ", enter],
      ["user: ", enter],
      ["password: ", `${password}${enter}`],
      ["schema: ", enter],
      ["Name of the connection", `${clear}ours${enter}`],
      ["Where should the copy be?", enter],
      ["path: ", enter],
      ["Which tables should be copied?", `${down}${enter}`],
      ["Which of them?", `${space}${down}${down}${space}${enter}`],
      ["Sync now?", enter],
    ]);
    expect((await typed(typist)).code).toBe(0);
    const said = typist.text.replace(/\s+/g, " ");
    expect(said).toContain(`the server refuses the password of user "keeper"`);
    expect(said).toContain("It has no primary key, so it is read whole at each sync.");
    expect(typist.text).toContain("About 51 rows, which takes a few seconds.");
    expect(typist.text).toContain("2 of 2 tables whole");
    for (const told of [typist.text, await file("headwaters.yaml")]) expect(told).not.toMatch(/wrong|\$secret/);
    expect(await file(".gitignore")).toBe("node_modules\n.env\n");
    expect((await stat(join(sandbox.folder, ".env"))).mode & 0o777).toBe(0o600);
    // What was written stands by itself.
    const { folder } = sandbox;
    const again = await runCli(["verify"], { folder, environment: {} });
    expect([again.code, again.error]).toEqual([0, ""]);
    expect(again.out).toMatch(/customers[^]*orders/);
    expect(again.out).not.toContain("log");
  });

  test("what flags give is not asked", async () => {
    const { host, port, database } = server;
    const source = `postgresql://keeper:${encodeURIComponent(password)}@${host}:${port}/${database}?schema=shop`;
    const typist = new Typist([]);
    const flags = ["ours", "--source", source, "--destination", "duckdb:one.duckdb", "--tables", "o*", "--sync"];
    expect((await typed(typist, ...flags)).code).toBe(0);
    expect(typist.text).toContain("1 of 1 table whole");
    expect(typist.text).not.toContain("$secret");
    expect(await file("headwaters.yaml")).toContain("path: one.duckdb");
    expect(await file(".env")).toContain("POSTGRESQL_PASSWORD=");
  });

  test("a variable that is set otherwise keeps its value", async () => {
    await writeFile(join(sandbox.folder, ".env"), "POSTGRESQL_PASSWORD=another's\n");
    const { host, port, database } = server;
    const source = `postgresql://keeper:${encodeURIComponent(password)}@${host}:${port}/${database}?schema=shop`;
    const flags = ["ours", "--source", source, "--destination", "duckdb:one.duckdb", "--tables", "*", "--no-sync"];
    expect((await typed(new Typist([]), ...flags)).code).toBe(0);
    expect(await file(".env")).toMatch(/^POSTGRESQL_PASSWORD=another's\nOURS_POSTGRESQL_PASSWORD=/);
    const checked = await runCli(["check"], { folder: sandbox.folder, environment: {} });
    expect([checked.code, checked.error]).toEqual([0, ""]);
  });

  test("Ctrl-C at a question writes nothing", async () => {
    const typist = new Typist([
      ["Which database do you want to copy?", enter],
      ["host", stop],
    ]);
    expect((await typed(typist)).code).toBe(130);
    for (const name of ["headwaters.yaml", ".env", ".headwaters"])
      expect(existsSync(join(sandbox.folder, name))).toBe(false);
  });
});
