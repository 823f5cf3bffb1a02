import { destinationConformance } from "../../conformance/destination.ts";
import { duckdbExtensions } from "../../servers/duckdb-extensions.ts";
import { describeWith } from "../../servers/require.ts";
import { LakeHarness, randomRuns } from "./harness.ts";

await describeWith(duckdbExtensions, "with a catalog in a file", ({ folder }) => {
  destinationConformance("DuckLake", () => LakeHarness.make({ extensions: folder }), { randomRuns });
});
