import type { DestinationDefinition } from "../../protocol/destination.ts";
import { checkDestination } from "./check.ts";
import { configuration, fromAddress } from "./config.ts";
import { queryDatabase } from "./query.ts";
import { openWarehouse } from "./warehouse.ts";

export const definition: DestinationDefinition<typeof configuration> = {
  name: "postgresql",
  title: "PostgreSQL",
  configuration,
  fromAddress,
  check: checkDestination,
  open: openWarehouse,
  query: queryDatabase,
};
