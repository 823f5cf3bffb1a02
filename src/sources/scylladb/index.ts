import { cqlDefinition } from "../cql/index.ts";
import { configuration, contactPoints } from "./config.ts";

export const definition = cqlDefinition({ name: "scylladb", title: "ScyllaDB", configuration }, (settings) => ({
  cluster: {
    contactPoints: contactPoints(settings),
    dataCenter: settings.data_center_region ?? null,
    names: { host: "host_1", dataCenter: "data_center_region" },
  },
  intervalHours: settings.interval_hours,
  stream: {
    window: settings.stream_window * 1_000,
    delay: settings.stream_delay * 1_000,
    overlap: settings.stream_overlap * 1_000,
  },
}));
