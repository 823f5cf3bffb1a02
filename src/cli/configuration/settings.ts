import { z } from "zod";

/** One setting of a source or destination, as its schema tells it. */
export interface Setting {
  readonly name: string;
  /** As people write it; its name, where the schema says nothing else. */
  readonly title: string;
  readonly description: string;
  readonly required: boolean;
  /** Its value must never be shown. */
  readonly secret: boolean;
  /**
   * `always` a file or folder; `existing`: one, where it is there (a certificate may also stand in place of its file).
   * Relative ones are meant from the folder of the configuration.
   */
  readonly path: "always" | "existing" | "no";
  /** JSON Schema's word; `null`: several. */
  readonly type: string | null;
  /** The values that it can have; `null`: any of its type. */
  readonly choices: readonly string[] | null;
  readonly default: unknown;
}

interface JsonSchema {
  readonly properties?: Readonly<Record<string, JsonSchema & Readonly<Record<string, unknown>>>>;
  readonly additionalProperties?: JsonSchema;
  readonly required?: readonly string[];
}

/** The settings that a connector's schema has, in their order. */
export function settingsOf(schema: z.ZodType): readonly Setting[] {
  const { properties = {}, required = [] } = jsonSchema(schema, "input");
  // The input side leaves defaults out where the input is put in order first (text into numbers).
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
  }));
}

function choicesOf(property: Readonly<Record<string, unknown>> | undefined): readonly string[] | null {
  return Array.isArray(property?.["enum"]) ? property["enum"].map(String) : null;
}

function jsonSchema(schema: z.ZodType, io: "input" | "output"): JsonSchema {
  return z.toJSONSchema(schema, { io, unrepresentable: "any" }) as JsonSchema;
}

/** Names of the settings that a schema has at a path: of the mapping there, however nested. */
export function settingNames(schema: z.ZodType, path: readonly (string | number)[]): readonly string[] {
  let at: JsonSchema | undefined = jsonSchema(schema, "input");
  for (const part of path) at = at?.properties?.[part] ?? at?.additionalProperties ?? undefined;
  return Object.keys(at?.properties ?? {});
}
