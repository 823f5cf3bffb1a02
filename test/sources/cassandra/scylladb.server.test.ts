import { definition } from "../../../src/sources/scylladb/index.ts";
import { sourceConformance } from "../../conformance/source.ts";
import { type CassandraServer, startScylladb } from "../../servers/cassandra.ts";
import { describeWith } from "../../servers/require.ts";
import { cqlHarness } from "./harness.ts";

/** Where Cassandra stands in, it speaks the same protocol; windows are read by ALLOW FILTERING, as ScyllaDB must. */
await describeWith(startScylladb, "ScyllaDB, or Cassandra for it", (server: CassandraServer) => {
  sourceConformance("scylladb", () =>
    cqlHarness(
      server,
      definition,
      {
        host_1: "127.0.0.9",
        host_2: server.host,
        host_3: "",
        port: String(server.port),
        username: server.username ?? "",
        password: server.password ?? "",
        keyspace: server.keyspace,
        data_center_region: "",
        allow_filtering: "true",
        changes: { things: "cursor", "*": "full" },
      },
      false,
    ),
  );
});
