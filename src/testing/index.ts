// What `import … from "headwaters/testing"` gives: public, as `src/sdk/index.ts` is.
export type { Check } from "./check.ts";
export { sourceChecks, type SourceHarness, type Thing } from "./source-checks.ts";
export { updateChecks, type UpdateHarness } from "./update-checks.ts";
