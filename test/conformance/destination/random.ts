import assert from "node:assert/strict";
import fc from "fast-check";
import type { Pass } from "../../../src/protocol/pass.ts";
import type { Warehouse } from "../../../src/protocol/destination.ts";
import type { Seal } from "../../../src/protocol/readable.ts";
import type { Change, Transaction } from "../../../src/protocol/transaction.ts";
import type { Cell } from "../../../src/toolkit/vectors.ts";
import { cell } from "../../../src/toolkit/vectors.ts";
import {
  copied,
  type DestinationCheck,
  type DestinationHarness,
  gather,
  holding,
  left,
  passOf,
  some,
  statesOf,
  syncAt,
  tableOf,
  transact,
  upsert,
} from "./steps.ts";

const table = tableOf("model", { k: "INT", p: "STRING", a: "INT", b: "STRING" }, ["k", "p"], { version: "a" });

type Row = readonly [k: number, p: string, a: number | null, b: string | null];
type Model = Map<string, Row>;

const key = fc.tuple(fc.integer({ min: 0, max: 5 }), fc.constantFrom("x", "y"));
const row: fc.Arbitrary<Row> = fc
  .tuple(key, fc.option(fc.integer({ min: 0, max: 2 })), fc.option(fc.constantFrom("", "b", "longer than twelve")))
  .map(([[k, p], a, b]) => [k, p, a, b] as const);
const rowsOf = fc.array(row, { minLength: 1, maxLength: 6 });

type Step =
  | { readonly kind: "upsert"; readonly rows: readonly Row[] }
  | { readonly kind: "update a" | "update b"; readonly rows: readonly Row[] }
  | { readonly kind: "delete"; readonly keys: readonly (readonly [number, string])[] }
  | { readonly kind: "delete group"; readonly groups: readonly number[] }
  | { readonly kind: "truncate" };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("upsert" as const), rows: rowsOf }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constantFrom("update a" as const, "update b" as const), rows: rowsOf }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("delete" as const), keys: fc.array(key, { minLength: 1, maxLength: 4 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("delete group" as const),
      groups: fc.array(
        key.map(([k]) => k),
        { minLength: 1, maxLength: 3 },
      ),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("truncate" as const) }) },
);

type Sync =
  /** Each inner array is a transaction; the one at `undone` is disposed and written again. */
  | { readonly kind: "stream"; readonly transactions: readonly (readonly Step[])[]; readonly undone: number }
  | {
      readonly kind: "full" | "keys";
      readonly batches: readonly (readonly Row[])[];
      readonly reopen: boolean;
      readonly abandon: boolean;
    };

const aSync: fc.Arbitrary<Sync> = fc.oneof(
  fc.record({
    kind: fc.constant("stream" as const),
    transactions: fc.array(fc.array(step, { maxLength: 5 }), { minLength: 1, maxLength: 3 }),
    undone: fc.nat(5),
  }),
  fc.record({
    kind: fc.constantFrom("full" as const, "keys" as const),
    batches: fc.array(rowsOf, { maxLength: 4 }),
    reopen: fc.boolean(),
    abandon: fc.boolean(),
  }),
);

function id([k, p]: readonly [number, string, ...unknown[]]): string {
  return `${k} ${p}`;
}

function applied(model: Model, steps: readonly Step[]): void {
  for (const one of steps) {
    if (one.kind === "truncate") model.clear();
    else if (one.kind === "delete") for (const each of one.keys) model.delete(id(each));
    else if (one.kind === "delete group") {
      for (const [text, [k]] of model) if (one.groups.includes(k)) model.delete(text);
    } else {
      for (const [k, p, a, b] of one.rows) {
        const known = model.get(id([k, p]));
        if (one.kind === "upsert") model.set(id([k, p]), [k, p, a, b]);
        else if (known !== undefined)
          model.set(id([k, p]), one.kind === "update a" ? [k, p, a, known[3]] : [k, p, known[2], b]);
      }
    }
  }
}

function operationOf(one: Step): Change {
  switch (one.kind) {
    case "truncate":
      return { kind: "truncate", table: table.id };
    case "delete":
      return some("delete", table, ["k", "p"], ...one.keys);
    case "delete group":
      return some("delete", table, ["k"], ...one.groups.map((k) => [k]));
    case "upsert":
      return upsert(table, ...one.rows);
    case "update a":
      return some("update", table, ["k", "p", "a"], ...one.rows.map(([k, p, a]) => [k, p, a]));
    case "update b":
      return some("update", table, ["p", "k", "b"], ...one.rows.map(([k, p, , b]) => [p, k, b]));
  }
}

/** Reads the whole of `source` and settles, as the engine does: what a sweep misses or finds gone is looked up first. */
async function settled(warehouse: Warehouse, lease: number, start: string, pass: Pass, source: Model): Promise<void> {
  const lookUp = async (transaction: Transaction, pages: ReturnType<Transaction["gone"]>): Promise<void> => {
    const keys = await gather(pages, (page) =>
      Array.from({ length: page.length }, (_, at): Cell[] => page.values.map((vector) => cell(vector, at))),
    );
    const found = keys.flatMap(([k, p]) => source.get(id([k as number, p as string])) ?? []) as unknown as Cell[];
    const rows: Row[] = [];
    for (let at = 0; at < found.length; at += 4) rows.push(found.slice(at, at + 4) as unknown as Row);
    if (rows.length > 0) await transaction.write(pass, null, upsert(table, ...rows));
  };
  await transact(warehouse, lease, start, async (transaction) => {
    await lookUp(transaction, transaction.missing(pass, table));
    await lookUp(transaction, transaction.gone(pass, table));
    await transaction.close(pass, statesOf(pass));
  });
}

