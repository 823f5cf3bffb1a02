import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Sandbox, told } from "../../../test/cli/sandbox.ts";
import { defaultSettings } from "../../engine/connection.ts";
import { Redactor } from "../redact.ts";
import type { Request } from "./load.ts";
import type { ConfiguredConnection } from "./resolve.ts";

let sandbox: Sandbox;

beforeAll(async () => {
  sandbox = await Sandbox.create();
});

afterAll(async () => {
  await sandbox[Symbol.asyncDispose]();
});

async function loadYaml(text: string, request: Partial<Request> = {}): Promise<readonly ConfiguredConnection[]> {
  return sandbox.load({ "headwaters.yaml": text }, request);
}

const source = "{ type: yugabytedb, host: h, database: d, user: u, password: p }";

function iot(rest: string, from = source): string {
  return `connections:\n  iot:\n    source: ${from}\n    destination: duckdb:w.duckdb\n${rest === "" ? "" : `    ${rest}\n`}`;
}

describe("headwaters.yaml", () => {
  test("a short one has all defaults", async () => {
    const [connection] = await loadYaml(iot(""));
    expect(connection).toMatchObject({
      name: "iot",
      schema: "public",
      source: { configuration: { host: "h", port: 5433, sslmode: "prefer" } },
      destination: { configuration: { path: join(sandbox.folder, "w.duckdb") } },
      selection: { include: [], exclude: [] },
      tables: {},
      rename: {},
      types: "exact",
      deletion: "soft",
      systemColumnPrefix: "_headwaters",
      settings: defaultSettings,
    });
  });

  test("a long one has what it says", async () => {
    const [connection] = await loadYaml(`
connections:
  iot:
    source:
      type: yugabytedb
      host: h
      port: \${YB_PORT}
      database: 2024
      user: 0123
      password: \${YB_PASSWORD}
    destination: { type: duckdb, path: deep/w.duckdb }
    schema: factory
    tables: { include: [sensor_*, devices], exclude: [sensor_old] }
    overrides:
      sensor_readings: { cursor: recorded_at, types: { pressure: "DECIMAL(12,4)" } }
      devices: { cursor: null, rename: machines, deletion: soft }
      alerts:
        columns: [id, "text*"]
        filter: " severity > 3 "
        mode: full
        deletes: never
        maxDeleteFraction: 0.9
        schemaChanges: allow_all
    types: example
    deletes: 6h
    deletion: hard
    maxDeleteFraction: 0.1
    schemaChanges: block_all
    systemColumnPrefix: _fivetran
    parallel: "8"
    memory: 128MB
    batchSize: 512KB
    commitInterval: 30s
    commitRows: 1000
    maxRowsPerSecond: 50000
    attempts: 3
`);
    expect(connection).toMatchObject({
      schema: "factory",
      source: { configuration: { port: 5434, database: "2024", user: "0123", password: "hunter2" } },
      destination: { configuration: { path: join(sandbox.folder, "deep/w.duckdb") } },
      selection: { include: ["sensor_*", "devices"], exclude: ["sensor_old"] },
      tables: {
        sensor_readings: { cursor: "recorded_at", types: { pressure: { kind: "DECIMAL", precision: 12, scale: 4 } } },
        devices: { cursor: null },
        // The source is not to look for a cursor in what is read whole.
        alerts: { cursor: null, filter: "severity > 3", columns: { include: ["id", "text*"], exclude: [] } },
      },
      rename: { devices: "machines" },
      deletions: { devices: "soft" },
      tableSettings: {
        devices: { rename: "machines" },
        alerts: {
          mode: "full",
          columns: { include: ["id", "text*"], exclude: [] },
          filter: "severity > 3",
          settings: { deletes: "never", maxDeleteFraction: 0.9, schemaChanges: "allow_all" },
        },
      },
      types: "example",
      deletion: "hard",
      systemColumnPrefix: "_fivetran",
      settings: {
        deletes: 21_600_000,
        maxDeleteFraction: 0.1,
        schemaChanges: "block_all",
        parallel: 8,
        memoryBytes: 128 << 20,
        batchBytes: 512 << 10,
        commitMilliseconds: 30_000,
        commitRows: 1000,
        maxRowsPerSecond: 50_000,
        attempts: 3,
      },
    });
  });

  test("--deletes goes for single tables too", async () => {
    const [connection] = await loadYaml(iot("overrides: { t: { deletes: never, mode: full } }"), { deletes: "6h" });
    expect(connection).toMatchObject({
      settings: { deletes: 21_600_000 },
      tableSettings: { t: { mode: "full", settings: {} } },
    });
  });

  test("several connections, by name and in the order asked for", async () => {
    const text = `connections:\n  a: &a\n    source: ${source}\n    destination: duckdb\n  b:\n    <<: *a\n    tables: [x]\n`;
    expect((await loadYaml(text)).map(({ name }) => name)).toEqual(["a", "b"]);
    const [b, a] = await loadYaml(text, { names: ["b", "a", "b"] });
    expect([b!.name, b!.selection.include, a!.name]).toEqual(["b", ["x"], "a"]);
  });

  test("flags go before the file", async () => {
    const flags = { deletes: "never", parallel: "2", exclude: ["b"] };
    const [connection] = await loadYaml(iot("tables: [a*]"), flags);
    expect(connection!.settings).toMatchObject({ deletes: "never", parallel: 2 });
    expect(connection!.selection).toEqual({ include: ["a*"], exclude: ["b"] });
  });

  test.each<[what: string, text: string, message: string]>([
    ["nothing in it", "", 'headwaters.yaml holds no settings.\nWrite "connections:"'],
    ["no connections", "connections:\n", 'headwaters.yaml has no connections.\nWrite "connections:"'],
    [
      "another word",
      "conections: {}\n",
      "headwaters.yaml, line 1: conections is not a setting.\nDid you mean connections?",
    ],
    [
      "an odd name",
      "connections: { a b: {} }\n",
      'headwaters.yaml, line 1: the connection name "a b" can\'t be used.\n',
    ],
    ["an empty one", "connections:\n  iot:\n", "headwaters.yaml, line 2: connections.iot must hold a source"],
    [
      "no source",
      "connections:\n  iot:\n    destination: duckdb\n",
      "headwaters.yaml, line 3: connections.iot.source is missing.",
    ],
    [
      "a source without a type",
      iot("", "{ host: h }"),
      "headwaters.yaml, line 3: connections.iot.source.type is missing.",
    ],
    [
      "an unknown setting of the connection",
      iot("deltes: auto"),
      "headwaters.yaml, line 5: connections.iot.deltes is not a setting.\nDid you mean deletes?",
    ],
    [
      "an unknown setting of the source",
      iot("", "{ type: yugabytedb, host: h, pasword: s3cret, database: d, user: u, password: p }"),
      "headwaters.yaml, line 3: connections.iot.source.pasword is not a setting.\nDid you mean password?",
    ],
    [
      "an unknown setting of a table",
      iot("overrides: { devices: { cursr: updated_at } }"),
      "headwaters.yaml, line 5: connections.iot.overrides.devices.cursr is not a setting.\nDid you mean cursor?",
    ],
    [
      "an unknown setting like no other",
      iot("tables: { only: [a] }"),
      "headwaters.yaml, line 5: connections.iot.tables.only is not a setting.\nThere are exclude, include.",
    ],
    [
      "an unknown source",
      iot("", "{ type: yugabyte, host: h }"),
      'headwaters.yaml, line 3: connections.iot.source.type names an unknown source: "yugabyte".\nDid you mean yugabytedb?',
    ],
    [
      "an unknown destination",
      "connections:\n  iot:\n    source: " + source + "\n    destination: duckbd:w.duckdb\n",
      'headwaters.yaml, line 4: connections.iot.destination.type names an unknown destination: "duckbd".\nDid you mean duckdb?',
    ],
    [
      "a number that is none",
      iot("", "{ type: yugabytedb, host: h, port: abc, database: d, user: u, password: p }"),
      'headwaters.yaml, line 3: connections.iot.source.port must be a whole number from 1 to 65535, not "abc".',
    ],
    [
      "a list for a number",
      iot("parallel: [1]"),
      "headwaters.yaml, line 5: connections.iot.parallel must be a number, not a list.",
    ],
    [
      "a number too large",
      iot("parallel: 65"),
      "headwaters.yaml, line 5: connections.iot.parallel must be at most 64, not 65.",
    ],
    [
      "a fraction",
      iot("attempts: 1.5"),
      "headwaters.yaml, line 5: connections.iot.attempts must be a whole number, not 1.5.",
    ],
    [
      "a mistyped choice",
      iot("deletion: sotf"),
      'headwaters.yaml, line 5: connections.iot.deletion must be one of soft, hard, not "sotf".\nDid you mean soft?',
    ],
    [
      "a cursor for what is read whole",
      iot("overrides: { t: { mode: full, cursor: at } }"),
      "headwaters.yaml, line 5: connections.iot.overrides.t.cursor can't be used with mode full.\nLeave one of the two out: a table that is read whole needs no cursor.",
    ],
    [
      "a filter in another source's language",
      iot("overrides: { t: { filter: { a: 1 } } }"),
      'headwaters.yaml, line 5: connections.iot.overrides.t.filter must be an SQL condition as text: "temperature > 0".',
    ],
    [
      "a filter that is none",
      iot("overrides: { t: { filter: [a] } }"),
      "headwaters.yaml, line 5: connections.iot.overrides.t.filter must be text, or a mapping of fields, not a list.",
    ],
    [
      "a mistyped setting of a table's columns",
      iot("overrides: { t: { columns: { exlude: [a] } } }"),
      "headwaters.yaml, line 5: connections.iot.overrides.t.columns.exlude is not a setting.\nDid you mean exclude?",
    ],
    [
      "a duration without unit",
      iot("commitInterval: 5"),
      "headwaters.yaml, line 5: connections.iot.commitInterval must be a duration with its unit: 500ms, 30s, 5m, 6h, 1d, not 5.",
    ],
    [
      "an odd interval",
      iot("deletes: daily"),
      'headwaters.yaml, line 5: connections.iot.deletes must be auto, each_sync, never, or an interval as 30m, 6h, 1d, not "daily".',
    ],
    [
      "a size without unit",
      iot("memory: lots"),
      'headwaters.yaml, line 5: connections.iot.memory must be a size with its unit: 512KB, 64MB, 1GB, not "lots".',
    ],
    [
      "an unknown type",
      iot("overrides: { devices: { types: { id: BIGNUM } } }"),
      'headwaters.yaml, line 5: connections.iot.overrides.devices.types.id must be one of Headwaters\' types, as LONG, DECIMAL(12,4), UTC_DATETIME, STRING, JSON, not "BIGNUM".',
    ],
    [
      "an empty name of a table",
      iot('tables: [""]'),
      "headwaters.yaml, line 5: connections.iot.tables.include.0 must not be empty.",
    ],
    [
      "an odd prefix",
      iot("systemColumnPrefix: 1x"),
      'headwaters.yaml, line 5: connections.iot.systemColumnPrefix must begin with a letter or _, followed by letters, digits and _, not "1x".',
    ],
    [
      "a setting that is missing",
      iot("", "{ type: yugabytedb, host: h, database: d, user: u }"),
      "headwaters.yaml, line 3: connections.iot.source.password is missing.",
    ],
    [
      "an environment variable that is not set",
      iot("", "{ type: yugabytedb, host: '${NOWHERE}', database: d, user: u, password: p }"),
      "headwaters.yaml, line 3: connections.iot.source.host needs the environment variable NOWHERE, which is not set.\nSet it (export NOWHERE=…)",
    ],
    [
      "a placeholder",
      iot("", "{ type: yugabytedb, host: <YOUR_YUGABYTEDB_HOST>, database: d, user: u, password: p }"),
      "headwaters.yaml, line 3: connections.iot.source.host still holds the placeholder <YOUR_YUGABYTEDB_HOST>.\nPut the real value there",
    ],
  ])("%s", async (_, text, message) => {
    expect((await told(loadYaml(text))).slice(0, message.length)).toBe(message);
  });

  test("all that is wrong is told at once", async () => {
    const text = iot(
      "deltes: 1\n    parallel: none",
      "{ type: yugabytedb, hots: h, port: x, database: d, user: u, password: p }",
    );
    expect(await told(loadYaml(text))).toBe(`5 settings are wrong:
  headwaters.yaml, line 6: connections.iot.parallel must be a number, not "none".
  headwaters.yaml, line 5: connections.iot.deltes is not a setting. Did you mean deletes?
  headwaters.yaml, line 3: connections.iot.source.host is missing.
  headwaters.yaml, line 3: connections.iot.source.port must be a whole number from 1 to 65535, not "x".
  headwaters.yaml, line 3: connections.iot.source.hots is not a setting. Did you mean host?`);
  });

  test.each<[what: string, text: string, message: string]>([
    ["a bracket", "connections:\n  iot: { source: [1, 2\n  b: 1\n", "headwaters.yaml, line 3, column 3: this line "],
    ["a quote", 'connections:\n  iot: "x\n', "headwaters.yaml, line 3, column 1: this line lacks a closing quote"],
    [
      "a tab",
      "connections:\n\tiot: 1\n",
      "headwaters.yaml, line 2, column 1: this line is indented by a tab; use spaces.",
    ],
    ["indentation", "connections:\n  a:\n    b: 1\n   c: 2\n", "headwaters.yaml, line 4, column 1: this line "],
    [
      "a name twice",
      "connections:\n  a: 1\n  a: 2\n",
      "headwaters.yaml, line 3, column 3: this line repeats a name that was used before.",
    ],
    ["an alias of nothing", "connections: *x\n", "headwaters.yaml: an alias (*name) has no anchor (&name) before it."],
    [
      "a text behind a text",
      'a: "b" "hunter2-secret"\n',
      "headwaters.yaml, line 1, column 8: this line has a quote, a bracket or a comma in the wrong place",
    ],
  ])("broken YAML: %s", async (_, text, message) => {
    const error = await told(loadYaml(text));
    expect(error.slice(0, message.length)).toBe(message);
    expect(error).not.toContain("hunter2");
  });

  test("what is not there", async () => {
    expect(await told(sandbox.load({}, { file: "nowhere.yaml" }))).toMatch(
      /^nowhere\.yaml does not exist\.\nCreate it with "headwaters init"/,
    );
    expect(await told(sandbox.load({}, { file: "." }))).toMatch(/^\. is a folder\./);
    expect(await told(loadYaml(iot(""), { names: ["oit"] }))).toBe(
      'headwaters.yaml has no connection "oit".\nDid you mean iot?',
    );
    expect(await told(loadYaml(iot(""), { names: ["x"] }))).toBe('headwaters.yaml has no connection "x".\nIt has iot.');
  });

  test("a wrong flag is reported by its name", async () => {
    expect(await told(loadYaml(iot(""), { deletes: "dayly" }))).toMatch(/^--deletes must be auto, each_sync, never/);
    expect(await told(loadYaml(iot(""), { parallel: "0" }))).toBe('--parallel must be at least 1, not "0".');
  });

  test("a connection that is not asked for may be incomplete", async () => {
    const text = `${iot("")}  other:\n    source: { type: yugabytedb, host: "\${NOWHERE}" }\n`;
    expect((await loadYaml(text, { names: ["iot"] })).map(({ name }) => name)).toEqual(["iot"]);
  });
});

