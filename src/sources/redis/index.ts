import type { SourceDefinition } from "../../protocol/source.ts";
import { configuration } from "./config.ts";
import { entryKinds } from "./entries/entries.ts";
import { respSettings } from "./settings.ts";
import { RedisSource } from "./source.ts";

export const definition: SourceDefinition<typeof configuration> = {
  name: "redis",
  title: "Redis",
  kin: ["valkey", "dragonflydb"],
  configuration,
  capabilities: { passes: ["full", "window", "keys"], independentPath: true, schema: "inferred" },
  checks: { connect: "Connect and log in", server: "Look at the server", privileges: "Use its commands" },
  scope: ({ host, port, database, key_pattern: patterns, key_types: types, tables, table_name: name }) => ({
    host,
    port,
    database,
    tables: {
      ...Object.fromEntries(Object.entries(tables).map(([id, { pattern }]) => [id, pattern])),
      ...Object.fromEntries([name, ...entryKinds.map(({ suffix }) => name + suffix)].map((id) => [id, patterns])),
      ...(types === undefined ? {} : { [name]: { patterns, types } }),
    },
  }),
  schema: ({ database }) => `db${database}`,
  open: async (configuration, context) => new RedisSource(respSettings(configuration), configuration, context),
};
