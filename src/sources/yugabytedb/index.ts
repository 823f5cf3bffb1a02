import type { SourceDefinition } from "../../protocol/source.ts";
import { configuration } from "./config.ts";
import { YugabyteSource } from "./source.ts";

export const definition: SourceDefinition<typeof configuration> = {
  name: "yugabytedb",
  title: "YugabyteDB",
  configuration,
  capabilities: { passes: ["full", "window", "keys"], independentPath: true, schema: "declared", filter: "sql" },
  scope: ({ host, port, database, schema }) => ({ server: `${host}:${port}`, database, schema }),
  schema: ({ schema }) => schema,
  open: async (settings, context) => new YugabyteSource(settings, context),
};
