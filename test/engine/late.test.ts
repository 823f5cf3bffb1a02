import { setTimeout as wait } from "node:timers/promises";
import { expect, test } from "vitest";
import { follow } from "../../src/engine/run/follow.ts";
import { HeadwatersError } from "../../src/protocol/errors.ts";
import { seeded } from "../campaigns/random.ts";
import { Copy } from "./harness.ts";
import { LateDatabase, lateCapabilities, LateSource } from "./late-source.ts";

/** Follows until `during` is done. */
async function whileFollowing<Result>(copy: Copy, source: LateSource, during: () => Promise<Result>): Promise<Result> {
  await using warehouse = await copy.open();
  await using _ = source;
  const settings = { followMilliseconds: 20, attempts: 20 };
  const connection = copy.connection(source, warehouse, { capabilities: lateCapabilities, settings });
  const stop = new AbortController();
  const following = follow(connection, { signal: stop.signal, tables: [] }, () => {});
  try {
    return await Promise.race([during(), following.then(() => expect.fail("it ended"))]);
  } finally {
    stop.abort();
    await following;
  }
}

/** By a reader of the file, which is open to it between two commits only. */
function rowsOf(copy: Copy): Promise<Record<number, string>> {
  return copy.rows().catch(() => ({}));
}

test("a key is looked up at once and once more", { timeout: 30_000 }, async () => {
  await using copy = await Copy.make();
  const database = new LateDatabase(600);
  const source = new LateSource(database, true);
  database.write(1, "one", 0);
  await whileFollowing(copy, source, async () => {
    await expect.poll(() => rowsOf(copy), { timeout: 10_000 }).toEqual({ 1: "one" });
    await wait(1_500);
    source.looked.length = 0;
    database.write(2, "two", 0);
    await expect.poll(() => rowsOf(copy), { timeout: 10_000 }).toEqual({ 1: "one", 2: "two" });
    await wait(2_000);
    expect(source.looked).toEqual([2, 2]);
  });
});

test.each([
  [1, true],
  [2, true],
  [3, false],
])(
  "what reads see late is not lost, whenever the follower ends or a read fails (seed %i, its stream goes on: %s)",
  { timeout: 60_000 },
  async (seed, goesOn) => {
    const random = seeded(seed);
    await using copy = await Copy.make();
    const database = new LateDatabase(400);
    const writer = { goesOn: true };
    const writing = (async () => {
      while (writer.goesOn) {
        const id = random.below(40);
        database.write(id, random.below(4) === 0 ? null : `v${database.log.length}`, random.below(380));
        await wait(random.below(8));
      }
    })();
    for (let round = 0; round < 8; round++) {
      const source = new LateSource(database, goesOn);
      source.onRead = () => {
        if (random.below(6) === 0) throw new HeadwatersError("CONNECTION_LOST", "cut");
      };
      await whileFollowing(copy, source, () => wait(100 + random.below(900)));
    }
    writer.goesOn = false;
    await writing;
    await whileFollowing(copy, new LateSource(database, goesOn), () => wait(3_000));
    expect(await copy.rows()).toEqual(Object.fromEntries([...database.rows()].sort(([a], [b]) => a - b)));
  },
);
