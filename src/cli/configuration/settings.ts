import { z } from "zod";

/** A setting of a source or destination, from its schema. */
export interface Setting {
  readonly name: string;
  /** The title for people; the setting's name if the schema has no title. */
  readonly title: string;
  readonly description: string;
  readonly required: boolean;
  /** Whether the value must never be shown. */
  readonly secret: boolean;
  /**
   * `always`: a file or folder. `existing`: a path if the file exists, else a value (a certificate may be given instead
   * of its file). Relative paths start at the folder of the configuration.
   */
  readonly path: "always" | "existing" | "no";
  /** The type in JSON Schema; `null`: several. */
  readonly type: string | null;
  /** The allowed values; `null`: any of its type. */
  readonly choices: readonly string[] | null;
  readonly default: unknown;
  /** It matters only while another setting has this value; `null`: always. */
  readonly when: { readonly setting: string; readonly is: string | boolean } | null;
}

interface JsonSchema {
  readonly properties?: Readonly<Record<string, JsonSchema & Readonly<Record<string, unknown>>>>;
  readonly additionalProperties?: JsonSchema;
  readonly required?: readonly string[];
}

/** The settings of a connector's schema, in order. */
export function settingsOf(schema: z.ZodType): readonly Setting[] {
  const { properties = {}, required = [] } = jsonSchema(schema, "input");
  // The input schema lacks the defaults of values that are converted first (text into numbers).
  const { properties: outputs = {} } = jsonSchema(schema, "output");
  return Object.entries(properties).map(([name, property]) => ({
    name,
    title: typeof property["title"] === "string" ? property["title"] : name,
    description: typeof property["description"] === "string" ? property["description"] : "",
    required: required.includes(name),
    secret: property["secret"] === true,
    path: property["path"] === true ? "always" : property["path"] === "existing" ? "existing" : "no",
    type: typeof property["type"] === "string" ? property["type"] : null,
    choices: choicesOf(property) ?? choicesOf(outputs[name]),
    default: property["default"] ?? outputs[name]?.["default"],
    when: (property["when"] as Setting["when"] | undefined) ?? null,
  }));
}

function choicesOf(property: Readonly<Record<string, unknown>> | undefined): readonly string[] | null {
  if (Array.isArray(property?.["enum"])) return property["enum"].map(String);
  // A setting by table: forms offer the words for all tables.
  const branches = property?.["anyOf"] as readonly Readonly<Record<string, unknown>>[] | undefined;
  return branches?.map(choicesOf).find((choices) => choices !== null) ?? null;
}

function jsonSchema(schema: z.ZodType, io: "input" | "output"): JsonSchema {
  return z.toJSONSchema(schema, { io, unrepresentable: "any" }) as JsonSchema;
}

/** The names of the settings at a path of a schema, at any depth. */
export function settingNames(schema: z.ZodType, path: readonly (string | number)[]): readonly string[] {
  let at: JsonSchema | undefined = jsonSchema(schema, "input");
  for (const part of path) at = at?.properties?.[part] ?? at?.additionalProperties ?? undefined;
  return Object.keys(at?.properties ?? {});
}
