import { destinationConformance } from "../../conformance/destination.ts";
import { startPostgresql } from "../../servers/postgresql.ts";
import { describeWith } from "../../servers/require.ts";
import { PostgresqlHarness } from "./harness.ts";

await describeWith(startPostgresql, "the PostgreSQL destination", (server) => {
  destinationConformance("PostgreSQL", async () => new PostgresqlHarness(server));
});
