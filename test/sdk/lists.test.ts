import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { SourceDefinition } from "../../src/protocol/source.ts";
import { defineSource, type UpdateOperation, z } from "../../src/sdk/index.ts";
import { expectCutsHarmless } from "./cuts.ts";
import { failure, Place } from "./place.ts";

interface Line {
  readonly line: number;
  readonly sku?: string;
  readonly parcels?: readonly { readonly weight: number }[];
}

interface Order {
  readonly shop: number;
  readonly id: number;
  readonly note?: string;
  readonly lines?: readonly Line[];
}

type Step =
  | { readonly kind: "upsert"; readonly order: Order }
  | { readonly kind: "update"; readonly shop: number; readonly id: number; readonly note: string }
  | { readonly kind: "remove"; readonly shop: number; readonly id: number }
  | { readonly kind: "removeAll"; readonly part: { readonly shop: number } | { readonly id: number } }
  | { readonly kind: "truncate" }
  | { readonly kind: "checkpoint" };

const schema = {
  orders: {
    key: ["shop", "id"],
    columns: { shop: "INT", id: "INT", note: "STRING" },
    lists: {
      lines: {
        table: "lines",
        parent: ["shop", "order_id"],
        key: ["line"],
        columns: { line: "INT", sku: "STRING" },
        lists: { parcels: { columns: { weight: "DOUBLE" } } },
      },
    },
  },
} as const;

/** A source that plays a script; its state is how many steps are behind it. Fails before step `cut`. */
function player(script: readonly Step[], cut = Infinity): SourceDefinition {
  return defineSource({
    name: "player",
    state: z.object({ played: z.number().default(0) }),
    schema,
    async *update({ state, upsert, update, remove, removeAll, truncate, checkpoint }) {
      for (let at = state.played; at < script.length; at++) {
        if (at >= cut) throw new Error("cut");
        const step = script[at]!;
        if (step.kind === "checkpoint") yield checkpoint({ played: at + 1 });
        else if (step.kind === "truncate") yield truncate("orders");
        else if (step.kind === "removeAll") yield removeAll("orders", step.part);
        else if (step.kind === "upsert") yield upsert("orders", step.order);
        else {
          const { kind, shop, id } = step;
          yield kind === "remove" ? remove("orders", { shop, id }) : update("orders", { shop, id, note: step.note });
        }
      }
      yield checkpoint({ played: script.length });
    },
  });
}

/** The orders that a script leaves. */
function played(script: readonly Step[]): readonly Order[] {
  let orders: readonly Order[] = [];
  for (const step of script) {
    if (step.kind === "truncate") orders = [];
    else if (step.kind === "upsert")
      orders = [...orders.filter(({ shop, id }) => shop !== step.order.shop || id !== step.order.id), step.order];
    else if (step.kind === "update")
      orders = orders.map((order) =>
        order.shop === step.shop && order.id === step.id ? { ...order, note: step.note } : order,
      );
    else if (step.kind === "remove") orders = orders.filter(({ shop, id }) => shop !== step.shop || id !== step.id);
    else if (step.kind === "removeAll") {
      const { part } = step;
      orders = orders.filter((order) => ("shop" in part ? order.shop !== part.shop : order.id !== part.id));
    }
  }
  return orders;
}

const sorted = (rows: readonly object[]): readonly string[] => rows.map((row) => JSON.stringify(row)).sort();

async function expectOrders(place: Place, orders: readonly Order[]): Promise<void> {
  expect(sorted(await place.rows("orders"))).toEqual(
    sorted(orders.map(({ shop, id, note = null }) => ({ shop, id, note }))),
  );
  const lines = orders.flatMap(({ shop, id, lines: own = [] }) => own.map((line) => ({ shop, order_id: id, ...line })));
  expect(sorted(await place.rows("lines", "order_id"))).toEqual(
    sorted(lines.map(({ shop, order_id, line, sku = null }) => ({ shop, order_id, line, sku }))),
  );
  expect(sorted(await place.rows("lines_parcels", "order_id"))).toEqual(
    sorted(
      lines.flatMap(({ shop, order_id, line, parcels = [] }) =>
        parcels.map(({ weight }, position) => ({ shop, order_id, lines_line: line, position, weight })),
      ),
    ),
  );
}

