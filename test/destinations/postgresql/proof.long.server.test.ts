import { proofLaws } from "../../conformance/proof.ts";
import { startPostgresql } from "../../servers/postgresql.ts";
import { describeWith } from "../../servers/require.ts";
import { PostgresqlHarness } from "./harness.ts";

await describeWith(startPostgresql, "the PostgreSQL destination", (server) => {
  proofLaws("PostgreSQL", async () => new PostgresqlHarness(server), { bytes: (hex) => `decode('${hex}', 'hex')` });
});
