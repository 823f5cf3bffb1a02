import { setTimeout as wait } from "node:timers/promises";
import { expect, test } from "vitest";
import { Steps } from "./steps.ts";

async function* slowly(signal?: AbortSignal): AsyncGenerator<number> {
  yield 1;
  await wait(40, undefined, { signal });
  yield 2;
  throw new Error("over");
}

test("a step that comes late is given to the next call, and none is lost", async () => {
  await using steps = new Steps(slowly(), new AbortController().signal);
  expect(await steps.next(null)).toEqual({ done: false, value: 1 });
  expect(await steps.next(5)).toBeNull();
  expect(await steps.next(5)).toBeNull();
  // It comes while nobody waits.
  await wait(60);
  expect(await steps.next(5)).toEqual({ done: false, value: 2 });
  await expect(steps.next(null)).rejects.toThrow("over");
});

test("an error that comes late is given to the next call", async () => {
  async function* failing(): AsyncGenerator<number> {
    await wait(20);
    yield Promise.reject(new Error("late"));
  }
  await using steps = new Steps(failing(), new AbortController().signal);
  expect(await steps.next(5)).toBeNull();
  await wait(40);
  await expect(steps.next(null)).rejects.toThrow("late");
});

test("an abort ends the wait, and leaves alone who never answers", async () => {
  let left = false;
  async function* stuck(): AsyncGenerator<number> {
    try {
      yield 1;
      await new Promise(() => {});
    } finally {
      left = true;
    }
  }
  const stop = new AbortController();
  {
    await using steps = new Steps(stuck(), stop.signal);
    await steps.next(null);
    const waiting = steps.next(null);
    stop.abort(new Error("stopped"));
    await expect(waiting).rejects.toThrow("stopped");
    await expect(steps.next(null)).rejects.toThrow("stopped");
  }
  expect(left).toBe(false);
});

test("what was left in the middle cleans up before it is over", async () => {
  let left = false;
  async function* careful(): AsyncGenerator<number> {
    try {
      yield 1;
    } finally {
      await wait(5);
      left = true;
    }
  }
  {
    await using steps = new Steps(careful(), new AbortController().signal);
    await steps.next(null);
  }
  expect(left).toBe(true);
});
