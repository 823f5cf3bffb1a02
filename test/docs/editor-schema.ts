// oxlint-disable unicorn/no-thenable -- `then` is a keyword of JSON Schema.
import type { FilterLanguage } from "../../src/protocol/source.ts";
import { schemes } from "../../src/cli/configuration/source-address.ts";
import {
  connection,
  type Described,
  describedDestinations,
  describedSources,
  type Schema,
  service,
  temporal,
} from "./schemas.ts";

// The schema for editors names one mistake as one. Its keywords therefore never offer alternatives by `anyOf`, of which a
// validator reports every branch: what a keyword says of one type of value stands beside what others say of other
// types, and `if` decides where that is not enough.

/** Text that stands for the value of an environment variable. */
const reference = "\\$\\{";

/** The content of a file, or what a command writes: `{ file: path }`, `{ command: [program] }`. */
const outside: Schema = {
  type: "object",
  properties: { file: { type: "string" }, command: { type: "array", items: { type: "string" }, minItems: 1 } },
  minProperties: 1,
  maxProperties: 1,
  additionalProperties: false,
};

/** The metadata of our own, which validators don't know. */
const own = new Set(["secret", "path", "text", "blank", "when"]);

/** Keywords that describe a value, and check nothing. */
const describing = new Set(["title", "description", "default"]);

/** How a value may be written besides itself. */
interface Written {
  /** By a file or a command. */
  readonly outside: boolean;
  /** As a number or a boolean, of which the program takes the text. */
  readonly bare: boolean;
}

const inConnection: Written = { outside: false, bare: false };
const inConnector: Written = { outside: true, bare: true };

/** A schema for what a file may hold, given the schema of the value. */
function loose(schema: Schema, written: Written): Schema {
  const entries = Object.entries(schema).filter(([keyword]) => describing.has(keyword));
  return { ...Object.fromEntries(entries), ...checks(schema, written) };
}

function checks(schema: Schema, { outside: mayFetch, bare }: Written): Schema {
  const branches = (schema.anyOf ?? [schema]).flatMap((branch) => branch.anyOf ?? [branch]);
  const words = branches.find((branch) => branch.enum !== undefined)?.enum;
  const others = branches.filter((branch) => branch.enum === undefined).map(branchChecks);
  const types = new Set(others.flatMap(({ type }) => (type === undefined ? [] : [type].flat())));
  const texts = [schema, ...branches].flatMap(({ text }) => (typeof text === "string" ? [text] : []));
  const isText = types.has("string");
  if (!isText && (types.has("integer") || types.has("number")) && texts.length === 0) texts.push("^\\s*\\d+\\s*$");
  if (isText && bare) for (const type of ["number", "boolean"]) types.add(type);
  // A variable is text, so it can stand for what one line can hold.
  const isScalar = words !== undefined || [...types].some((type) => !["array", "object"].includes(type));
  const pattern = isScalar && (!isText || texts.length > 0) ? [...new Set([...texts, reference])].join("|") : undefined;
  if (isScalar) types.add("string");
  if (schema["blank"] === true) types.add("null");
  const fetched = mayFetch && !types.has("object");
  if (fetched) types.add("object");
  const { minLength: _, ...merged } = Object.assign({}, ...others, fetched ? outside : {}) as Schema;
  const kept = pattern === undefined && others.some(({ minLength }) => minLength !== undefined) ? { minLength: 1 } : {};
  const value = { ...merged, type: [...types], ...kept, ...(pattern === undefined ? {} : { pattern }) };
  if (words === undefined) return value.type.length === 1 ? { ...value, type: value.type[0]! } : value;
  const { type, pattern: text, ...rest } = value;
  return {
    if: { type, pattern: text },
    ...(Object.keys(rest).length === 0 ? {} : { then: rest }),
    else: { enum: words },
  };
}

/** What one branch of a value checks, with the values in it. */
function branchChecks(schema: Schema): Schema {
  const { type, items, properties, additionalProperties } = schema;
  const kept = Object.entries(schema).filter(
    ([keyword]) => !own.has(keyword) && !describing.has(keyword) && keyword !== "propertyNames",
  );
  const inner = (value: Schema): Schema => loose(value, inConnection);
  return {
    ...Object.fromEntries(kept),
    ...(type === "array" && items !== undefined ? { items: inner(items) } : {}),
    ...(properties === undefined ? {} : { properties: each(properties, inner) }),
    ...(typeof additionalProperties === "object" ? { additionalProperties: inner(additionalProperties) } : {}),
  };
}

function each(values: Readonly<Record<string, Schema>>, make: (value: Schema) => Schema): Record<string, Schema> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, make(value)]));
}

/** The settings of a connector, without its `type`, which decides that they are checked. */
function settingsOf({ title, schema }: Described): Schema {
  const settings = each(schema.properties ?? {}, (setting) => loose(setting, inConnector));
  const required = schema.required ?? [];
  return {
    title,
    properties: { type: {}, ...settings },
    ...(required.length === 0 ? {} : { required }),
    additionalProperties: false,
  };
}

const isOwn = "[/\\\\]|\\.[cm]?[jt]s$";

function namesOf({ name, aliases }: Described): Schema {
  return aliases.length === 0 ? { const: name } : { enum: [name, ...aliases] };
}

