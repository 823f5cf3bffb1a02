import type { SourceDefinition } from "../../protocol/source.ts";
import { cqlCapabilities } from "../cql/capabilities.ts";
import { cqlSettings } from "../cql/config.ts";
import { CqlSource } from "../cql/source.ts";
import { configuration, contactPoints } from "./config.ts";

export const definition: SourceDefinition<typeof configuration> = {
  name: "scylladb",
  title: "ScyllaDB",
  configuration,
  capabilities: cqlCapabilities,
  checks: { connect: "Connect and log in", keyspace: "Find the tables", privileges: "Read every table" },
  // Not the contact points: a cluster has many, and the ids of its tables tell it from another one.
  scope: ({ keyspace }) => ({ keyspace }),
  schema: ({ keyspace }) => keyspace,
  open: async (settings, context) => {
    const where = {
      contactPoints: contactPoints(settings),
      dataCenter: settings.data_center_region ?? null,
      names: { host: "host_1", dataCenter: "data_center_region" },
    };
    return new CqlSource(await cqlSettings(settings, where, settings.interval_hours), context);
  },
};
