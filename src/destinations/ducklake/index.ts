import type { DestinationDefinition } from "../../protocol/destination.ts";
import { configurationOf } from "./catalog.ts";
import { configuration } from "./config.ts";
import { checkDestination } from "./check-place.ts";
import { openWarehouse } from "./warehouse.ts";

export const definition: DestinationDefinition<typeof configuration> = {
  name: "ducklake",
  title: "DuckLake",
  configuration,
  fromAddress: configurationOf,
  check: checkDestination,
  open: openWarehouse,
};
