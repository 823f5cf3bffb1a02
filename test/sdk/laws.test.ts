import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { reset } from "../../src/engine/commands/reset.ts";
import type { SourceDefinition } from "../../src/protocol/source.ts";
import { defineSource, z } from "../../src/sdk/index.ts";
import { expectCutsHarmless } from "./cuts.ts";
import { failure, Place } from "./place.ts";

const slow = { timeout: 180_000 };

/** Batches so small that each checkpoint is sent, and none waits for the next. */
const every = { batchBytes: 1 };

type Step =
  | {
      readonly kind: "upsert";
      readonly table: "a" | "b";
      readonly id: number;
      readonly x?: string;
      readonly y?: number;
    }
  | {
      readonly kind: "update";
      readonly table: "a" | "b";
      readonly id: number;
      readonly x?: string;
      readonly y?: number;
    }
  | { readonly kind: "remove"; readonly table: "a" | "b"; readonly id: number }
  | { readonly kind: "removeAll"; readonly table: "a" | "b"; readonly third: number }
  | { readonly kind: "truncate"; readonly table: "a" | "b" }
  | { readonly kind: "checkpoint" };

/** The key has a column more than it needs, by which rows are removed together. */
const columns = { third: "INT", id: "INT", x: "STRING", y: "LONG" } as const;
const key = ["third", "id"] as const;
const keyOf = (id: number): { third: number; id: number } => ({ third: id % 3, id });

/** A source that plays a script; its state is how many steps are behind it. Fails before step `cut`. */
function player(script: readonly Step[], cut = Infinity): SourceDefinition {
  return defineSource({
    name: "player",
    state: z.object({ played: z.number().default(0) }),
    schema: { a: { key, columns }, b: { key, columns } },
    async *update({ state, upsert, update, remove, removeAll, truncate, checkpoint }) {
      for (let at = state.played; at < script.length; at++) {
        if (at >= cut) throw new Error("cut");
        const step = script[at]!;
        if (step.kind === "checkpoint") yield checkpoint({ played: at + 1 });
        else if (step.kind === "truncate") yield truncate(step.table);
        else if (step.kind === "remove") yield remove(step.table, keyOf(step.id));
        else if (step.kind === "removeAll") yield removeAll(step.table, { third: step.third });
        else {
          const { kind, table, id, ...rest } = step;
          const row = { ...keyOf(id), ...rest };
          yield kind === "upsert" ? upsert(table, row) : update(table, row);
        }
      }
      yield checkpoint({ played: script.length });
    },
  });
}

type Model = Record<"a" | "b", Map<number, Record<string, unknown>>>;

/** What Fivetran's words for the operations mean, done to maps. */
function played(script: readonly Step[]): Model {
  const model: Model = { a: new Map(), b: new Map() };
  for (const step of script) {
    if (step.kind === "checkpoint") continue;
    const rows = model[step.table];
    if (step.kind === "truncate") rows.clear();
    else if (step.kind === "remove") rows.delete(step.id);
    else if (step.kind === "removeAll") {
      for (const id of [...rows.keys()]) if (keyOf(id).third === step.third) rows.delete(id);
    } else {
      const { kind, table: _, id, ...rest } = step;
      const row = { ...keyOf(id), ...rest };
      if (kind === "upsert") rows.set(step.id, { x: null, y: null, ...row });
      else if (rows.has(step.id)) rows.set(step.id, { ...rows.get(step.id), ...row });
    }
  }
  return model;
}

async function expectModel(place: Place, model: Model): Promise<void> {
  for (const table of ["a", "b"] as const) {
    const expected = [...model[table].values()]
      .sort((one, other) => Number(one["id"]) - Number(other["id"]))
      .map((row) => ({ ...row, y: row["y"] === null ? null : BigInt(row["y"] as number) }));
    expect(await place.rows(table)).toEqual(expected);
  }
}

