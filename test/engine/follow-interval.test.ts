import { setTimeout as wait } from "node:timers/promises";
import { expect, test } from "vitest";
import { follow } from "../../src/engine/run/follow.ts";
import type { Warehouse } from "../../src/protocol/destination.ts";
import { Copy } from "./harness.ts";
import { LateDatabase, lateCapabilities, LateSource } from "./late-source.ts";

/** A destination to which each write and each commit takes so many milliseconds longer. */
function slow(warehouse: Warehouse, by: { readonly write: number; readonly commit: number }, spent: { time: number }) {
  const delayed =
    <Arguments extends unknown[], Result>(method: (...given: Arguments) => Promise<Result>, milliseconds: number) =>
    async (...given: Arguments): Promise<Result> => {
      const began = performance.now();
      await wait(milliseconds);
      const result = await method(...given);
      spent.time += performance.now() - began;
      return result;
    };
  const begin: Warehouse["begin"] = async (lease, stamp) => {
    const transaction = await warehouse.begin(lease, stamp);
    transaction.write = delayed(transaction.write.bind(transaction), by.write);
    transaction.commit = delayed(transaction.commit.bind(transaction), by.commit);
    return transaction;
  };
  return { ...warehouse, begin };
}

test.each([
  ["commits", { write: 0, commit: 250 }],
  ["merges before them", { write: 250, commit: 0 }],
])(
  "where %s take long, they are further apart: they take three tenths of the time at most",
  { timeout: 60_000 },
  async (_, by) => {
    await using copy = await Copy.make();
    const database = new LateDatabase(0);
    await using source = new LateSource(database, true);
    await using warehouse = await copy.open();
    const spent = { time: 0 };
    const settings = { followMilliseconds: 20 };
    const connection = copy.connection(source, slow(warehouse, by, spent), {
      capabilities: lateCapabilities,
      settings,
    });
    const stop = new AbortController();
    const seen = { commits: 0 };
    const following = follow(connection, { signal: stop.signal, tables: [] }, (event) => {
      if (event.kind === "followed" && event.tables.length > 0) seen.commits += 1;
    });
    following.catch(() => {});
    const until = async (least: number): Promise<void> => {
      for (let id = 1; seen.commits < least; id++) {
        database.write(id, "x", 0);
        await Promise.race([wait(20), following]);
      }
    };
    await until(2);
    const [began, before, first] = [performance.now(), spent.time, seen.commits];
    await until(first + 6);
    const part = (spent.time - before) / (performance.now() - began);
    expect(part).toBeLessThan(0.33);
    expect(part).toBeGreaterThan(0.1);
    stop.abort();
    await following;
  },
);
