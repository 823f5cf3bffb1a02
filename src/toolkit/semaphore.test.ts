import { describe, expect, test } from "vitest";
import { Semaphore } from "./semaphore.ts";

const never = new AbortController().signal;

describe("semaphore", () => {
  test("hands units out in the order they were asked for", async () => {
    const semaphore = new Semaphore(10);
    const order: string[] = [];
    const first = await semaphore.acquire(8, never);
    const big = semaphore.acquire(10, never).then((release) => (order.push("big"), release));
    const small = semaphore.acquire(1, never).then((release) => (order.push("small"), release));
    first();
    (await big)();
    (await small)();
    expect(order).toEqual(["big", "small"]);
  });

  test("gives everything to one that asks for more than there is", async () => {
    const semaphore = new Semaphore(10);
    const release = await semaphore.acquire(99, never);
    release();
    release();
    const all = await semaphore.acquire(10, never);
    const next = semaphore.acquire(1, AbortSignal.timeout(20));
    await expect(next).rejects.toThrow();
    all();
  });

  test("one that gives up lets those behind it through", async () => {
    const semaphore = new Semaphore(2);
    const held = await semaphore.acquire(1, never);
    const controller = new AbortController();
    const big = semaphore.acquire(2, controller.signal);
    const small = semaphore.acquire(1, never);
    controller.abort(new Error("gave up"));
    await expect(big).rejects.toThrow("gave up");
    (await small)();
    held();
  });
});