const row = fc.record(
  { id: fc.nat(9), x: fc.constantFrom("p", "q", "r"), y: fc.nat(3) },
  { requiredKeys: ["id"], noNullPrototype: true },
);
const table = fc.constantFrom("a" as const, "b" as const);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(table, row).map(([of, given]): Step => ({ kind: "upsert", table: of, ...given })) },
  { weight: 4, arbitrary: fc.tuple(table, row).map(([of, given]): Step => ({ kind: "update", table: of, ...given })) },
  { weight: 3, arbitrary: fc.tuple(table, fc.nat(9)).map(([of, id]): Step => ({ kind: "remove", table: of, id })) },
  {
    weight: 2,
    arbitrary: fc.tuple(table, fc.nat(2)).map(([of, third]): Step => ({ kind: "removeAll", table: of, third })),
  },
  { weight: 1, arbitrary: table.map((of): Step => ({ kind: "truncate", table: of })) },
  { weight: 3, arbitrary: fc.constant<Step>({ kind: "checkpoint" }) },
);

describe("a source with update()", () => {
  test("ends as its operations say, wherever and however often it is cut", slow, async () => {
    const expectPlayed = (place: Place, script: readonly Step[]): Promise<void> => expectModel(place, played(script));
    await expectCutsHarmless(step, player, expectPlayed, { most: 40, numRuns: 30 });
  });

  test("goes on from sync to sync", slow, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(step, { maxLength: 15 }), { minLength: 2, maxLength: 5 }), async (parts) => {
        await using place = await Place.make();
        let script: readonly Step[] = [];
        for (const part of parts) {
          script = [...script, ...part];
          await place.sync(player(script));
        }
        await expectModel(place, played(script));
      }),
      { numRuns: 8 },
    );
  });

  test("keeps what it checkpointed, and reads no more of it, where it is cut between", async () => {
    const script: Step[] = Array.from({ length: 20 }, (_, id) => [
      { kind: "upsert", table: "a", id } as const,
      { kind: "checkpoint" } as const,
    ]).flat();
    await using place = await Place.make();
    const cut = await place.sync(player(script, 21), { settings: every });
    expect([cut.outcome, cut.tables.map(({ rowsRead }) => rowsRead)]).toEqual(["failed", [11, 0]]);
    expect(await place.rows("a")).toHaveLength(10);
    const next = await place.sync(player(script));
    expect(next.tables.map(({ table, rowsRead, inserted }) => [table, rowsRead, inserted])).toEqual([
      ["a", 10, 10],
      ["b", 0, 0],
    ]);
  });

  test("keeps its state over a sync in which nothing came", async () => {
    await using place = await Place.make();
    const script: Step[] = [{ kind: "upsert", table: "a", id: 1 }];
    await place.sync(player(script));
    await place.sync(player(script));
    const quiet = defineSource({
      name: "player",
      schema: { a: { key: ["id"], columns }, b: { key: ["id"], columns } },
      async *update() {},
    });
    await place.sync(quiet);
    const last = await place.sync(player(script));
    expect(last.tables[0]!.rowsRead).toBe(0);
  });

  test("what it does not change is not written again", async () => {
    await using place = await Place.make();
    const again = defineSource({
      name: "again",
      schema: { a: { key: ["id"], columns } },
      async *update({ upsert }) {
        for (let id = 0; id < 50; id++) yield upsert("a", { id, x: "same" });
      },
    });
    await place.sync(again);
    const second = await place.sync(again);
    expect(second.tables[0]).toMatchObject({ rowsRead: 50, inserted: 0, updated: 0 });
  });

  test("sends updates of many shapes before they fill memory", async () => {
    await using place = await Place.make();
    const names = Array.from({ length: 8 }, (_, column) => `c${column}`);
    const source = defineSource({
      name: "shapes",
      schema: () => ({
        a: { key: ["id"], columns: { id: "INT" as const, ...Object.fromEntries(names.map((name) => [name, "INT"])) } },
      }),
      async *update({ upsert, update }) {
        for (let id = 1; id < 256; id++) yield upsert("a", { id });
        for (let id = 1; id < 256; id++) {
          if (id === 200) sentBefore = rows;
          const given = names.filter((_, bit) => ((id >> bit) & 1) === 1);
          yield update("a", { id, ...Object.fromEntries(given.map((name) => [name, id])) });
        }
      },
    });
    let [rows, sentBefore] = [0, 0];
    const run = await place.sync(source, {}, (event) => void (event.kind === "read" && (rows += event.rows)));
    expect(failure(run)).toBeNull();
    expect(sentBefore).toBeGreaterThan(255 + 100);
    const expected = Array.from({ length: 255 }, (_, at) => at + 1).map((id) => ({
      id,
      ...Object.fromEntries(names.map((name, bit) => [name, ((id >> bit) & 1) === 1 ? id : null])),
    }));
    expect(await place.rows("a")).toEqual(expected);
  });

  test("starts over, and forgets what is gone, with --full", async () => {
    await using place = await Place.make();
    await place.sync(player([1, 2, 3].map((id) => ({ kind: "upsert", table: "a", id }))));
    const full = await place.sync(player([{ kind: "upsert", table: "a", id: 2 }]), { full: true });
    expect(full.outcome).toBe("succeeded");
    expect((await place.rows("a")).map(({ id }) => id)).toEqual([2]);
  });

  test("starts over for a table that is new, so that it has its rows from before too", async () => {
    await using place = await Place.make();
    const script: Step[] = [
      { kind: "upsert", table: "a", id: 1 },
      { kind: "upsert", table: "b", id: 2 },
    ];
    const first = await place.sync(player(script), { selection: { include: ["a"], exclude: [] } });
    expect(first.tables.map(({ table }) => table)).toEqual(["a"]);
    const both = await place.sync(player(script));
    expect(both.tables.map(({ table, rowsRead }) => [table, rowsRead])).toEqual([
      ["a", 1],
      ["b", 1],
    ]);
    expect(place.said).toContain('source "player" starts over from an empty state: b has no copy yet');
    await expectModel(place, played(script));
  });

  test("forgets what is gone from other tables when it starts over for one that is new", async () => {
    await using place = await Place.make();
    const row = (table: "a" | "b", id: number): Step => ({ kind: "upsert", table, id });
    await place.sync(player([row("a", 1), row("a", 2)]), { selection: { include: ["a"], exclude: [] } });
    await place.sync(player([row("a", 2), row("b", 3)]));
    expect((await place.rows("a")).map(({ id }) => id)).toEqual([2]);
    expect((await place.rows("b")).map(({ id }) => id)).toEqual([3]);
  });

  test("reads a table that was reset from the start, and the others once more", async () => {
    await using place = await Place.make();
    const row = (table: "a" | "b", id: number): Step => ({ kind: "upsert", table, id });
    await place.sync(player([row("a", 1), row("a", 2), row("b", 3)]));
    {
      await using warehouse = await place.copy.open();
      await reset({ warehouse }, ["a"], false);
    }
    // What is gone at the source meanwhile is gone from the table that was reset.
    const run = await place.sync(player([row("a", 2), row("b", 3), row("b", 4)]));
    expect(run.tables.map(({ table, rowsRead }) => [table, rowsRead])).toEqual([
      ["a", 1],
      ["b", 2],
    ]);
    expect((await place.rows("a")).map(({ id }) => id)).toEqual([2]);
    expect((await place.rows("b")).map(({ id }) => id)).toEqual([3, 4]);
  });

  test("empties what a first pass had read when it is told to start over", async () => {
    await using place = await Place.make();
    const row = (id: number): Step => ({ kind: "upsert", table: "a", id });
    await place.sync(player([row(1), row(2), row(3)], 2), { settings: every });
    await place.sync(player([row(2)]), { full: true });
    expect((await place.rows("a")).map(({ id }) => id)).toEqual([2]);
  });

  test("takes a new column up in the middle of a pass", async () => {
    await using place = await Place.make();
    const version = (more: boolean): SourceDefinition =>
      defineSource({
        name: "growing",
        state: z.object({ done: z.number().default(0) }),
        schema: () => ({
          a: { key: ["id"], columns: { id: "INT" as const, ...(more ? { x: "STRING" as const } : {}) } },
        }),
        async *update({ state, upsert, checkpoint }) {
          for (let id = state.done; id < 4; id++) {
            if (id === 2 && !more) throw new Error("cut");
            yield [upsert("a", more ? { id, x: `x${id}` } : { id }), checkpoint({ done: id + 1 })];
          }
        },
      });
    expect((await place.sync(version(false))).outcome).toBe("failed");
    expect((await place.sync(version(true))).outcome).toBe("succeeded");
    expect(await place.rows("a")).toEqual([
      { id: 0, x: null },
      { id: 1, x: null },
      { id: 2, x: "x2" },
      { id: 3, x: "x3" },
    ]);
  });

  test("asks before it takes on another key or another scope", async () => {
    const keyed = (key: string): SourceDefinition =>
      defineSource({
        name: "keyed",
        schema: { a: { key: [key], columns: { id: "INT", x: "STRING" } } },
        async *update({ upsert }) {
          yield upsert("a", { id: 1, x: "p" });
        },
      });
    await using place = await Place.make();
    await place.sync(keyed("id"));
    expect(failure(await place.sync(keyed("x")))).toBe(
      'SCOPE_CHANGED: table "a": its key is x, but its copy was made with the key id',
    );
    expect(failure(await place.sync(keyed("id"), { scope: "elsewhere" }))).toMatch(/^SCOPE_CHANGED/);
    expect((await place.sync(keyed("id"), { scope: "elsewhere", acceptScope: true })).outcome).toBe("succeeded");
  });

  test("reads more than memory holds between two checkpoints", slow, async () => {
    await using place = await Place.make();
    const wide = defineSource({
      name: "wide",
      schema: { a: { key: ["id"], columns: { id: "INT", text: "STRING" } }, b: { key: ["id"], columns } },
      async *update({ upsert, checkpoint }) {
        for (let id = 0; id < 4_000; id++) yield [upsert("a", { id, text: "x".repeat(1_000) }), upsert("b", { id })];
        yield checkpoint({});
      },
    });
    const run = await place.sync(wide, { settings: { memoryBytes: 1 << 20, batchBytes: 64 << 10 } });
    expect(run.tables.map(({ table, outcome, inserted }) => [table, outcome, inserted])).toEqual([
      ["a", "whole", 4_000],
      ["b", "whole", 4_000],
    ]);
  });

  test("a try that fails for the moment goes on from the last checkpoint", async () => {
    let tries = 0;
    const starts: number[] = [];
    const flaky = defineSource({
      name: "flaky",
      state: z.object({ done: z.number().default(0) }),
      schema: { a: { key: ["id"], columns: { id: "INT" } } },
      async *update({ state, upsert, checkpoint }) {
        starts.push(state.done);
        for (let id = state.done; id < 4; id++) {
          yield upsert("a", { id });
          if (id === 2 && tries++ === 0) throw Object.assign(new Error("read"), { code: "ECONNRESET" });
          yield checkpoint({ done: id + 1 });
        }
      },
    });
    await using place = await Place.make();
    const run = await place.sync(flaky, { settings: every });
    expect([run.outcome, starts]).toEqual(["succeeded", [0, 2]]);
    expect((await place.rows("a")).map(({ id }) => id)).toEqual([0, 1, 2, 3]);
  });

  test("ends at once when it is stopped, though its code waits for something else", async () => {
    const stop = new AbortController();
    const stuck = defineSource({
      name: "stuck",
      schema: { a: { key: ["id"], columns: { id: "INT" } } },
      async *update({ upsert, checkpoint }) {
        yield [upsert("a", { id: 1 }), checkpoint({})];
        setTimeout(() => stop.abort(), 50);
        await new Promise(() => {});
      },
    });
    await using place = await Place.make();
    const run = await place.sync(stuck, { signal: stop.signal, settings: { commitRows: 1, ...every } });
    expect(run.outcome).toBe("stopped");
    expect(await place.rows("a")).toEqual([{ id: 1 }]);
  });
});
