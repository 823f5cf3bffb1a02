import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { z } from "zod";
import { schemes } from "../../src/cli/configuration/source-address.ts";
import { connection, type Described, describedDestinations, describedSources, type Schema } from "./schemas.ts";

const reference = { $ref: "#/definitions/reference" };
const number = { type: "string", pattern: "^\\d+(\\.\\d+)?$" };
const outside = { $ref: "#/definitions/outside" };

/** As a file may have it: what is no text may come from the environment, which has text alone. */
function loose(schema: Schema): Schema {
  const { secret: _s, path: _p, ...rest } = schema;
  const { type, properties, additionalProperties, items, enum: values, anyOf } = rest;
  if (anyOf !== undefined) return { ...rest, anyOf: [...anyOf.map(loose), reference] };
  if (type === "array" && items !== undefined) return { ...rest, items: loose(items) };
  if (type === "object") {
    return {
      ...rest,
      ...(properties === undefined ? {} : { properties: each(properties, loose) }),
      ...(typeof additionalProperties === "object" ? { additionalProperties: loose(additionalProperties) } : {}),
    };
  }
  if (type === "string" && values === undefined) return rest;
  // Numbers may be quoted: what comes from the environment is text too.
  if (type === "integer" || type === "number") return also(also(rest, reference), number);
  return also(rest, reference);
}

/** A value that may be something else as well; what editors show of it stays outside. */
function also({ description, default: value, ...schema }: Schema, other: Schema): Schema {
  return {
    ...(description === undefined ? {} : { description }),
    ...(value === undefined ? {} : { default: value }),
    anyOf: [schema, other],
  };
}

function each(values: Readonly<Record<string, Schema>>, make: (value: Schema) => Schema): Record<string, Schema> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, make(value)]));
}

function connector({ name, aliases, title, schema }: Described): Schema {
  const names = aliases.length === 0 ? { const: name } : { enum: [name, ...aliases] };
  const type = { ...names, description: title };
  const settings = each(schema.properties ?? {}, (setting) => also(loose(setting), outside));
  const required = ["type", ...(schema.required ?? [])];
  return { title, type: "object", properties: { type, ...settings }, required, additionalProperties: false };
}

/** A source of one's own: only its file knows its settings. */
const ownSource: Schema = {
  title: "A source of your own",
  type: "object",
  properties: {
    type: { description: "Its file, as ./weather/source.ts.", type: "string", pattern: "[/\\\\]|\\.[cm]?[jt]s$" },
  },
  required: ["type"],
};

const address: Schema = {
  title: "The address of a source",
  type: "string",
  pattern: `^(${schemes.join("|")})://`,
};

/** `[a, b]` beside `{ include: [a, b] }`. */
function listed(schema: Schema): Schema {
  return also(schema, { type: "array", items: { type: "string" } });
}

function connectionOf(): Schema {
  const { properties, ...rest } = loose(connection);
  const { source, destination, tables, overrides, ...others } = properties!;
  const override = overrides!.additionalProperties as Schema;
  const { columns } = override.properties!;
  const one = { ...override, properties: { ...override.properties, columns: listed(columns!) } };
  const addresses = `^(${describedDestinations.map(({ name }) => name).join("|")})(:|$)`;
  return {
    ...rest,
    properties: {
      source: { description: source!.description!, anyOf: [...describedSources.map(connector), ownSource, address] },
      destination: {
        description: destination!.description!,
        anyOf: [{ type: "string", pattern: addresses }, ...describedDestinations.map(connector)],
      },
      tables: listed(tables!),
      overrides: { ...overrides, additionalProperties: one },
      ...others,
    },
  };
}

const whole = {
  $schema: "http://json-schema.org/draft-07/schema#",
  title: "headwaters.yaml",
  description: "What Headwaters copies from where to where.",
  type: "object",
  properties: {
    connections: {
      description: "Connections by their names.",
      type: "object",
      additionalProperties: { $ref: "#/definitions/connection" },
    },
  },
  required: ["connections"],
  additionalProperties: false,
  definitions: {
    connection: connectionOf(),
    reference: { description: "An environment variable: ${NAME}, ${NAME:-value}.", type: "string", pattern: "\\$\\{" },
    outside: {
      description: "The content of a file, or what a command writes.",
      anyOf: [
        {
          type: "object",
          properties: { file: { type: "string" } },
          required: ["file"],
          additionalProperties: false,
        },
        {
          type: "object",
          properties: { command: { type: "array", items: { type: "string" }, minItems: 1 } },
          required: ["command"],
          additionalProperties: false,
        },
      ],
    },
  },
};

