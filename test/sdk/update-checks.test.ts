import { expect, test } from "vitest";
import type { SourceDefinition } from "../../src/protocol/source.ts";
import { defineSource, z } from "../../src/sdk/index.ts";
import { updateChecks } from "../../src/testing/update-checks.ts";

/** A shop whose orders have a number that rises with each change; `null`: it is cancelled. */
type Orders = Map<number, { readonly change: number; readonly total: number | null }>;

/** What published connectors do wrong, each as one thing that is otherwise than it should be. */
interface Wrongly {
  readonly checkpointFirst?: true;
  readonly countsFromStart?: true;
  readonly ignoresCancelled?: true;
  readonly randomSchema?: true;
  readonly empty?: true;
  readonly largeState?: true;
  readonly failsCheck?: true;
}

function shop(orders: Orders, wrongly: Wrongly = {}): SourceDefinition {
  const columns = { id: "INT", total: "LONG" } as const;
  let asked = 0;
  return defineSource({
    name: "shop",
    state: z.object({ change: z.number().default(0), note: z.string().optional() }),
    schema: () => ({
      [wrongly.randomSchema === true ? `orders${++asked + Math.random()}` : "orders"]: { key: ["id"], columns },
    }),
    async check() {
      if (wrongly.failsCheck === true) throw new Error("closed");
    },
    async *update({ state, upsert, remove, checkpoint }) {
      const all = wrongly.empty === true ? [] : [...orders].sort(([, a], [, b]) => a.change - b.change);
      const since = all.filter(([, { change }]) => change > state.change);
      for (let at = 0; at < since.length; at += 2) {
        const page = since.slice(at, at + 2);
        const last = page.at(-1)![1].change;
        const change = wrongly.countsFromStart === true ? last + 2 : last;
        const note = wrongly.largeState === true ? "x".repeat(70_000) : undefined;
        if (wrongly.checkpointFirst === true) yield checkpoint({ change });
        for (const [id, { total }] of page) {
          if (total !== null) yield upsert("orders", { id, total });
          else if (wrongly.ignoresCancelled !== true) yield remove("orders", { id });
        }
        yield checkpoint({ change, note });
      }
    },
  });
}

function orders(): { readonly orders: Orders; change(): Promise<void> } {
  const all: Orders = new Map(Array.from({ length: 9 }, (_, id) => [id, { change: id + 1, total: id * 100 }]));
  let last = 9;
  let round = 0;
  return {
    orders: all,
    async change() {
      round += 1;
      all.set(round, { change: ++last, total: round * 7 });
      all.set(20 + round, { change: ++last, total: 1 });
      all.set(3 + round, { change: ++last, total: null });
    },
  };
}

const names = updateChecks({ source: shop(new Map()), change: async () => {} }).map(({ name }) => name);

test.each(names)("a sound source %s", async (name) => {
  const { orders: all, change } = orders();
  const check = updateChecks({ source: shop(all), change }).find((candidate) => candidate.name === name)!;
  await check.run();
});

const broken: readonly [Wrongly, string][] = [
  [{ checkpointFirst: true }, "goes on from every checkpoint to the same end"],
  [{ countsFromStart: true }, "goes on from every checkpoint to the same end"],
  [{ ignoresCancelled: true }, "updates a copy to what a fresh one has"],
  [{ randomSchema: true }, "shows the same tables when it is asked again"],
  [{ empty: true }, "reads rows, and states that are small"],
  [{ largeState: true }, "reads rows, and states that are small"],
  [{ failsCheck: true }, "takes its settings, and finds nothing wrong"],
];

test.each(broken)("a source that does %j does not pass: %s", async (wrongly, name) => {
  const { orders: all, change } = orders();
  const check = updateChecks({ source: shop(all, wrongly), change }).find((candidate) => candidate.name === name)!;
  await expect(check.run()).rejects.toThrow();
});

test("without change(), what has to do with changes is left out", () => {
  const left = new Set(updateChecks({ source: shop(new Map()) }).map(({ name }) => name));
  expect(names.filter((name) => !left.has(name))).toEqual(["updates a copy to what a fresh one has"]);
});