interface Trial {
  readonly harness: DestinationHarness;
  readonly deletion: "soft" | "hard";
  readonly start: string;
  readonly pass: Pass;
}

function inHand<Result>(
  { harness, deletion }: Trial,
  work: (warehouse: Warehouse, lease: number) => Promise<Result>,
): Promise<Result> {
  return holding(harness, work, { deletion });
}

async function stream(trial: Trial, one: Extract<Sync, { kind: "stream" }>, model: Model): Promise<void> {
  const { start, pass } = trial;
  await inHand(trial, async (warehouse, lease) => {
    await transact(warehouse, lease, start, (transaction) => transaction.open(pass));
    for (const [at, steps] of one.transactions.entries()) {
      for (const undone of at === one.undone ? [true, false] : [false]) {
        await using transaction = await warehouse.begin(lease, start);
        for (const each of steps) await transaction.write(pass, left(pass), operationOf(each));
        if (!undone) await transaction.commit([]);
      }
      applied(model, steps);
    }
    await transact(warehouse, lease, start, (transaction) => transaction.close(pass, statesOf(pass)));
  });
}

async function readWhole(trial: Trial, one: Exclude<Sync, { kind: "stream" }>, model: Model): Promise<void> {
  const { start, pass } = trial;
  const source: Model = new Map();
  for (const batch of one.batches) for (const each of batch) source.set(id(each), each);
  const operation = (batch: readonly Row[]): ReturnType<typeof operationOf> =>
    one.kind === "full"
      ? upsert(table, ...batch)
      : some("keys", table, ["k", "p", "a"], ...batch.map(([k, p, a]) => [k, p, a]));
  await inHand(trial, async (warehouse, lease) => {
    await transact(warehouse, lease, start, (transaction) => transaction.open(pass));
    for (const batch of one.batches) {
      await transact(warehouse, lease, start, (transaction) => transaction.write(pass, left(pass), operation(batch)));
    }
    if (one.abandon) await transact(warehouse, lease, start, (transaction) => transaction.abandon(pass));
    else if (!one.reopen) await settled(warehouse, lease, start, pass, source);
  });
  if (one.abandon) return;
  if (one.reopen) await inHand(trial, (warehouse, lease) => settled(warehouse, lease, start, pass, source));
  const before = new Map(model);
  model.clear();
  for (const [name, each] of source) {
    const known = before.get(name);
    // A sweep looks at keys and versions: what else changed stays as it was. A version that is NULL says nothing.
    const seen = lastVersion(one.batches, name);
    const same = one.kind === "keys" && known !== undefined && seen !== null && known[2] === seen;
    model.set(name, same ? known : each);
  }
}

async function run(harness: DestinationHarness, syncs: readonly Sync[], deletion: "soft" | "hard"): Promise<void> {
  const model: Model = new Map();
  const first: Sync = { kind: "full", batches: [], reopen: false, abandon: false };
  let rows = 0;
  // What a first full pass put into the copy stays when it is abandoned, until another one settles.
  let certain = true;
  for (const [index, one] of [first, ...syncs].entries()) {
    const start = syncAt(index + 1);
    const trial: Trial = { harness, deletion, start, pass: passOf(`pass ${index}`, one.kind, [table], start) };
    if (one.kind === "stream") await stream(trial, one, model);
    else await readWhole(trial, one, model);
    if (one.kind === "full") certain = !one.abandon || (certain && rows > 0);
    const all = await copied(harness, table.id);
    rows = all.length;
    const seal = await inHand(trial, sealOf);
    assert.notEqual(seal, "broken", `after sync ${index}, ${one.kind}`);
    if (!certain) continue;
    assert.equal(seal, "intact", `after sync ${index}, ${one.kind}`);
    const names = all.map(({ row: { k, p } }) => `${String(k)} ${String(p)}`);
    assert.equal(new Set(names).size, names.length, "no key is twice");
    if (deletion === "hard") assert.ok(all.every(({ deleted }) => !deleted));
    const living = all
      .filter(({ deleted }) => !deleted)
      .map(({ row: found }) => [found["k"], found["p"], found["a"], found["b"]]);
    const sorted = (cells: Iterable<readonly unknown[]>): string[] =>
      [...cells].map((each) => JSON.stringify(each)).sort();
    assert.deepEqual(sorted(living), sorted(model.values()), `after sync ${index}, ${one.kind}`);
  }
}

async function sealOf(warehouse: Warehouse): Promise<Seal> {
  await using comparison = await warehouse.compare(table);
  return await comparison.seal();
}

/** The version that a sweep saw of a key: a key that it saw in two is looked up. */
function lastVersion(batches: readonly (readonly Row[])[], name: string): number | null | undefined {
  const seen = new Set(
    batches
      .flat()
      .filter((each) => id(each) === name)
      .map(([, , a]) => a),
  );
  return seen.size === 1 ? [...seen][0] : undefined;
}

/** A first pass gives a key twice and is abandoned; the one that follows finds nothing. */
const keyTwice: Sync[] = [
  { kind: "full", batches: [[[0, "x", null, null]], [[0, "x", null, null]]], reopen: false, abandon: true },
  { kind: "full", batches: [], reopen: false, abandon: false },
];

export function randomCheck(make: () => Promise<DestinationHarness>, runs: number): DestinationCheck {
  return {
    name: "after any syncs the copy equals the model",
    async run() {
      await fc.assert(
        fc.asyncProperty(
          fc.array(aSync, { maxLength: 6 }),
          fc.constantFrom("soft", "hard"),
          async (syncs, deletion) => {
            await using harness = await make();
            await run(harness, syncs, deletion);
          },
        ),
        { numRuns: runs, examples: [[keyTwice, "soft"]] },
      );
    },
  };
}
