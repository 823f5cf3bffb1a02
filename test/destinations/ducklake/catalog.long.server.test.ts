import { destinationChecks, destinationConformance } from "../../conformance/destination.ts";
import { describeWith } from "../../servers/require.ts";
import { LakeHarness, lakeServer, randomRuns } from "./harness.ts";

/** Values go to the same files and widen in the same way, wherever the catalog is; what it knows of files does not. */
const ofFiles = /^verify|of every type|every type widens/;

await describeWith(lakeServer, "with a catalog in PostgreSQL", ({ extensions, server }) => {
  const checks = destinationChecks.filter(({ name }) => !ofFiles.test(name));
  destinationConformance("DuckLake", () => LakeHarness.make({ extensions, server }), { randomRuns, checks });
});
