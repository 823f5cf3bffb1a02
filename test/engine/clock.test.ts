import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { HeadwatersError } from "../../src/protocol/errors.ts";
import { Copy, expected } from "./harness.ts";
import { filled } from "./memory-source.ts";

const slow = { timeout: 180_000 };

test("nothing is lost while the clock goes back by a day between syncs and within them", slow, async () => {
  const day = 24 * 60 * 60 * 1_000;
  const step = fc.record({
    put: fc.option(fc.integer({ min: 1, max: 30 })),
    remove: fc.option(fc.integer({ min: 1, max: 30 })),
    stamped: fc.boolean(),
    full: fc.boolean(),
    /** The operation of the source at which the sync is cut, and at which the clock goes back. */
    cut: fc.option(fc.integer({ min: 1, max: 12 })),
    back: fc.option(fc.integer({ min: 1, max: 12 })),
    backBefore: fc.boolean(),
  });
  vi.useFakeTimers({ toFake: ["Date"] });
  try {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 6 }), async (steps) => {
        vi.setSystemTime(Date.UTC(2026, 5, 1));
        const goBack = (): void => void vi.setSystemTime(Date.now() - day);
        const source = filled(12);
        await using copy = await Copy.make();
        for (const [index, { put, remove, stamped, full, cut, back, backBefore }] of steps.entries()) {
          if (put !== null) source.put("t", put, `written ${index}`, stamped);
          if (remove !== null) source.remove("t", remove);
          if (backBefore) goBack();
          source.operations = 0;
          source.onOperation = (count) => {
            if (count === back) goBack();
            if (count === cut) throw new HeadwatersError("SOURCE_FAILED", "cut");
          };
          await copy.sync(source, { full, settings: { parallel: 1 } });
          source.onOperation = () => {};
        }
        await copy.sync(source);
        await copy.sync(source);
        expect(await copy.rows()).toEqual(expected(source));
      }),
      { numRuns: 40 },
    );
  } finally {
    vi.useRealTimers();
  }
});

test("each commit stamps its rows later than all before it", slow, async () => {
  const source = filled(10);
  await using copy = await Copy.make();
  await copy.sync(source, { settings: { commitRows: 3, parallel: 1 } });
  source.put("t", 3, "changed");
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() - 86_400_000 });
  await copy.sync(source).finally(() => vi.useRealTimers());
  const rows = await copy.query("SELECT id, epoch_us(_headwaters_synced) AS us FROM s.t ORDER BY us, id");
  expect(rows.at(-1)!["id"]).toBe(3);
  expect(new Set(rows.map(({ us }) => us)).size).toBeGreaterThan(3);
});
