import type { SourceDefinition } from "../../protocol/source.ts";
import { configuration } from "./config.ts";
import { reqlAddress } from "./settings.ts";
import { RethinkdbSource } from "./source.ts";

export const definition: SourceDefinition<typeof configuration> = {
  name: "rethinkdb",
  title: "RethinkDB",
  configuration,
  capabilities: {
    passes: ["full", "window", "keys"],
    independentPath: true,
    schema: "inferred",
    catchesUp: true,
    filter: "fields",
  },
  checks: {
    connect: "Connect to the server",
    login: "Log in",
    database: "Find the database",
    privileges: "Read every table",
  },
  scope: ({ host, port, database }) => ({ server: `${host}:${port}`, database }),
  schema: ({ database }) => database,
  open: async (settings, context) => new RethinkdbSource(settings, reqlAddress(settings), context),
};
