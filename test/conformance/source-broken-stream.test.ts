import { expect, test } from "vitest";
import type { Json } from "../../src/protocol/json.ts";
import { sourceChecks, type SourceHarness } from "../../src/testing/source-checks.ts";
import { streamCapabilities, StreamSource } from "../engine/stream-source.ts";

/** All sources of a harness have one log. */
function harness(Kind: new () => StreamSource): SourceHarness {
  const { changes } = new StreamSource();
  return {
    capabilities: streamCapabilities,
    open: async () => Object.assign(new Kind(), { changes }),
    async create(name) {
      const left = changes.filter(({ table }) => table !== name);
      changes.splice(0, changes.length, ...left);
    },
    async put(table, things) {
      for (const { id, name } of things) changes.push({ table, id, name: name ?? "" });
    },
    async remove(table, ids) {
      for (const id of ids) changes.push({ table, id, name: null });
    },
    async drop() {},
  };
}

/** Goes on, with every split, from where the one that was read furthest ended. */
class Hasty extends StreamSource {
  override position(next: Json, split: string): number {
    return typeof next === "number" ? next : Math.max(...Object.values(next as object), super.position(next, split));
  }
}

/** Keeps what it read before, and does not say that it reads all of it again. */
class Silent extends StreamSource {
  override async plan(...[tables, kind, previous]: Parameters<StreamSource["plan"]>) {
    const { startsOver: _, ...plan } = await super.plan(tables, kind, previous);
    return { ...plan, splits: plan.splits.map((split) => ({ ...split, work: Math.max(0, this.changes.length - 10) })) };
  }
}

const check = (of: SourceHarness): Promise<void> =>
  sourceChecks(of)
    .find(({ name }) => name === "streams go on from where each of their splits ended")!
    .run();

test("the source suite lets a sound stream pass", async () => {
  await check(harness(StreamSource));
});

test.each([
  ["Hasty", Hasty],
  ["Silent", Silent],
])("the source suite fails a stream that is broken: %s", async (_, Kind) => {
  await expect(check(harness(Kind))).rejects.toThrow(/after \d rounds of streams/);
});
