import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { type PostgresqlServer, runSql, startPostgresql } from "../servers/postgresql.ts";
import { describeWith } from "../servers/require.ts";
import { type CliOptions, type CliRun, runCli } from "./run-cli.ts";
import { Screen } from "./screen.ts";

/** With everything that a URL, JSON, SQL or a shell would write in another way. */
const password = `p@ss/'w"o rd%$\\é`;

const tables = `
  CREATE TABLE devices (device_id text PRIMARY KEY, name text, updated_at timestamptz NOT NULL DEFAULT now());
  CREATE TABLE alerts (alert_id int PRIMARY KEY, text text, updated_at timestamptz NOT NULL DEFAULT now());
  CREATE TABLE hidden (id int PRIMARY KEY);
  INSERT INTO devices SELECT 'd' || i, 'device ' || i FROM generate_series(1, 500) i;
  INSERT INTO alerts SELECT i, 'alert ' || i FROM generate_series(1, 30) i;
`;

await describeWith(startPostgresql, "commands", (server: PostgresqlServer) => {
  const role = `reader_${server.database}`;
  let folder: string;

  beforeAll(async () => {
    const secret = password.replaceAll("'", "''");
    await runSql(
      server.connectionString,
      `${tables} CREATE ROLE ${role} LOGIN PASSWORD '${secret}'; GRANT SELECT ON devices, alerts TO ${role}; GRANT pg_read_all_stats TO ${role}`,
    );
  });

  afterAll(async () => {
    await runSql(server.connectionString, `DROP OWNED BY ${role}; DROP ROLE ${role}`);
  });

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "headwaters-cli-"));
    await write();
    return () => rm(folder, { recursive: true });
  });

  /** The file with one connection, and more settings of it or more connections behind. */
  async function write(more = "", port = server.port): Promise<void> {
    await writeFile(
      join(folder, "headwaters.yaml"),
      `connections:
  iot:
    source: { type: yugabytedb, host: ${server.host}, port: ${port}, database: ${server.database}, user: ${role}, password: \${PW} }
    destination: duckdb:w.duckdb
    attempts: 2
    tables: { exclude: [hidden] }
${more}`,
    );
  }

  async function cli(argv: readonly string[], options: CliOptions = {}): Promise<CliRun> {
    const run = await runCli(argv, { folder, environment: { PW: password }, ...options });
    for (const text of [run.out, run.error]) expectNoSecret(text);
    return run;
  }

  async function json(argv: readonly string[]): Promise<readonly Record<string, unknown>[]> {
    const { out } = await cli([...argv, "--json"]);
    return out
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  async function duckdb(sql: string): Promise<unknown[]> {
    const instance = await DuckDBInstance.create(join(folder, "w.duckdb"));
    const connection = await instance.connect();
    try {
      return (await connection.runAndReadAll(sql)).getRowsJson();
    } finally {
      connection.closeSync();
      instance.closeSync();
    }
  }

  test("check: every step, and that it is ready", async () => {
    const { code, out, error } = await cli(["check"]);
    expect(error).toBe("");
    expect(code).toBe(0);
    expect(out).toMatch(/^iot: YugabyteDB to DuckDB\n {2}ok /);
    expect(out).toContain("it does not exist yet; the first sync creates it");
    expect(out).toContain("\n  ok       Selection: 2 tables will be synced\n");
    expect(out).toMatch(/\niot: ready to sync\n$/);
    expect(await readdir(folder)).toEqual(["headwaters.yaml"]);
    const lines = await json(["check"]);
    expect(lines.at(-1)).toMatchObject({ connection: "iot", kind: "checked", outcome: "ok", exitCode: 0 });
    expect(lines[0]).toMatchObject({ kind: "check", status: "ok" });
  });

  test("check: what fails has its remedy, and the exit code says so", async () => {
    const { code, out } = await cli(["check"], { environment: { PW: "another-secret" } });
    expect(code).toBe(2);
    expect(out).toMatch(/ {2}failed {3}Log in as reader_\w+: .*password/);
    expect(out).not.toContain("another-secret");
    expect(out).not.toContain("ready");
  });

  test("discover: tables, keys and how changes are found", async () => {
    const { code, out } = await cli(["discover"]);
    expect(code).toBe(0);
    expect(out).toContain("iot: YugabyteDB, 2 tables\n");
    expect(out).toMatch(/\ndevices +device_id +3 +.*by updated_at +sweep\n/);
    const [devices] = await json(["discover", "--tables", "devices"]);
    expect(devices).toMatchObject({
      kind: "table",
      table: { id: "devices", key: ["device_id"], cursor: "updated_at" },
    });
    const unknown = await cli(["discover", "--tables", "device"]);
    expect([unknown.code, unknown.error]).toEqual([
      2,
      'error iot: --tables: there is no table "device" here. (TABLE_UNKNOWN)\n  Did you mean devices?\n',
    ]);
    expect((await cli(["discover", "--columns", "--tables", "alerts"])).out).toContain("  alert_id    INT not null\n");
  });

  test("discover --write names the tables in the file, which only its owner may read", async () => {
    const file = join(folder, "headwaters.yaml");
    await chmod(file, 0o600);
    const { code, out, error } = await cli(["discover", "--write"]);
    expect([code, error]).toEqual([0, ""]);
    expect(out).toMatch(/\niot: written to headwaters\.yaml\n$/);
    expect(await readFile(file, "utf8")).toContain(`
    tables:
      include:
        - alerts # key alert_id; ~`);
    expect(await readFile(file, "utf8")).toMatch(
      /- devices # key device_id; ~\d+ rows; changes: by updated_at\n {8}# - hidden # key id; .*\n {6}exclude: \[ hidden \]\n/,
    );
    expect(await readdir(folder)).toEqual(["headwaters.yaml"]);
    if (process.platform !== "win32") expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect((await cli(["discover", "--write"])).out).toMatch(/\niot: headwaters\.yaml has them already\n$/);
    expect((await json(["discover", "--write"])).at(-1)).toMatchObject({ kind: "written", changed: false });
    expect((await cli(["discover"])).out).toContain("iot: YugabyteDB, 2 tables\n");
    const fixed = await cli(["discover", "--write", "--source", "yugabytedb", "--configuration", "c.json"]);
    expect([fixed.code, fixed.error]).toEqual([2, expect.stringContaining("--write can't be used with --source")]);
  });

  test("settings of a table that don't fit it are told, and the other tables are shown", async () => {
    await write("    overrides: { devices: { columns: [name] }, alerts: { columns: { exclude: [text] } } }");
    const { code, out, error } = await cli(["discover"]);
    expect([code, error]).toEqual([
      2,
      expect.stringContaining('overrides.devices.columns: "device_id" is left out, but it is part of the table\'s key'),
    ]);
    expect(out).toMatch(/\nalerts +alert_id +2 /);
    const check = await cli(["check"]);
    expect([check.code, check.out]).toEqual([
      2,
      expect.stringMatching(/\n {2}failed {3}Selection: overrides\.devices\.columns: "device_id" is left out/),
    ]);
    await write("    overrides: { device: { mode: full } }");
    expect((await cli(["check"])).out).toContain(
      'Selection: overrides: there is no table "device" in the source. Did you',
    );
    expect((await cli(["discover"])).error).toContain('Did you mean "devices"?');
  });

  test("status and verify before the first sync say that the destination is empty", async () => {
    for (const command of ["status", "verify", "reset"]) {
      const { code, error } = await cli([command, ...(command === "reset" ? ["--yes"] : [])]);
      expect(code).toBe(2);
      expect(error).toMatch(/\(DESTINATION_EMPTY\)\n {2}\S/);
    }
    expect(await readdir(folder)).toEqual(["headwaters.yaml"]);
  });

  test("sync, again, status, verify, reset", async () => {
    const first = await cli(["sync"]);
    expect(first.error).toBe("");
    expect(first.code).toBe(0);
    expect(first.out).toMatch(/^iot: 2 tables: alerts, devices\n/);
    expect(first.out).toMatch(/\ndevices +full +500 +500 +0 +0 +20..-/);
    expect(first.out).toMatch(/\niot: synced; 2 of 2 tables whole; 530 rows read in /);
    // oxlint-disable-next-line no-control-regex
    expect(first.out).not.toMatch(/[\x00-\x09\x0b-\x1f]/);

    const summary = (await json(["sync"])).at(-1);
    expect(summary).toMatchObject({ kind: "summary", outcome: "ok", exitCode: 0, run: { outcome: "succeeded" } });

    const status = await cli(["status"]);
    expect(status.out).toMatch(/^iot: DuckDB, schema public, 2 tables\n/);
    expect(status.out).toMatch(/\ndevices +500 +20..-/);
    expect(status.out.match(/^run .*succeeded, 2 of 2 tables whole/gm)?.length).toBe(2);
    const [stored] = await json(["status", "--tables", "alerts"]);
    expect(stored).toMatchObject({ kind: "status", tables: [{ table: "alerts", rows: 30, open: null }] });

    const verified = await cli(["verify"]);
    expect(verified.out).toMatch(/\niot: CONVERGED\n$/);
    expect(verified.code).toBe(0);
    expect((await cli(["verify", "--tables", "device"])).error).toMatch(/TABLE_UNKNOWN/);

    await duckdb("UPDATE public.devices SET name = 'tampered' WHERE device_id = 'd7'");
    const diverged = await cli(["verify"]);
    expect(diverged.code).toBe(5);
    expect(diverged.out).toMatch(/different device_id="d7": name is "device 7", copy has "tampered"/);
    expect((await json(["verify", "--tables", "alerts"])).at(-1)).toMatchObject({ verdict: "CONVERGED", exitCode: 0 });

    const piped = await cli(["reset"]);
    expect([piped.code, piped.error]).toEqual([
      2,
      "error iot: reset asks before it changes anything, but there is no terminal to ask on. (CONFIGURATION_INVALID)\n  Add --yes.\n",
    ]);
    const screen = new Screen();
    const refused = await cli(["reset"], { typed: "no\n", stdout: screen, stderr: screen });
    expect(refused.code).toBe(0);
    expect(screen.text).toContain("iot: nothing was changed.");
    const agreed = await cli(["reset", "--tables", "devices"], { typed: "yes\n", stdout: screen, stderr: screen });
    expect(agreed.code).toBe(0);
    expect(screen.text).toContain("iot: 1 table reset: devices");

    const healed = await cli(["sync", "--verify"]);
    expect(healed.code).toBe(0);
    expect(healed.out).toMatch(/\ndevices +full +500 +0 +1 +0 /);
    expect(healed.out).toMatch(/\niot: CONVERGED\n$/);
  });

  test("state: shown, exported, imported after more was synced, and refused where it does not fit", async () => {
    await cli(["sync"]);
    expect((await cli(["state", "show"])).out).toMatch(/\ndevices +device_id +20..-.* +updated_at \{"high":"/);
    expect(await json(["state", "show", "--tables", "alerts"])).toMatchObject([
      { kind: "state", state: { table: { id: "alerts" } } },
    ]);
    const exported = await cli(["state", "export", "--to", "state.json"]);
    expect([exported.code, exported.out]).toEqual([0, "iot: the state of 2 tables is in state.json\n"]);
    const text = await readFile(join(folder, "state.json"), "utf8");
    expect((await cli(["state", "export"])).out).toBe(text);
    expect((await cli(["state", "export", "--to", "state.json"])).error).toContain("can't be written (EEXIST)");

    await runSql(server.connectionString, "INSERT INTO alerts VALUES (1000, 'late')");
    await cli(["sync", "--sweep"]);
    const asked = await cli(["state", "import", "--from", "state.json"]);
    expect([asked.code, asked.error]).toEqual([2, expect.stringContaining("state import asks before")]);
    const imported = await cli(["state", "import", "--from", "state.json", "--yes"]);
    expect([imported.code, imported.out]).toEqual([0, "iot: now uses the state of alerts, devices\n"]);
    expect((await cli(["state", "export"])).out).toBe(text);
    expect((await cli(["sync", "--verify"])).code).toBe(0);

    await writeFile(join(folder, "other.json"), text.replace('"yugabytedb"', '"rethinkdb"'));
    const other = await cli(["state", "import", "--from", "other.json", "--yes"]);
    expect([other.code, other.error]).toEqual([
      4,
      expect.stringContaining("from the source rethinkdb, not from yugabytedb"),
    ]);
    await write("    overrides: { alerts: { filter: alert_id > 0 } }");
    const changed = await cli(["state", "import", "--from", "state.json", "--yes"]);
    expect([changed.code, changed.error]).toEqual([4, expect.stringContaining("SCOPE_CHANGED")]);
    await write("  other: { source: { type: rethinkdb, host: h, database: d }, destination: duckdb:o.duckdb }");
    expect((await cli(["state", "export"])).error).toContain("there are iot, other. (CONFIGURATION_INVALID)");
    await runSql(server.connectionString, "DELETE FROM alerts WHERE alert_id = 1000");
  });

  test("on a terminal the end of a sync is its summary", async () => {
    const screen = new Screen(140, 40);
    expect((await cli(["sync"], { stdout: screen, stderr: screen })).code).toBe(0);
    expect(screen.text).toMatch(/^table +passes[^]*\niot: synced; 2 of 2 tables whole/);
    expect(screen.cursorVisible).toBe(true);
  });

  test("a table that fails does not stop the others, and says what to do", async () => {
    await write("    overrides: { alerts: { types: { text: LONG } } }\n");
    const { code, out, error } = await cli(["sync"]);
    expect(out).toMatch(/\ndevices +full +500 .*whole\n/);
    expect(out).toMatch(/\niot: failed; 1 of 2 tables whole/);
    expect(error).toMatch(/^error alerts: .*\([A-Z_]+\)\n {2}\S/);
    expect(code).toBeGreaterThan(0);
    expect(code).toBeLessThan(5);
    expect((await cli(["sync", "--quiet"])).out).toBe("");
  });

  test("a connection that fails does not stop the others", async () => {
    await write(
      `  other:
    source: { type: yugabytedb, host: ${server.host}, port: ${server.port}, database: ${server.database}, user: ${role}, password: \${PW} }
    destination: duckdb:other.duckdb
    tables: [devices]
`,
      1,
    );
    const { code, out, error } = await cli(["sync"]);
    expect(code).toBe(3);
    expect(error).toMatch(/(^|\n)error iot: .*127\.0\.0\.1.*\(CONNECTION_REFUSED\)\n {2}\S/);
    expect(out).toContain("other: synced; 1 of 1 table whole");
    expect(await json(["sync", "iot"])).toMatchObject([
      { connection: "iot", kind: "error", error: { code: "CONNECTION_REFUSED" } },
    ]);
  });

  test("Ctrl-C stops cleanly, and the next sync ends equal to the source", async () => {
    await write("    maxRowsPerSecond: 100\n    batchSize: 1KB\n");
    const stopped = await cli(["sync"], { onReady: (stop) => setTimeout(stop, 1_500) });
    expect(stopped.code).toBe(130);
    expect(stopped.error).toContain("Stopping: complete work is kept.");
    await write();
    const { code, out } = await cli(["sync", "--sweep", "--verify"]);
    expect(out).toMatch(/\niot: CONVERGED\n$/);
    expect(code).toBe(0);
  });

  test("the fixed form, with the published configuration", async () => {
    const { host, port, database } = server;
    const published = { host, port: String(port), database, user: role, password, schema: "public", sslmode: "prefer" };
    await writeFile(join(folder, "configuration.json"), JSON.stringify(published));
    const form = [
      "--source",
      "yugabytedb",
      "--configuration",
      "configuration.json",
      "--destination",
      "duckdb:w.duckdb",
    ];
    const { code, out } = await cli(["sync", ...form, "--schema", "factory", "--tables", "dev*"]);
    expect(out).toContain("yugabytedb: synced; 1 of 1 table whole; 500 rows read");
    expect(code).toBe(0);
    expect(await duckdb("SELECT count(*) FROM factory.devices")).toEqual([["500"]]);
    expect((await cli(["verify", ...form, "--schema", "factory", "--tables", "dev*"])).out).toMatch(
      /yugabytedb: CONVERGED\n$/,
    );
  });

  test("no command says a secret, whatever goes wrong and however much is logged", async () => {
    const wrong: readonly (readonly [what: string, settings: string])[] = [
      ["user", `host: ${server.host}, port: ${server.port}, database: ${server.database}, user: nobody`],
      ["database", `host: ${server.host}, port: ${server.port}, database: nowhere, user: ${role}`],
      ["port", `host: ${server.host}, port: 1, database: ${server.database}, user: ${role}`],
      ["host", `host: nowhere.invalid, port: ${server.port}, database: ${server.database}, user: ${role}`],
      ["setting", `host: ${server.host}, prot: 1, database: ${server.database}, user: ${role}`],
    ];
    for (const [, settings] of wrong) {
      const source = `{ type: yugabytedb, ${settings}, password: \${PW}, connect_timeout: 2 }`;
      await writeFile(
        join(folder, "headwaters.yaml"),
        `connections: { iot: { source: ${source}, destination: duckdb:w.duckdb, attempts: 1 } }`,
      );
      for (const command of ["check", "discover", "sync"]) {
        for (const flags of [[], ["--json"]]) {
          const { code, out, error } = await cli([command, "--log-level", "debug", ...flags]);
          expect(code).toBeGreaterThan(0);
          expect(out + error).not.toBe("");
        }
      }
    }
    for (const file of await readdir(folder, { recursive: true, withFileTypes: true })) {
      if (file.isFile()) expectNoSecret(await readFile(join(file.parentPath, file.name), "latin1"));
    }
  });
});

function expectNoSecret(text: string): void {
  const spellings = [password, encodeURIComponent(password), JSON.stringify(password).slice(1, -1)];
  for (const spelling of [...spellings, password.replaceAll("'", "''"), "p@ss", "p%40ss"])
    expect(text).not.toContain(spelling);
}
