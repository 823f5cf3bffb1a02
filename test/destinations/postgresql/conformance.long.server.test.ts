import { destinationChecks, destinationConformance } from "../../conformance/destination.ts";
import { teamChecks } from "../../conformance/destination/team.ts";
import { startPostgresql } from "../../servers/postgresql.ts";
import { describeWith } from "../../servers/require.ts";
import { PostgresqlHarness } from "./harness.ts";

await describeWith(startPostgresql, "the PostgreSQL destination", (server) => {
  const checks = [...destinationChecks, ...teamChecks];
  destinationConformance("PostgreSQL", async () => new PostgresqlHarness(server), { checks });
});
