import { z } from "zod";
import { changesByTable, hostList, sharedSettings } from "../cql/config.ts";
import { optionalText, text } from "../../toolkit/settings.ts";

/** The settings of a connection to Cassandra, under the names of the published example. */
export const configuration = z
  .strictObject({
    hostname: text.meta({
      title: "Host",
      description: "Name or address of a node. Several, separated by commas, are tried in turn.",
    }),
    ...sharedSettings("created_at", changesByTable),
    data_center: optionalText.meta({
      title: "Data centre",
      description: "The data centre whose nodes are read. Absent: that of the node that answers first.",
    }),
  })
  .meta({ title: "Cassandra", description: "Apache Cassandra 3.0 or later." });

export type Configuration = z.output<typeof configuration>;

export function contactPoints({ hostname }: Configuration): string[] {
  return hostList(hostname);
}
