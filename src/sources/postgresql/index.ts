import type { SourceDefinition } from "../../protocol/source.ts";
import { configuration } from "./config.ts";
import { PostgresqlSource } from "./source.ts";
import { positionIn } from "./stream/position.ts";

export const definition: SourceDefinition<typeof configuration> = {
  name: "postgresql",
  title: "PostgreSQL",
  kin: ["yugabytedb"],
  configuration,
  capabilities: { passes: ["full", "window", "keys"], independentPath: true, schema: "declared", filter: "sql" },
  checks: {
    connect: "Connect to the server",
    login: "Log in",
    database: "Open the database",
    schema: "Find the schema",
    privileges: "Read every table",
  },
  scope: ({ host, port, database, schema }) => ({ server: `${host}:${port}`, database, schema }),
  position: (next) => positionIn(next)?.lsn ?? null,
  schema: ({ schema }) => schema,
  open: async (settings, context) => new PostgresqlSource(settings, context),
};