describe("values from elsewhere", () => {
  const password = (value: string): string =>
    iot("", `{ type: yugabytedb, host: h, database: d, user: u, password: ${value} }`);

  async function passwordOf(value: string): Promise<unknown> {
    const [connection] = await loadYaml(password(value));
    return (connection!.source.configuration as { password: unknown }).password;
  }

  test("variables: whole, in part, with a default, and without one", async () => {
    expect(await passwordOf("a${YB_PORT}b$${X}")).toBe("a5434b${X}");
    expect(await passwordOf("${YB_PASSWORD}")).toBe("hunter2");
    expect(await passwordOf('"a-${YB_PASSWORD}-${YB_PORT}"')).toBe("a-hunter2-5434");
    expect(await passwordOf('"${NOWHERE:-fall back}"')).toBe("fall back");
    expect(await passwordOf('"${EMPTY:-fall back}"')).toBe("fall back");
    expect(await passwordOf('"$${YB_PASSWORD} $YB_PASSWORD"')).toBe("${YB_PASSWORD} $YB_PASSWORD");
  });

  test("a file, from the folder of the configuration, and a command", async () => {
    await writeFile(join(sandbox.folder, "password.txt"), "from a file\n");
    expect(await passwordOf("{ file: password.txt }")).toBe("from a file");
    const script = "process.stdout.write('from ' + process.argv[1] + '\\n')";
    expect(await passwordOf(JSON.stringify({ command: [process.execPath, "-e", script, "a command"] }))).toBe(
      "from a command",
    );
    for (const secret of ["from a file", "from a command", "hunter2"])
      expect(sandbox.redactor.text(secret)).toBe("***");
  });

  test.each<[value: string, message: string]>([
    ["{ file: nowhere.txt }", "can't be read from the file nowhere.txt (ENOENT).\nCheck its path"],
    ["{ file: [1] }", "must name its file as text.\n"],
    ["{ command: pass show x }", "must name its command as a list of texts.\n"],
    [
      "{ command: [headwaters-no-such-program] }",
      "can't be read from the command headwaters-no-such-program: it can't be started (ENOENT).\n",
    ],
    [
      JSON.stringify({ command: [process.execPath, "-e", "console.error('the-secret'); process.exit(7)"] }),
      `can't be read from the command ${process.execPath}: it ended with exit code 7.\n`,
    ],
  ])("%s", async (value, message) => {
    const error = await told(loadYaml(password(value)));
    expect(error.slice(0, 200)).toContain(`headwaters.yaml, line 3: connections.iot.source.password ${message}`);
    expect(error).not.toContain("the-secret");
  });

  test("every secret is known before anything is said of it", async () => {
    const hiding = new Redactor();
    const text = iot("deltes: 1", "{ type: yugabytedb, host: h, password: top-secret }");
    await told(sandbox.load({ "headwaters.yaml": text }, {}, hiding));
    expect(hiding.text("top-secret")).toBe("***");
  });
});
