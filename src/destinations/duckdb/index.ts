import type { DestinationDefinition } from "../../protocol/destination.ts";
import { checkDestination } from "./check.ts";
import { configuration } from "./config.ts";
import { queryFile } from "./query.ts";
import { openWarehouse } from "./warehouse.ts";

export const definition: DestinationDefinition<typeof configuration> = {
  name: "duckdb",
  title: "DuckDB",
  configuration,
  fromAddress: (address) => (address === "" ? {} : { path: address }),
  check: checkDestination,
  open: openWarehouse,
  query: queryFile,
};
