import { destinationConformance } from "../../conformance/destination.ts";
import { DuckdbHarness } from "./harness.ts";

destinationConformance("DuckDB", () => DuckdbHarness.make());
