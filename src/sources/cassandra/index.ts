import { cqlDefinition } from "../cql/index.ts";
import { configuration, contactPoints } from "./config.ts";

export const definition = cqlDefinition({ name: "cassandra", title: "Cassandra", configuration }, (settings) => ({
  cluster: {
    contactPoints: contactPoints(settings),
    dataCenter: settings.data_center ?? null,
    names: { host: "hostname", dataCenter: "data_center" },
  },
  intervalHours: null,
}));
