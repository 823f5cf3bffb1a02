import type { z } from "zod";
import type { SourceCapabilities, SourceDefinition } from "../../protocol/source.ts";
import type { ClusterOptions } from "../../wire/cql/cluster.ts";
import type { SharedConfiguration } from "./config.ts";
import { cqlSettings, type StreamSettings } from "./settings.ts";
import { CqlSource } from "./source.ts";

const day = 24 * 60 * 60 * 1_000;
const week = 7 * day;

const capabilities: SourceCapabilities = {
  passes: ["full", "window", "keys"],
  independentPath: true,
  schema: "declared",
  filter: "cql",
  // A write below a quorum may surface hours later with an old timestamp. Two
  // writes in one microsecond share a write time.
  reread: week,
  // The digest of write times shows every write, but the log of ScyllaDB does not show rows that expire.
  catchesUp: true,
  resweep: day,
};

/** A source that speaks CQL. `where`: the cluster that its own settings name, and the length of parts of windows. */
export function cqlDefinition<Schema extends z.ZodType<SharedConfiguration>>(
  { name, title, configuration }: Pick<SourceDefinition<Schema>, "name" | "title" | "configuration">,
  where: (settings: z.output<Schema>) => {
    readonly cluster: Pick<ClusterOptions, "contactPoints" | "dataCenter" | "names">;
    readonly intervalHours: number | null;
    readonly stream?: StreamSettings;
  },
): SourceDefinition<Schema> {
  return {
    name,
    title,
    configuration,
    capabilities,
    checks: { connect: "Connect and log in", keyspace: "Find the tables", privileges: "Read every table" },
    // Without the contact points: a cluster has many of them, and the ids of its tables identify it.
    scope: ({ keyspace }) => ({ keyspace }),
    schema: ({ keyspace }) => keyspace,
    open: async (settings, context) => {
      const { cluster, intervalHours, stream } = where(settings);
      return new CqlSource(cqlSettings(settings, cluster, intervalHours, stream), context);
    },
  };
}
