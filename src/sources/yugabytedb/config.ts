import { configuration as postgresql, portSetting } from "../postgresql/config.ts";
import { choice, flag, optionalText, whole } from "../../toolkit/settings.ts";

/** The settings of a connection to YugabyteDB (YSQL), under the names of the published example. */
export const configuration = postgresql
  .extend({
    port: portSetting(5433, "The port of YSQL. PostgreSQL uses 5432."),
    plugin: choice(["yboutput", "pgoutput"]).default("yboutput").meta({
      title: "Output plugin",
      description:
        "With changes: stream on YugabyteDB: the output plugin of the slot. pgoutput does not know the replica identity CHANGE, which is the default of tables in YugabyteDB. PostgreSQL always uses pgoutput.",
    }),
    load_balance: flag.default(false).meta({
      title: "Load balance",
      description: "Whether connections are spread over all nodes that yb_servers() lists.",
    }),
    topology_keys: optionalText.meta({
      when: { setting: "load_balance", is: true },
      title: "Topology keys",
      description:
        "With load_balance: the zones to connect to, as cloud.region.zone, separated by commas. * stands for any zone. The first zone that has nodes is used.",
    }),
    follower_reads: flag.default(false).meta({
      title: "Follower reads",
      description:
        "Whether to read from the nearest replicas instead of the leaders. The copy is then older by follower_staleness_ms.",
    }),
    follower_staleness_ms: whole(500, 3_600_000)
      .default(30_000)
      .meta({
        when: { setting: "follower_reads", is: true },
        title: "Follower staleness",
        description: "How old follower reads are, in milliseconds.",
      }),
  })
  .meta({ title: "YugabyteDB", description: "YugabyteDB (YSQL), or PostgreSQL 11 or later." });
