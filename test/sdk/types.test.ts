import { expect, expectTypeOf, test } from "vitest";
import { defineSource, type Row, type Update, z } from "../../src/sdk/index.ts";

/**
 * What TypeScript must accept and refuse. The bodies are never run: `npm run types` checks them, and an expected error
 * that does not come is an error itself.
 */
test("rows are typed by the declared tables", () => {
  const source = defineSource({
    name: "weather",
    configuration: z.object({ station: z.string(), pages: z.coerce.number().default(3) }),
    state: z.object({ cursor: z.string().default("") }),
    schema: (configuration) => {
      expectTypeOf(configuration).toEqualTypeOf<{ station: string; pages: number }>();
      return {
        readings: {
          key: ["id"],
          columns: { id: "LONG", at: "UTC_DATETIME", celsius: "DOUBLE", price: "DECIMAL(10,2)", raw: "JSON" },
        },
        stations: { key: ["name"] },
        mixed: { key: ["id", "part"], columns: { id: "INT" }, infer: true },
      };
    },
    async *update({ configuration, state, upsert, update, remove, removeAll, truncate, checkpoint, log, signal }) {
      expectTypeOf(configuration.pages).toEqualTypeOf<number>();
      expectTypeOf(state).toEqualTypeOf<{ cursor: string }>();
      expectTypeOf(signal).toEqualTypeOf<AbortSignal>();
      log.info("a line");
      yield upsert("readings", { id: 1n, at: new Date(), celsius: 20.5, price: "1.50", raw: { any: ["thing"] } });
      yield upsert("readings", { id: 1, at: null, celsius: undefined });
      yield update("readings", { id: 1, celsius: 3 });
      yield remove("readings", { id: 1 });
      yield removeAll("mixed", { part: "a" });
      yield truncate("readings");
      yield [upsert("stations", { name: "north", anything: 1 }), checkpoint({ cursor: "a" })];
      yield upsert("mixed", { id: 1, part: "a", more: true });

      // @ts-expect-error no such table
      yield upsert("readngs", { id: 1 });
      // @ts-expect-error no such column
      yield upsert("readings", { id: 1, celsus: 20.5 });
      // @ts-expect-error text is no DOUBLE
      yield upsert("readings", { id: 1, celsius: "20.5" });
      // @ts-expect-error a number is no moment
      yield upsert("readings", { id: 1, at: 1_715_000_000 });
      // @ts-expect-error the key is missing
      yield upsert("readings", { celsius: 20.5 });
      // @ts-expect-error a key is never null
      yield upsert("readings", { id: null });
      // @ts-expect-error the key is missing here too
      yield upsert("stations", { anything: 1 });
      // @ts-expect-error one part of the key is missing
      yield upsert("mixed", { id: 1, more: true });
      // @ts-expect-error the declared part of the key has its type
      yield upsert("mixed", { id: "1", part: "a" });
      // @ts-expect-error only the key
      yield remove("readings", { id: 1, celsius: 3 });
      // @ts-expect-error only columns of the key
      yield removeAll("mixed", { more: true });
      // @ts-expect-error no such table
      yield truncate("nothing");
      // @ts-expect-error the state has another shape
      yield checkpoint({ cursor: 1 });
      // @ts-expect-error a checkpoint has a state
      yield checkpoint();
      // @ts-expect-error no such setting
      yield upsert("readings", { id: configuration.stations });
    },
  });
  expect(source.name).toBe("weather");
});

test("items of lists are typed by their declaration", () => {
  defineSource({
    name: "shop",
    schema: {
      orders: {
        key: ["id"],
        columns: { id: "LONG", note: "STRING" },
        lists: {
          lines: { key: ["line"], columns: { line: "INT", sku: "STRING" }, lists: { parcels: { table: "parcels" } } },
          tags: { columns: { value: "STRING" } },
        },
      },
    },
    async *update({ upsert, update, remove, truncate, fetch }) {
      expectTypeOf(fetch).toEqualTypeOf<typeof globalThis.fetch>();
      yield upsert("orders", { id: 1 });
      yield upsert("orders", {
        id: 1,
        lines: [{ line: 1, sku: "a", parcels: [{ anything: 1 }] }, { line: 2 }],
        tags: ["a", "b"].map((value) => ({ value })),
      });
      yield upsert("orders", { id: 1, tags: null, lines: undefined });
      yield update("orders", { id: 1, note: "n" });
      yield remove("orders", { id: 1 });

      // @ts-expect-error no such list
      yield upsert("orders", { id: 1, lnes: [] });
      // @ts-expect-error a list has objects
      yield upsert("orders", { id: 1, tags: ["a"] });
      // @ts-expect-error no such column of an item
      yield upsert("orders", { id: 1, tags: [{ valu: "a" }] });
      // @ts-expect-error the key of the item is missing
      yield upsert("orders", { id: 1, lines: [{ sku: "a" }] });
      // @ts-expect-error a number is no text
      yield upsert("orders", { id: 1, lines: [{ line: 1, sku: 5 }] });
      // @ts-expect-error a list is given with its whole row
      yield update("orders", { id: 1, lines: [] });
      // @ts-expect-error rows of lists are written with their rows
      yield truncate("orders_lines");
    },
  });
});

test("types that do not exist are refused", () => {
  const define = (): unknown =>
    defineSource({
      name: "weather",
      // @ts-expect-error TIMESTAMP is none of the types
      schema: { readings: { key: ["id"], columns: { id: "TIMESTAMP" } } },
      async *update() {},
    });
  expect(define).not.toThrow();
});

test("tables that are known only when it runs take any column", () => {
  defineSource({
    name: "anything",
    configuration: z.object({ tables: z.array(z.string()) }),
    schema: async ({ tables }) => Object.fromEntries(tables.map((table) => [table, { key: ["id"] }])),
    async *update({ configuration, upsert, state, checkpoint }) {
      for (const table of configuration.tables) yield upsert(table, { id: 1, name: "any", other: null });
      yield checkpoint({ ...state, seen: 1 });
    },
  });
});

test("rows and updates have names to write helpers with", () => {
  const tables = { readings: { key: ["id"], columns: { id: "LONG", name: "STRING" } } } as const;
  const row = (id: number): Row<typeof tables.readings> => ({ id, name: "a" });
  async function* rows({ upsert }: Pick<Update<unknown, unknown, unknown, typeof tables>, "upsert">) {
    yield upsert("readings", row(1));
  }
  defineSource({
    name: "helped",
    schema: tables,
    async *update(context) {
      yield* rows(context);
    },
  });
});
