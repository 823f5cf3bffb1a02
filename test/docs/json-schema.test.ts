import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Ajv } from "ajv";
import { afterAll, describe, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { readFileOf, readSection } from "../../src/cli/configuration/load.ts";
import { resolveService } from "../../src/cli/configuration/service-schema.ts";
import { Redactor } from "../../src/cli/redact.ts";
import { loadConnections } from "../cli/sandbox.ts";
import { pages as documents } from "./pages.ts";
import { editorSchema } from "./editor-schema.ts";
import { describedDestinations, describedSources } from "./schemas.ts";

/** `npx vitest run test/docs -u` writes it anew. */
test("the schema of headwaters.yaml is that of the code", async () => {
  await expect(`${JSON.stringify(editorSchema, null, 2)}\n`).toMatchFileSnapshot("../../headwaters.schema.json");
});

const validate = new Ajv({ allErrors: true, strict: true, strictTypes: false, strictRequired: false }).compile(
  editorSchema,
);

/** What an editor underlines. `if` only repeats that something below it is wrong. */
function mistakes(value: unknown): readonly string[] {
  validate(value);
  const errors = (validate.errors ?? []).filter(({ keyword }) => keyword !== "if");
  return errors.map(({ instancePath, message }) => `${instancePath} ${message}`);
}

const folder = mkdtempSync(join(tmpdir(), "headwaters-schema-"));
afterAll(() => rmSync(folder, { recursive: true }));
mkdirSync(join(folder, "weather"));
writeFileSync(join(folder, "secret"), "hunter2\n");

/** Whatever is asked for is there. */
const environment = new Proxy<Record<string, string>>({}, { get: (_, name) => (name === "PORT" ? "5433" : "4") });

/** Whether the command line takes the file; else what it says. */
async function refusal(file: unknown): Promise<string | null> {
  writeFileSync(join(folder, "headwaters.yaml"), typeof file === "string" ? file : stringify(file));
  try {
    await loadConnections({ names: [] }, { folder, environment, redactor: new Redactor() });
    await resolveService(readSection("service", {}, await readFileOf({}, folder)), folder, environment, new Redactor());
    return null;
  } catch (thrown) {
    return (thrown as Error).message;
  }
}

const root = fileURLToPath(new URL("../..", import.meta.url));
const pages = ["README.md", ...documents.map(({ path }) => join("docs", path))];
const examples: readonly (readonly [string, string])[] = pages
  .flatMap((page) =>
    [...readFileSync(join(root, page), "utf8").matchAll(/```yaml\n(.*?)```/gs)].map(
      ([, text], index) => [`${page} ${index + 1}`, text!] as const,
    ),
  )
  .filter(([, text]) => text.includes("connections:"));

const rethinkdb = { type: "rethinkdb", host: "h", database: "d" };
const postgresql = { type: "postgresql", host: "h", database: "d", user: "u", password: "p" };
const redis = { type: "redis", host: "h" };
const cassandra = { type: "cassandra", hostname: "h", keyspace: "k" };
const whole = { source: rethinkdb, destination: "duckdb" };
const file = (connection: object): unknown => ({ connections: { c: { ...whole, ...connection } } });

test.each<readonly [string, string]>([
  ...examples,
  ["the file of init", readFileSync(join(root, "test/cli/golden/headwaters.yaml"), "utf8")],
])("the schema takes %s", (_, text) => {
  expect(mistakes(parse(text))).toEqual([]);
});

describe("what the command line takes, the schema takes (case 35)", () => {
  test.each<readonly [string, object]>([
    ["quoted numbers", { source: { ...rethinkdb, port: "28015" }, parallel: "4", maxDeleteFraction: "0.5" }],
    ["text as numbers and words", { source: { ...rethinkdb, database: 7, password: true } }],
    ["flags in words", { source: { ...rethinkdb, use_ssl: "No", port: " 28015 " } }],
    ["settings without a value", { source: { ...rethinkdb, port: null, use_ssl: null, username: null, ssl_ca: "" } }],
    ["intervals", { deletes: "6h", reread: "30d", commitInterval: "1.5 S", memory: "64mb" }],
    ["variables", { source: { ...postgresql, port: "${PORT}" }, parallel: "${PARALLEL:-4}" }],
    [
      "files and commands",
      { source: { ...postgresql, password: { file: "secret" }, schema: { command: ["echo", "x"] } } },
    ],
    ["another name of a source", { source: { ...postgresql, type: "postgres" } }],
    ["levels in any case", { source: { ...cassandra, consistency: "local_quorum", changes: "writetime" } }],
    ["a mapping of tables to changes", { source: { ...cassandra, changes: { orders: "writetime", "*": "cursor" } } }],
    ["patterns of keys", { source: { ...redis, key_pattern: ["a:*", "b:*"], binary: "column" } }],
    [
      "tables of Redis",
      { source: { ...redis, tables: { u: { pattern: "user:{id}", columns: { n: "LONG", a: { from: "x.y" } } } } } },
    ],
    ["an address as the source (case 24)", { source: "postgresql://reader@localhost/shop" }],
    ["an address as the destination", { destination: "postgresql://writer@localhost/warehouse" }],
    ["a lake", { destination: { type: "ducklake", catalog: "lake.ducklake", threads: "2" } }],
    [
      "lists of tables and columns",
      { tables: ["a*"], overrides: { t: { columns: ["a"], cursor: null, mode: "full" } } },
    ],
    ["a mapping of tables", { tables: { include: ["a"], exclude: [] } }],
    ["types", { overrides: { t: { types: { a: "long", b: "DECIMAL( 12, 4 )" } } } }],
    ["a filter of RethinkDB", { overrides: { t: { filter: { a: { gt: 1 } } } } }],
    ["a filter in SQL", { source: postgresql, overrides: { t: { filter: "a > 1" } } }],
  ])("%s", async (_, given) => {
    expect(await refusal(file(given))).toBe(null);
    expect(mistakes(file(given))).toEqual([]);
  });

  test.each([...describedSources, ...describedDestinations])("every default of $name", ({ schema }) => {
    const side = describedSources.some((one) => one.schema === schema) ? "source" : "destination";
    const described = [...describedSources, ...describedDestinations].find((one) => one.schema === schema)!;
    const given = Object.entries(schema.properties ?? {}).flatMap(([name, setting]) => {
      if (setting.default !== undefined) return [[name, setting.default]];
      return schema.required?.includes(name) === true ? [[name, "x"]] : [];
    });
    expect(mistakes(file({ [side]: { type: described.name, ...Object.fromEntries(given) } }))).toEqual([]);
  });
});

/** Each with one mistake. */
const wrong: readonly (readonly [string, unknown])[] = [
  ["no connections", { connections: {} }],
  ["a setting beside connections", { connections: { c: whole }, version: 1 }],
  ["a name of a connection with a blank", { connections: { "a b": whole } }],
  ["a connection that is text", { connections: { c: "x" } }],
  ["no destination", { connections: { c: { source: rethinkdb } } }],
  ["no source", { connections: { c: { destination: "duckdb" } } }],
  ...(
    [
      ["a setting that does not exist", { deletess: "never" }],
      ["a source without a type", { source: { host: "h", database: "d" } }],
      ["a source that is a number", { source: 5 }],
      ["a source that does not exist", { source: { ...rethinkdb, type: "rethinkbd" } }],
      ["an address of no source (case 24)", { source: "mysql://h/d" }],
      ["a typo below source", { source: { ...rethinkdb, hots: "x" } }],
      ["a typo below source, of PostgreSQL", { source: { ...postgresql, sslmod: "require" } }],
      ["a typo below source, of Redis", { source: { ...redis, keypattern: "*" } }],
      ["a setting of another source", { source: { ...rethinkdb, keyspace: "k" } }],
      ["a required setting that is missing", { source: { type: "rethinkdb", host: "h" } }],
      ["an empty host", { source: { ...rethinkdb, host: "" } }],
      ["a host of blanks", { source: { ...rethinkdb, host: "  " } }],
      ["a port in words", { source: { ...rethinkdb, port: "many" } }],
      ["a port that is too high", { source: { ...rethinkdb, port: 70_000 } }],
      ["a port that is no whole number", { source: { ...rethinkdb, port: 1.5 } }],
      ["a port that is a list", { source: { ...rethinkdb, port: [28015] } }],
      ["a flag that is a number", { source: { ...rethinkdb, use_ssl: 1 } }],
      ["a flag in other words", { source: { ...rethinkdb, use_ssl: "maybe" } }],
      ["a word of a choice that does not exist", { source: { ...rethinkdb, read_mode: "fast" } }],
      ["a choice that is a number", { source: { ...postgresql, sslmode: 1 } }],
      ["a level that does not exist", { source: { ...cassandra, consistency: "MOST" } }],
      ["a way of changes that does not exist", { source: { ...cassandra, changes: "writetimes" } }],
      ["a way of changes of a table", { source: { ...cassandra, changes: { t: "writetimes" } } }],
      ["a file's name that is a number", { source: { ...postgresql, password: { file: 5 } } }],
      ["a command that is text", { source: { ...postgresql, password: { command: "echo x" } } }],
      ["a value that is an odd mapping", { source: { ...postgresql, password: { fil: "x" } } }],
      ["no key patterns", { source: { ...redis, key_pattern: [] } }],
      ["a table of Redis without a pattern", { source: { ...redis, tables: { t: {} } } }],
      [
        "a type of a column of Redis",
        { source: { ...redis, tables: { t: { pattern: "a:{id}", columns: { n: "LNG" } } } } },
      ],
      ["a typo in a table of Redis", { source: { ...redis, tables: { t: { pattern: "a:{id}", column: {} } } } }],
      ["a destination that does not exist", { destination: "ducksdb:x" }],
      ["a type of a destination that does not exist", { destination: { type: "ducksdb" } }],
      ["a destination without a type", { destination: { path: "x.duckdb" } }],
      ["a typo below destination", { destination: { type: "duckdb", file: "x.duckdb" } }],
      ["a required setting of a destination", { destination: { type: "postgresql", database: "d" } }],
      ["an empty path", { destination: { type: "duckdb", path: "" } }],
      ["threads in words", { destination: { type: "duckdb", threads: "all" } }],
      ["a size of memory without a unit", { destination: { type: "duckdb", memory_limit: "100" } }],
      ["a word for merging that does not exist", { destination: { type: "ducklake", merge_small_files: "always" } }],
      ["a word for deletion that does not exist", { deletion: "sotf" }],
      ["an interval in words", { deletes: "6 hours" }],
      ["an interval of reading again", { reread: "each_sync" }],
      ["a duration without a unit", { commitInterval: "5" }],
      ["a duration that is a number", { commitInterval: 5 }],
      ["a size in words", { memory: "64 megabytes" }],
      ["more splits than there may be", { parallel: 65 }],
      ["splits in words", { parallel: "four" }],
      ["a fraction above 1", { maxDeleteFraction: 2 }],
      ["a prefix with a blank", { systemColumnPrefix: "a b" }],
      ["tables that are text", { tables: "orders" }],
      ["a table that is a number", { tables: [5] }],
      ["a typo below tables", { tables: { includes: ["a"] } }],
      ["overrides that are a list", { overrides: ["t"] }],
      ["a typo below an override", { overrides: { t: { curser: "a" } } }],
      ["a mode that does not exist", { overrides: { t: { mode: "ful" } } }],
      ["an empty cursor", { overrides: { t: { cursor: "" } } }],
      ["a type that does not exist", { overrides: { t: { types: { a: "INTEGER" } } } }],
      ["a filter as text where it is a mapping", { overrides: { t: { filter: "a > 1" } } }],
      ["a filter as a mapping where it is SQL", { source: postgresql, overrides: { t: { filter: { a: 1 } } } }],
      ["a filter where the source has none", { source: redis, overrides: { t: { filter: "a > 1" } } }],
      ["an empty schema", { schema: "" }],
    ] as const
  ).map(([name, given]) => [name, file(given)] as const),
];

describe("one mistake is one error of the schema, and the command line refuses it too (case 35)", () => {
  test("a right file has none", async () => {
    expect(mistakes(file({}))).toEqual([]);
    expect(await refusal(file({}))).toBe(null);
  });

  test.each(wrong)("%s", async (_, given) => {
    expect(mistakes(given)).toHaveLength(1);
    expect(await refusal(given)).not.toBe(null);
  });
});
