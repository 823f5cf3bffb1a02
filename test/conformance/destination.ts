import { describe, test } from "vitest";
import { commitChecks } from "./destination/commits.ts";
import { comparisonChecks } from "./destination/comparisons.ts";
import { heldChecks } from "./destination/held.ts";
import { nameChecks } from "./destination/names.ts";
import { operationChecks } from "./destination/operations.ts";
import { keyChecks } from "./destination/keys.ts";
import { commentChecks, liveViewChecks } from "./destination/live-views.ts";
import { passChecks } from "./destination/passes.ts";
import { randomCheck } from "./destination/random.ts";
import { schemaChecks } from "./destination/schemas.ts";
import { stampChecks } from "./destination/stamps.ts";
import type { DestinationCheck, DestinationHarness } from "./destination/steps.ts";
import { valueChecks } from "./destination/values.ts";

export type { DestinationCheck, DestinationHarness } from "./destination/steps.ts";

/** What every destination must do, each in a place of its own. */
export const destinationChecks: readonly DestinationCheck[] = [
  ...commitChecks,
  ...keyChecks,
  ...passChecks,
  ...operationChecks,
  ...schemaChecks,
  ...valueChecks,
  ...comparisonChecks,
  ...heldChecks,
  ...nameChecks,
  ...stampChecks,
  ...liveViewChecks,
  ...commentChecks,
];

const long = { timeout: 180_000 };

/** Runs the suite on a destination: `make` gives an empty one. Random syncs are tried `randomRuns` times. */
export function destinationConformance(
  title: string,
  make: () => Promise<DestinationHarness>,
  { randomRuns = 25, checks = destinationChecks }: { randomRuns?: number; checks?: readonly DestinationCheck[] } = {},
): void {
  describe(`${title} as a destination`, () => {
    for (const check of checks) {
      test(check.name, long, async () => {
        await using harness = await make();
        await check.run(harness);
      });
    }
    const random = randomCheck(make, randomRuns);
    // Some hundred times a destination is opened; with a lake that alone takes a while.
    test(random.name, { timeout: 600_000 }, async () => {
      await using harness = await make();
      await random.run(harness);
    });
  });
}
