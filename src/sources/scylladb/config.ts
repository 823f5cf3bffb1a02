import { z } from "zod";
import { changesByLog, hostList, sharedSettings } from "../cql/config.ts";
import { optionalText, text, whole } from "../../toolkit/settings.ts";

/** The settings of a connection to ScyllaDB, under the names of the published example. */
export const configuration = z
  .strictObject({
    host_1: text.meta({ title: "Host 1", description: "Name or address of a node." }),
    host_2: optionalText.meta({
      title: "Host 2",
      description: "A node to try if the first one does not answer.",
    }),
    host_3: optionalText.meta({ title: "Host 3", description: "A node to try if the others do not answer." }),
    ...sharedSettings("updated_at", changesByLog, ", stream (by the CDC log; tables without a log as with cursor)"),
    stream_window: whole(1, 3_600).default(30).meta({
      title: "Stream window",
      description: "With changes: stream, under follow: how often the logs are read, in seconds.",
    }),
    stream_delay: whole(1, 3_600).default(30).meta({
      title: "Stream delay",
      description:
        "With changes: stream: the logs are read up to this many seconds before now, so that entries and rows have reached the replicas.",
    }),
    stream_overlap: whole(1, 86_400).default(3_600).meta({
      title: "Stream overlap",
      description:
        "With changes: stream: how many seconds of the logs are read again, for late entries. An entry is late if a client sets the time of the write (USING TIMESTAMP).",
    }),
    data_center_region: optionalText.meta({
      title: "Data centre",
      description: "The data centre whose nodes are read. Absent: that of the node that answers first.",
    }),
    interval_hours: whole(1, 87_600).default(6).meta({
      title: "Interval",
      description:
        "Windows are read in parts of this many hours of the cursor column, if an index serves ranges (SAI or SASI of Cassandra). ScyllaDB has no such index, so the setting has no effect there.",
    }),
  })
  .meta({ title: "ScyllaDB", description: "ScyllaDB, or Cassandra by the settings of ScyllaDB's example." });

export type Configuration = z.output<typeof configuration>;

export function contactPoints({ host_1: first, host_2: second, host_3: third }: Configuration): string[] {
  return [first, second ?? "", third ?? ""].flatMap(hostList);
}
