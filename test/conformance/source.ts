import { describe, test } from "vitest";
import { sourceChecks, type SourceHarness } from "../../src/testing/source-checks.ts";

/** Runs the source suite on a source. */
export function sourceConformance(title: string, harness: () => SourceHarness): void {
  describe(`${title} as a source`, () => {
    for (const { name, run } of sourceChecks(harness())) test(name, { timeout: 60_000 }, run);
  });
}
