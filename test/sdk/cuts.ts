import fc from "fast-check";
import { expect } from "vitest";
import type { SourceDefinition } from "../../src/protocol/source.ts";
import { failure, Place } from "./place.ts";

/** Plays a script; fails before step `cut`. */
type Player<Step> = (script: readonly Step[], cut?: number) => SourceDefinition;

/**
 * The law of cuts: wherever and however often a source is cut, its copies are as the whole script says, by `expectPlayed`.
 * Scripts have up to `most` steps.
 */
export async function expectCutsHarmless<Step>(
  step: fc.Arbitrary<Step>,
  player: Player<Step>,
  expectPlayed: (place: Place, script: readonly Step[]) => Promise<void>,
  { most, numRuns }: { readonly most: number; readonly numRuns: number },
): Promise<void> {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 1, maxLength: most }),
      fc.array(fc.nat(most), { maxLength: 3 }),
      fc.constantFrom(1, 3, null),
      fc.constantFrom(1, 64, 1 << 20),
      async (script, cutAt, commitRows, batchBytes) => {
        await using place = await Place.make();
        const settings = { commitRows, batchBytes };
        for (const cut of cutAt) await place.sync(player(script, cut), { settings });
        const last = await place.sync(player(script), { settings });
        expect([last.outcome, failure(last)]).toEqual(["succeeded", null]);
        await expectPlayed(place, script);
      },
    ),
    { numRuns },
  );
}
