import { describe } from "vitest";
import { duckdbExtensions } from "../servers/duckdb-extensions.ts";
import { startOwnPostgresql } from "../servers/postgresql.ts";
import { describeWith } from "../servers/require.ts";
import { postgresqlSourceSuite } from "./postgresql-source.ts";
import { restoreDuckdb, restoreDucklake, restorePostgresql } from "./restored.ts";
import { warehouseSuite } from "./suite.ts";

describe("a DuckDB file of 0.1.0", () => {
  warehouseSuite(restoreDuckdb, "duckdb");
});

await describeWith(duckdbExtensions, "a DuckLake of 0.1.0", () => warehouseSuite(restoreDucklake, "ducklake"));

// Of its own: the state of the source tells of PostgreSQL, not of its kin.
await describeWith(startOwnPostgresql, "a PostgreSQL database of 0.1.0", (server) => {
  const restore = () => restorePostgresql(server);
  warehouseSuite(restore, "postgresql");
  postgresqlSourceSuite(restore, server, "postgresql");
  describe("and a DuckDB file", () => {
    postgresqlSourceSuite(restoreDuckdb, server, "duckdb");
  });
});
