import { setTimeout as wait } from "node:timers/promises";
import { expect, test, vi } from "vitest";
import { type Silence, Watch } from "./watch.ts";

const silence = 50;

/** A watch that notes what ended it, and how often it probed. */
function watching(probe: () => Promise<string | null>) {
  const seen = { probes: 0, ended: null as Silence | null };
  const watch = new Watch({
    silence,
    probe: () => {
      seen.probes++;
      return probe();
    },
    end: (error) => (seen.ended = error),
  });
  return { watch, seen };
}

test("a server that works at the answer is waited for (case 18)", async () => {
  const { watch, seen } = watching(async () => null);
  watch.begin();
  await expect.poll(() => seen.probes).toBeGreaterThan(2);
  expect(seen.ended).toBeNull();
  watch.close();
});

test.each<[string, () => Promise<string | null>, RegExp]>([
  ["no answer", () => new Promise(() => {}), /nothing came for 0.05 s, and a probe was not answered \(within 0.05 s\)/],
  ["a refusal", () => Promise.reject(new Error("refused")), /a probe was not answered \(refused\)/],
  ["an idle session", async () => "the session is idle", /nothing came for 0.05 s, and the session is idle/],
])("silence, and %s to the probe (case 18)", async (_name, probe, message) => {
  const { watch, seen } = watching(probe);
  watch.begin();
  await expect.poll(() => seen.ended?.message).toMatch(message);
});

test("nothing is probed while no answer is due, nor while bytes come", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  try {
    const { watch, seen } = watching(async () => "gone");
    watch.begin();
    for (let count = 0; count < 15; count++) {
      await vi.advanceTimersByTimeAsync(silence / 5);
      watch.heard(4_096, true);
    }
    watch.rest();
    await vi.advanceTimersByTimeAsync(silence * 3);
    expect(seen).toEqual({ probes: 0, ended: null });
  } finally {
    vi.useRealTimers();
  }
});

test("an answer that comes during the probe", async () => {
  const { watch, seen } = watching(async () => {
    watch.heard(10, true);
    return "gone";
  });
  watch.begin();
  await expect.poll(() => seen.probes).toBeGreaterThan(1);
  expect(seen.ended).toBeNull();
  watch.close();
});

test.each([1, 1 << 20])(
  "a message that drips after %d bytes ends, whatever the probe says (case 21)",
  async (first) => {
    const { watch, seen } = watching(async () => null);
    watch.begin();
    watch.heard(first, false);
    for (let count = 0; count < 40 && seen.ended === null; count++) {
      await wait(silence / 4);
      watch.heard(1, false);
    }
    expect(seen.ended?.message).toMatch(/only \d+ bytes of a message came/);
  },
);
