import { z } from "zod";
import type { FilterLanguage, SourceCapabilities } from "../../src/protocol/source.ts";
import { connectionSchema } from "../../src/cli/configuration/connection-schema.ts";
import { serviceSchema } from "../../src/cli/configuration/service-schema.ts";
import { temporalSchema } from "../../src/cli/configuration/temporal-schema.ts";
import { settingsOf } from "../../src/cli/configuration/settings.ts";
import { destinations } from "../../src/destinations/index.ts";
import { aliases, sources } from "../../src/sources/index.ts";

/** What is used of JSON Schema. */
export interface Schema {
  readonly [keyword: string]: unknown;
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Schema[];
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | boolean;
  readonly required?: readonly string[];
  readonly description?: string;
  readonly default?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
}

/** A connector and the schema of what users write for it. */
export interface Described {
  readonly name: string;
  /** Other names that users may write. */
  readonly aliases: readonly string[];
  readonly title: string;
  /** Of a source: the language of its filters; `null`: it has none. */
  readonly filter: FilterLanguage | null;
  readonly schema: Schema;
}

/** What users write, with the default of each setting, also where a value is put in order before it is checked. */
function inputSchema(schema: z.ZodType): Schema {
  const { $schema: _, ...written } = z.toJSONSchema(schema, {
    io: "input",
    target: "draft-7",
    unrepresentable: "any",
  }) as Schema;
  const settings = settingsOf(schema);
  const properties = Object.entries(written.properties ?? {}).map(([name, property]) => {
    const value = settings.find((setting) => setting.name === name)?.default;
    return [name, value === undefined ? property : { ...property, default: value }] as const;
  });
  return { ...written, properties: Object.fromEntries(properties) };
}

export const connection = inputSchema(connectionSchema);
export const service = inputSchema(serviceSchema);
export const temporal = inputSchema(temporalSchema);

interface Definition {
  readonly configuration: z.ZodType;
  readonly capabilities?: Partial<SourceCapabilities>;
}

async function described(
  registry: Readonly<Record<string, { readonly title: string; load(): Promise<Definition> }>>,
  others: Readonly<Record<string, string>>,
): Promise<readonly Described[]> {
  const entries = Object.entries(registry).map(async ([name, { title, load }]) => {
    const { configuration, capabilities } = await load();
    return {
      name,
      aliases: Object.keys(others).filter((alias) => others[alias] === name),
      title,
      filter: capabilities?.filter ?? null,
      schema: inputSchema(configuration),
    };
  });
  return Promise.all(entries);
}

export const describedSources = await described(sources, aliases);
export const describedDestinations = await described(destinations, {});
