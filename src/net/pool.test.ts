import { expect, test } from "vitest";
import { Pool } from "./pool.ts";

const never = new AbortController().signal;

class Connection implements AsyncDisposable {
  alive = true;
  ended: "at once" | "in peace" | null = null;

  destroy(): void {
    this.alive = false;
    this.ended ??= "at once";
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.alive = false;
    this.ended ??= "in peace";
  }
}

test("one that is idle is handed out again, a dead one is not", async () => {
  await using pool = new Pool(async () => new Connection());
  const first = await pool.acquire(never);
  await pool.release(first);
  const again = await pool.acquire(never);
  expect(again).toBe(first);
  await pool.release(again);
  first.alive = false;
  expect(await pool.acquire(never)).not.toBe(first);
  expect(pool.open).not.toContain(first);
});

test("where one in use dies, idle ones are not trusted (case 18)", async () => {
  await using pool = new Pool(async () => new Connection());
  const [idle, used] = [await pool.acquire(never), await pool.acquire(never)];
  await pool.release(idle);
  used.alive = false;
  await pool.release(used);
  expect([idle.ended, pool.open]).toEqual(["at once", []]);
});

test("one in use is nobody else's; no more than eight are kept", async () => {
  await using pool = new Pool(async () => new Connection());
  const used = await Promise.all(Array.from({ length: 12 }, () => pool.acquire(never)));
  expect(new Set(used).size).toBe(12);
  for (const connection of used) await pool.release(connection);
  expect(used.filter(({ ended }) => ended === "in peace")).toHaveLength(4);
  expect(pool.open).toHaveLength(8);
});

test("one that can't be made fit for others is let go", async () => {
  await using pool = new Pool(
    async () => new Connection(),
    (connection) => connection.destroy(),
  );
  const [first, second] = [await pool.acquire(never), await pool.acquire(never)];
  await pool.release(first);
  expect([pool.open, first.ended]).toEqual([[second], "at once"]);
});

test("it is given back also where the work fails", async () => {
  await using pool = new Pool(async () => new Connection());
  await expect(pool.use(never, () => Promise.reject(new Error("work")))).rejects.toThrow("work");
  expect(pool.open.map(({ alive }) => alive)).toEqual([true]);
  const [kept] = pool.open;
  expect(await pool.use(never, (connection) => Promise.resolve(connection))).toBe(kept);
});

test("waiting for one ends with the signal", async () => {
  const connect = (signal: AbortSignal): Promise<Connection> =>
    new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));
  await using pool = new Pool(connect);
  const stop = new AbortController();
  const waiting = pool.acquire(stop.signal);
  stop.abort(new Error("stop"));
  await expect(waiting).rejects.toThrow("stop");
});

test("closing ends those in use and those that are being made at once, idle ones in peace", async () => {
  let late: (connection: Connection) => void = () => {};
  let held = false;
  const pool = new Pool(() => {
    if (!held) return Promise.resolve(new Connection());
    return new Promise<Connection>((resolve) => (late = resolve));
  });
  const [used, idle] = [await pool.acquire(never), await pool.acquire(never)];
  held = true;
  const making = pool.acquire(never);
  await pool.release(idle);
  await pool[Symbol.asyncDispose]();
  const made = new Connection();
  late(made);
  await expect(making).rejects.toMatchObject({ code: "CONNECTION_LOST", remedy: "retry" });
  expect([used.ended, idle.ended, made.ended]).toEqual(["at once", "in peace", "at once"]);
});
