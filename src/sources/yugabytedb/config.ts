import { configuration as postgresql, portSetting } from "../postgresql/config.ts";
import { flag, optionalText, whole } from "../../toolkit/settings.ts";

/** The settings of a connection to YugabyteDB (YSQL), under the names of the published example. */
export const configuration = postgresql
  .extend({
    port: portSetting(5433, "The port of YSQL; PostgreSQL listens at 5432."),
    load_balance: flag.default(false).meta({
      title: "Load balance",
      description: "Spread connections over all nodes of the cluster that yb_servers() lists.",
    }),
    topology_keys: optionalText.meta({
      when: { setting: "load_balance", is: true },
      title: "Topology keys",
      description:
        "With load_balance: the nodes to connect to, as cloud.region.zone, several separated by commas, * for any zone; the first that has nodes is taken.",
    }),
    follower_reads: flag.default(false).meta({
      title: "Follower reads",
      description: "Read from the nearest replicas instead of the leaders; the copy is older by follower_staleness_ms.",
    }),
    follower_staleness_ms: whole(500, 3_600_000)
      .default(30_000)
      .meta({
        when: { setting: "follower_reads", is: true },
        title: "Follower staleness",
        description: "How far back follower reads lie, in milliseconds.",
      }),
  })
  .meta({ title: "YugabyteDB", description: "YugabyteDB (YSQL), or any PostgreSQL from version 11 on." });