const parcels = fc.array(fc.record({ weight: fc.nat(2) }, { noNullPrototype: true }), { maxLength: 3 });
const lines = fc.uniqueArray(
  fc.record(
    { line: fc.nat(4), sku: fc.constantFrom("p", "q"), parcels },
    { requiredKeys: ["line"], noNullPrototype: true },
  ),
  { maxLength: 4, selector: ({ line }) => line },
);
const [shop, id] = [fc.nat(1), fc.nat(3)];
const order = fc.record(
  { shop, id, note: fc.constantFrom("n", "m"), lines },
  { requiredKeys: ["shop", "id"], noNullPrototype: true },
);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: order.map((given): Step => ({ kind: "upsert", order: given })) },
  {
    weight: 3,
    arbitrary: fc
      .tuple(shop, id, fc.constantFrom("u", "v"))
      .map(([of, which, note]): Step => ({ kind: "update", shop: of, id: which, note })),
  },
  { weight: 2, arbitrary: fc.tuple(shop, id).map(([of, which]): Step => ({ kind: "remove", shop: of, id: which })) },
  { weight: 1, arbitrary: shop.map((of): Step => ({ kind: "removeAll", part: { shop: of } })) },
  { weight: 1, arbitrary: id.map((which): Step => ({ kind: "removeAll", part: { id: which } })) },
  { weight: 1, arbitrary: fc.constant<Step>({ kind: "truncate" }) },
  { weight: 3, arbitrary: fc.constant<Step>({ kind: "checkpoint" }) },
);

test("tables of lists are as the rows say, wherever and however often it is cut", { timeout: 180_000 }, async () => {
  const expectPlayed = (place: Place, script: readonly Step[]): Promise<void> => expectOrders(place, played(script));
  await expectCutsHarmless(step, player, expectPlayed, { most: 30, numRuns: 25 });
});

test("a list that is equal, or shrinks, is not written again but for what is gone", async () => {
  await using place = await Place.make();
  const orders = (count: number): readonly Step[] =>
    Array.from({ length: 50 }, (_, which) => ({
      kind: "upsert" as const,
      order: { shop: 1, id: which, lines: Array.from({ length: which === 7 ? count : 3 }, (__, line) => ({ line })) },
    }));
  await place.sync(player(orders(3)));
  const second = await place.sync(player([...orders(3), ...orders(1)]));
  expect(second.tables.map(({ table, inserted, updated, deleted }) => [table, inserted, updated, deleted])).toEqual([
    ["orders", 0, 0, 0],
    ["lines", 0, 0, 2],
    ["lines_parcels", 0, 0, 0],
  ]);
});

test("a page of rows with lists goes in few batches", async () => {
  await using place = await Place.make();
  let batches = 0;
  const script = Array.from({ length: 300 }, (_, which) => ({
    kind: "upsert" as const,
    order: { shop: 1, id: which, lines: [{ line: 1 }, { line: 2 }] },
  }));
  const run = await place.sync(player(script), {}, (event) => void (event.kind === "read" && (batches += 1)));
  expect(failure(run)).toBeNull();
  // Rows, and for both tables of lists the groups and their rows.
  expect(batches).toBeLessThan(12);
});

test("keys and columns of items may be inferred, also before the first item came", async () => {
  await using place = await Place.make();
  const inferred = defineSource({
    name: "inferred",
    schema: { posts: { key: ["id"], lists: { comments: {} } } },
    async *update({ upsert }) {
      yield upsert("posts", { id: "a" });
      yield upsert("posts", { id: "b", comments: [{ by: "x" }, { by: "y", stars: 5 }] });
      yield upsert("posts", { id: "b", comments: [{ by: "y", posts_id: "b" }] });
    },
  });
  expect(failure(await place.sync(inferred))).toBeNull();
  expect(await place.rows("posts")).toEqual([{ id: "a" }, { id: "b" }]);
  expect(await place.rows("posts_comments", "position")).toEqual([
    { position: 0, posts_id: "b", by: "y", stars: null },
  ]);
});

