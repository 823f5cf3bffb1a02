import { sourceConformance } from "../../conformance/source.ts";
import { type CassandraServer, startOwnCassandra } from "../../servers/cassandra.ts";
import { describeWith } from "../../servers/require.ts";
import { definition } from "../../../src/sources/cassandra/index.ts";
import { cassandraSettings, cqlHarness } from "./harness.ts";

/** Without indexes that serve ranges, vectors, and write times of collections. */
await describeWith(
  () => startOwnCassandra({ version: "4.1.10" }),
  "Cassandra 4.1",
  (server: CassandraServer) => {
    const settings = { ...cassandraSettings(server), cursor_column: "updated_at", allow_filtering: true };
    sourceConformance("cassandra 4.1", () => cqlHarness(server, definition, settings));
  },
);
