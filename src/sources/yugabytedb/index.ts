import type { SourceDefinition } from "../../protocol/source.ts";
import { definition as postgresql } from "../postgresql/index.ts";
import { postgresSettings } from "../postgresql/settings.ts";
import { PostgresqlSource } from "../postgresql/source.ts";
import { configuration } from "./config.ts";
import { Nodes } from "./nodes.ts";

export const definition: SourceDefinition<typeof configuration> = {
  ...postgresql,
  name: "yugabytedb",
  title: "YugabyteDB",
  kin: ["postgresql"],
  configuration,
  open: async (settings, context) => {
    const nodes = settings.load_balance ? new Nodes(postgresSettings(settings), settings.topology_keys) : null;
    return new PostgresqlSource(settings, context, {
      ...(nodes === null ? {} : { connect: (signal) => nodes.connect(signal) }),
      staleness: settings.follower_reads ? settings.follower_staleness_ms : null,
    });
  },
};