test("a key that does not fit its inferred type yet deletes no other row", async () => {
  await using place = await Place.make();
  const deleting = defineSource({
    name: "deleting",
    schema: { t: { key: ["id"] } },
    async *update({ upsert, remove }) {
      yield upsert("t", { id: 705_032_704 });
      // Its last 32 bits are those of the row.
      yield remove("t", { id: 5_000_000_000 });
      yield remove("t", { id: "x" });
    },
  });
  expect(failure(await place.sync(deleting))).toBeNull();
  expect(await place.rows("t")).toEqual([{ id: "705032704" }]);
});

describe("mistakes with lists", () => {
  interface Loose {
    upsert(table: string, row: unknown): UpdateOperation;
    update(table: string, row: unknown): UpdateOperation;
  }
  const cases: readonly [string, (given: Loose) => UpdateOperation, string][] = [
    [
      "a list that is none",
      ({ upsert }) => upsert("orders", { shop: 1, id: 2, lines: { line: 1 } }),
      'SOURCE_MISTAKEN: upsert("orders", …): "lines" of row {"shop":1,"id":2} is not a list: {"line":1}',
    ],
    [
      "an item that is no object",
      ({ upsert }) => upsert("orders", { shop: 1, id: 2, lines: ["a"] }),
      'SOURCE_MISTAKEN: upsert("orders", …): item 0 of "lines" of row {"shop":1,"id":2} is "a"',
    ],
    [
      "two items with one key",
      ({ upsert }) => upsert("orders", { shop: 1, id: 2, lines: [{ line: 1 }, { line: 1, sku: "p" }] }),
      'SOURCE_MISTAKEN: upsert("orders", …): two items of "lines" of row {"shop":1,"id":2} have the key {"shop":1,"order_id":2,"line":1}',
    ],
    [
      "an item of another row",
      ({ upsert }) => upsert("orders", { shop: 1, id: 2, lines: [{ line: 1, order_id: 3 }] }),
      'SOURCE_MISTAKEN: upsert("orders", …): item 0 of "lines" of row {"shop":1,"id":2} has order_id 3, where 2 belongs',
    ],
    [
      "an item without its key",
      ({ upsert }) => upsert("orders", { shop: 1, id: 2, lines: [{ sku: "p" }] }),
      'SOURCE_MISTAKEN: upsert("lines", …): the row lacks the key column "line": {"shop":1,"order_id":2,"sku":"p"}',
    ],
    [
      "a list in an update",
      ({ update }) => update("orders", { shop: 1, id: 2, lines: [] }),
      'SOURCE_MISTAKEN: update("orders", …): "lines" is a list, whose items are rows of another table',
    ],
    [
      "a table of a list",
      ({ upsert }) => upsert("lines", { shop: 1, order_id: 2, line: 1 }),
      'SOURCE_MISTAKEN: upsert("lines", …): the rows of this table are the items of lines in "orders"',
    ],
  ];
  test.each(cases)("%s", async (_, make, message) => {
    await using place = await Place.make();
    const source = defineSource({
      name: "mistaken",
      schema,
      async *update(given) {
        yield make(given as unknown as Loose);
      },
    });
    expect(failure(await place.sync(source))).toBe(message);
  });

  const orders = { key: ["id"], columns: { id: "INT" } };
  test.each<[unknown, string]>([
    [
      { orders: { ...orders, columns: { id: "INT", lines: "JSON" }, lists: { lines: {} } } },
      'schema: table "orders" declares "lines" as a column and as a list',
    ],
    [
      { orders: { ...orders, lists: { lines: { parent: ["a", "b"] } } } },
      'schema: list "lines" of table "orders" names 2 columns for a key of 1',
    ],
    [
      { orders: { ...orders, lists: { lines: { columns: { orders_id: "INT" } } } } },
      'schema: list "lines" of table "orders" declares "orders_id", which every item has anyway',
    ],
    [
      { orders: { key: ["id"], lists: { lines: { columns: { sku: "STRING" } } } } },
      'schema: list "lines" needs the types of the key of table "orders"',
    ],
    [
      { orders: { ...orders, lists: { lines: {} } }, orders_lines: orders },
      'schema: two tables are called "orders_lines"',
    ],
  ])("%j", async (given, message) => {
    await using place = await Place.make();
    const sync = place.sync(defineSource({ name: "mistaken", schema: () => given as never, async *update() {} }));
    await expect(sync).rejects.toMatchObject({ code: "SOURCE_MISTAKEN", message });
  });
});
