import { proofLaws } from "../../conformance/proof.ts";
import { DuckdbHarness } from "./harness.ts";

proofLaws("a DuckDB file", () => DuckdbHarness.make(), { bytes: (hex) => `unhex('${hex}')` });
