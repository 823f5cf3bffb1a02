import { sourceConformance } from "../../conformance/source.ts";
import { type CassandraServer, startCassandra } from "../../servers/cassandra.ts";
import { describeWith } from "../../servers/require.ts";
import { cqlHarness } from "./harness.ts";
import { definition } from "../../../src/sources/cassandra/index.ts";

await describeWith(startCassandra, "Cassandra", (server: CassandraServer) => {
  sourceConformance("cassandra", () =>
    cqlHarness(server, definition, {
      hostname: server.host,
      port: String(server.port),
      username: server.username ?? "",
      password: server.password ?? "",
      keyspace: server.keyspace,
      cursor_column: "updated_at",
      // Cassandra 4 has no index that serves ranges.
      allow_filtering: Number.parseInt(server.version, 10) < 5,
    }),
  );
});