/** `npx vitest run test/docs -u` writes it anew. */
test("the schema of headwaters.yaml is that of the code", async () => {
  await expect(`${JSON.stringify(whole, null, 2)}\n`).toMatchFileSnapshot("../../headwaters.schema.json");
});

describe("the schema of headwaters.yaml", () => {
  const schema = z.fromJSONSchema(whole as Parameters<typeof z.fromJSONSchema>[0]);
  const root = fileURLToPath(new URL("../..", import.meta.url));
  const pages = ["README.md", ...readdirSync(join(root, "docs")).map((name) => join("docs", name))];
  const examples: readonly (readonly [string, string])[] = pages
    .filter((page) => page.endsWith(".md"))
    .flatMap((page) =>
      [...readFileSync(join(root, page), "utf8").matchAll(/```yaml\n(.*?)```/gs)].map(
        ([, text], index) => [`${page} ${index + 1}`, text!] as const,
      ),
    )
    .filter(([, text]) => text.includes("connections:"));

  test.each<readonly [string, string]>([
    ...examples,
    ["the file of init", readFileSync(join(root, "test/cli/golden/headwaters.yaml"), "utf8")],
  ])("takes %s", (_, text) => {
    expect(schema.safeParse(parse(text)).error).toBeUndefined();
  });

  test.each([
    ["a setting that there is not", { deletess: "never" }],
    ["a source's setting that there is not", { source: { type: "rethinkdb", host: "h", database: "d", hots: "x" } }],
    ["a source that there is not", { source: { type: "rethinkbd", host: "h", database: "d" } }],
    ["a value that can't be", { deletion: "sotf" }],
    ["a value of single tables that can't be", { overrides: { t: { mode: "ful" } } }],
    ["a destination that there is not", { destination: "ducksdb:x" }],
    ["an interval in words (case 35)", { deletes: "6 hours" }],
    ["a duration without a unit (case 35)", { commitInterval: "5" }],
    ["a size in words (case 35)", { memory: "64 megabytes" }],
    ["an address of a source that there is not (case 24)", { source: "mysql://h/d" }],
  ])("refuses %s", (_, wrong) => {
    const connection = { source: { type: "rethinkdb", host: "h", database: "d" }, destination: "duckdb" };
    const parsed = (value: object): boolean => schema.safeParse({ connections: { c: value } }).success;
    expect(parsed(connection)).toBe(true);
    expect(parsed({ ...connection, ...wrong })).toBe(false);
  });

  test("takes another name of a source", () => {
    const source = { type: "postgres", host: "h", database: "d", user: "u", password: "p" };
    expect(schema.safeParse({ connections: { c: { source, destination: "duckdb" } } }).error).toBeUndefined();
  });

  test.each([
    ["quoted numbers", { source: { type: "rethinkdb", host: "h", port: "28015", database: "d" }, parallel: "4" }],
    ["an interval", { deletes: "6h", reread: "30d", commitInterval: "1.5 S", memory: "64mb" }],
    ["a variable", { deletes: "${WHEN}", memory: "${MUCH:-1GB}" }],
    ["an address as the source (case 24)", { source: "postgresql://reader@localhost/shop" }],
  ])("takes %s, as the command line does (case 35)", (_, given) => {
    const connection = { source: { type: "rethinkdb", host: "h", database: "d" }, destination: "duckdb", ...given };
    expect(schema.safeParse({ connections: { c: connection } }).error).toBeUndefined();
  });

  test("takes what comes from elsewhere, and short forms", () => {
    const connection = {
      source: { type: "yugabytedb", host: "h", port: "${PORT}", database: "d", user: "u", password: { file: "p" } },
      destination: { type: "duckdb", path: { command: ["echo", "x"] } },
      tables: ["a*"],
      parallel: "${PARALLEL:-4}",
      overrides: { t: { columns: ["a"], filter: { a: { gt: 1 } }, mode: "${MODE}" } },
    };
    expect(schema.safeParse({ connections: { c: connection } }).error).toBeUndefined();
  });
});
