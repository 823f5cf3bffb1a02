import { proofLaws } from "../../conformance/proof.ts";
import { duckdbExtensions } from "../../servers/duckdb-extensions.ts";
import { describeWith } from "../../servers/require.ts";
import { LakeHarness } from "./harness.ts";

await describeWith(duckdbExtensions, "with a catalog in a file", ({ folder }) => {
  proofLaws("DuckLake", () => LakeHarness.make({ extensions: folder }), { bytes: (hex) => `unhex('${hex}')` });
});
