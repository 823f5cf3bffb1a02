import type { DestinationDefinition } from "../../protocol/destination.ts";
import { queryInstance } from "../duckdb/query.ts";
import { catalogOf, configurationOf } from "./catalog.ts";
import { configuration } from "./config.ts";
import { checkDestination } from "./check-place.ts";
import { openLake } from "./lake.ts";
import { openWarehouse } from "./warehouse.ts";

export const definition: DestinationDefinition<typeof configuration> = {
  name: "ducklake",
  title: "DuckLake",
  configuration,
  fromAddress: configurationOf,
  check: checkDestination,
  open: openWarehouse,
  async query(configuration, query) {
    const { instance } = await openLake(configuration, await catalogOf(configuration), "read");
    return queryInstance(instance, query);
  },
};
