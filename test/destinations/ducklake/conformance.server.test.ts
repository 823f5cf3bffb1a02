import { destinationChecks, destinationConformance } from "../../conformance/destination.ts";
import { duckdbExtensions } from "../../servers/duckdb-extensions.ts";
import { describeWith } from "../../servers/require.ts";
import { LakeHarness, lakeServer } from "./harness.ts";

/** Each opens its lake some thirty times, and loads DuckDB's extensions each time. */
const randomRuns = 4;

await describeWith(duckdbExtensions, "with a catalog in a file", ({ folder }) => {
  destinationConformance("DuckLake", () => LakeHarness.make({ extensions: folder }), { randomRuns });
});

/** Values go to the same files and widen in the same way, wherever the catalog is; what it knows of files does not. */
const ofFiles = /^verify|widens to|comes through exactly/;

await describeWith(lakeServer, "with a catalog in PostgreSQL", ({ extensions, server }) => {
  const checks = destinationChecks.filter(({ name }) => !ofFiles.test(name));
  destinationConformance("DuckLake", () => LakeHarness.make({ extensions, server }), { randomRuns, checks });
});
