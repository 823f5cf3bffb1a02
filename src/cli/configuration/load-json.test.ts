import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Sandbox, told } from "../../../test/cli/sandbox.ts";
import type { Request } from "./load.ts";
import type { ConfiguredConnection } from "./resolve.ts";

let sandbox: Sandbox;

beforeAll(async () => {
  sandbox = await Sandbox.create();
});

afterAll(async () => {
  await sandbox[Symbol.asyncDispose]();
});

const seed = {
  host: "localhost",
  port: "5433",
  database: "iot",
  user: "reader",
  password: "secret-1",
  schema: "public",
  sslmode: "prefer",
};

const fixed = { source: "yugabytedb", configuration: "configuration.json", destination: "duckdb:warehouse.duckdb" };

describe("configuration.json", () => {
  const loadJson = (value: object | string, request: Partial<Request> = {}): Promise<readonly ConfiguredConnection[]> =>
    sandbox.load(
      { "configuration.json": typeof value === "string" ? value : JSON.stringify(value) },
      { ...fixed, ...request },
    );

  test("as the published example has it: all text", async () => {
    const [connection] = await loadJson(seed);
    expect(connection).toMatchObject({
      name: "yugabytedb",
      schema: "public",
      source: { configuration: { ...seed, port: 5433 } },
      destination: { configuration: { path: join(sandbox.folder, "warehouse.duckdb") } },
    });
  });

  test("with its comments, a byte order mark, tabs and a comma too many", async () => {
    const text = `\uFEFF{\n\t"host": "a//b", // Required\n\t"port": "5433",\n\t"database": "d", // "x\n\t"user": "u",\n\t"password": "p",\n}`;
    const [connection] = await loadJson(text);
    expect(connection).toMatchObject({ source: { configuration: { host: "a//b", port: 5433, user: "u" } } });
  });

  test("empty text is no value", async () => {
    const [connection] = await loadJson({ ...seed, schema: "", sslmode: "" });
    expect(connection).toMatchObject({ source: { configuration: { schema: "public", sslmode: "prefer" } } });
    expect(await told(loadJson({ ...seed, host: "" }))).toBe("configuration.json, line 1: host is missing.");
  });

  test("name, schema, tables and default destination", async () => {
    const [connection] = await loadJson(seed, { names: ["factory"], schema: "s", tables: ["a*"], exclude: ["ab"] });
    expect(connection).toMatchObject({ name: "factory", schema: "s", selection: { include: ["a*"], exclude: ["ab"] } });
    const [short] = await sandbox.load({}, { source: "yugabytedb", configuration: "configuration.json" });
    expect(short).toMatchObject({ destination: { configuration: { path: join(sandbox.folder, "warehouse.duckdb") } } });
  });

  test("placeholders are all told", async () => {
    const published = {
      ...seed,
      host: "<YOUR_YUGABYTEDB_HOST>",
      password: "<YOUR_YUGABYTEDB_PASSWORD>",
      sslmode: "<YOUR_SSL_MODE>",
    };
    expect(await told(loadJson(JSON.stringify(published, null, 2)))).toBe(`3 settings are wrong:
  configuration.json, line 2: host still holds the placeholder <YOUR_YUGABYTEDB_HOST>. Put the real value there, or leave the setting out if it is optional.
  configuration.json, line 6: password still holds the placeholder <YOUR_YUGABYTEDB_PASSWORD>. Put the real value there, or leave the setting out if it is optional.
  configuration.json, line 8: sslmode still holds the placeholder <YOUR_SSL_MODE>. Put the real value there, or leave the setting out if it is optional.`);
  });

  test.each<[what: string, value: object | string, request: Partial<Request>, message: string]>([
    [
      "broken JSON",
      '{\n  "host": "h"\n  "password": "hunter2"\n}',
      {},
      "configuration.json, line 3, column 3: this line ",
    ],
    ["no object", "[1]", {}, "configuration.json must hold the source's settings as a JSON object."],
    ["a type", { ...seed, type: "x" }, {}, "configuration.json: type is not a setting here; --source gives it."],
    [
      "a mistyped setting",
      { ...seed, hots: "x" },
      {},
      "configuration.json, line 1: hots is not a setting.\nDid you mean host?",
    ],
    [
      "a wrong value",
      { ...seed, sslmode: "requrie" },
      {},
      "configuration.json, line 1: sslmode must be one of disable",
    ],
    ["a file that is not there", seed, { configuration: "conf.json" }, "conf.json does not exist.\nWrite: --source"],
    [
      "an unknown source",
      seed,
      { source: "yugabyt" },
      '--source names an unknown source: "yugabyt".\nDid you mean yugabytedb?',
    ],
    [
      "an unknown destination",
      seed,
      { destination: "duck:x" },
      '--destination names an unknown destination: "duck".\nDid you mean duckdb?',
    ],
    ["two names", seed, { names: ["a", "b"] }, "With --source there is one connection, not 2: a, b."],
    [
      "a file too",
      seed,
      { file: "headwaters.yaml" },
      "--file can't be used with --source, --configuration, --destination or --schema.\n",
    ],
  ])("%s", async (_, value, request, message) => {
    const error = await told(loadJson(value, request));
    expect(error.slice(0, message.length)).toBe(message);
    expect(error).not.toContain("hunter2");
  });

  test("half of the form", async () => {
    const half = (request: Partial<Request>): Promise<string> => told(sandbox.load({}, request));
    expect(await half({ source: "yugabytedb" })).toMatch(/^--configuration is missing/);
    expect(await half({ configuration: "configuration.json" })).toMatch(/^--source is missing/);
    expect(await half({ destination: "duckdb:x" })).toMatch(/^--source is missing/);
  });
});