/** A mapping with a `type`, which says what else may be in it. */
function byType(side: "source" | "destination", all: readonly Described[], others: string | null): Schema {
  const names = { enum: all.flatMap(({ name, aliases }) => [name, ...aliases]) };
  const type = { description: `The kind of the ${side}.` };
  return {
    type: "object",
    properties: {
      type: {
        ...type,
        ...(others === null ? names : { if: { type: "string", pattern: others }, else: names }),
      },
    },
    required: ["type"],
    allOf: all.map((one) => ({
      if: { type: "object", properties: { type: namesOf(one) }, required: ["type"] },
      then: { $ref: `#/definitions/${side}-${one.name}` },
    })),
  };
}

/** Text of one pattern, or else a mapping. */
function textOr(pattern: string, schema: Schema): Schema {
  return { if: { type: "string" }, then: { pattern }, else: schema };
}

/** `[a, b]` beside `{ include: [a, b] }`. */
function listed({ description, default: value, ...schema }: Schema): Schema {
  const names = { items: { type: "string", minLength: 1 } };
  return {
    ...(description === undefined ? {} : { description }),
    ...(value === undefined ? {} : { default: value }),
    ...schema,
    type: ["array", "object"],
    ...names,
  };
}

const filters: Readonly<Record<FilterLanguage | "none", Schema | boolean>> = {
  sql: { type: "string" },
  cql: { type: "string" },
  fields: { type: "object" },
  none: false,
};

/** The filters that a source takes. */
function filterOf(one: Described): Schema {
  const filter = filters[one.filter ?? "none"];
  return {
    if: {
      properties: { source: { type: "object", properties: { type: namesOf(one) }, required: ["type"] } },
      required: ["source"],
    },
    then: {
      properties: {
        overrides: { additionalProperties: { properties: { filter } } },
      },
    },
  };
}

function connectionOf(): Schema {
  const { properties, ...rest } = connection;
  const { source, destination, tables, overrides, ...others } = properties!;
  const override = branchChecks(overrides!.additionalProperties as Schema);
  const { filter: _, columns, ...more } = override.properties!;
  return {
    ...branchChecks(rest),
    properties: {
      source: {
        description: source!.description!,
        ...textOr(`^(${schemes.join("|")})://`, byType("source", describedSources, isOwn)),
      },
      destination: {
        description: destination!.description!,
        ...textOr(
          `^(${describedDestinations.map(({ name }) => name).join("|")})(:|$)|${reference}`,
          byType("destination", describedDestinations, null),
        ),
      },
      tables: listed(loose(tables!, inConnection)),
      overrides: {
        description: overrides!.description!,
        type: "object",
        additionalProperties: {
          ...override,
          properties: {
            columns: listed(columns!),
            filter: { description: (overrides!.additionalProperties as Schema).properties!["filter"]!.description! },
            ...more,
          },
        },
      },
      ...each(others, (setting) => loose(setting, inConnection)),
    },
    allOf: describedSources.map(filterOf),
  };
}

/** What stands below `service:`. */
function serviceOf(): Schema {
  const { tls, alerts, token, ...others } = service.properties!;
  const alert = alerts!.additionalProperties as Schema;
  const [, files] = tls!.anyOf!;
  return {
    description: "How headwaters up works.",
    ...branchChecks({ ...service, properties: {} }),
    properties: {
      ...each(others, (setting) => loose(setting, inConnection)),
      token: loose(token!, inConnector),
      tls: { description: tls!.description!, ...textOr(`^proxy$|${reference}`, branchChecks(files!)) },
      alerts: {
        description: alerts!.description!,
        type: "object",
        additionalProperties: {
          ...branchChecks(alert),
          properties: each(alert.properties!, (setting) => loose(setting, inConnector)),
        },
      },
    },
  };
}

/** What stands below `temporal:`. */
function temporalOf(): Schema {
  const { tls, apiKey, ...others } = temporal.properties!;
  const [, files] = tls!.anyOf!;
  return {
    description: "Where syncs of many machines are driven from.",
    ...branchChecks({ ...temporal, properties: {} }),
    properties: {
      ...each(others, (setting) => loose(setting, inConnection)),
      apiKey: loose(apiKey!, inConnector),
      tls: { description: tls!.description!, anyOf: [{ type: "boolean" }, branchChecks(files!)] },
    },
  };
}

/** The names that connections may have. */
const connectionName = "^[A-Za-z0-9][A-Za-z0-9_.-]*$";

export const editorSchema = {
  $schema: "http://json-schema.org/draft-07/schema#",
  $id: "urn:headwaters:headwaters.schema.json",
  title: "headwaters.yaml",
  description: "What Headwaters copies from where to where.",
  type: "object",
  properties: {
    connections: {
      description: "Connections by their names.",
      type: "object",
      minProperties: 1,
      patternProperties: { [connectionName]: { $ref: "#/definitions/connection" } },
      additionalProperties: false,
    },
    service: serviceOf(),
    temporal: temporalOf(),
  },
  required: ["connections"],
  additionalProperties: false,
  definitions: {
    connection: connectionOf(),
    ...Object.fromEntries(describedSources.map((one) => [`source-${one.name}`, settingsOf(one)])),
    ...Object.fromEntries(describedDestinations.map((one) => [`destination-${one.name}`, settingsOf(one)])),
  },
};
