import { expect, test } from "vitest";
import type { SourceDefinition } from "../../src/protocol/source.ts";
import { defineSource } from "../../src/sdk/index.ts";
import { failure, Place } from "./place.ts";

/** A source whose table `t` has these rows, with no column declared. */
function rows(...given: readonly Readonly<Record<string, unknown>>[]): SourceDefinition {
  return defineSource({
    name: "inferred",
    schema: { t: { key: ["id"] } },
    async *update({ upsert }) {
      for (const row of given) yield upsert("t", row as { id: number });
    },
  });
}

test("each value has the type that the rules say", async () => {
  await using place = await Place.make();
  const at = new Date("2024-05-17T08:30:00.250Z");
  const row = {
    id: 1,
    yes: true,
    whole: 5,
    large: 5_000_000_000,
    huge: 2n ** 63n,
    float: 1.5,
    text: "2024-05-17",
    at,
    bytes: new Uint8Array([1, 2]),
    list: [1, "a"],
    nothing: null,
  };
  await place.sync(rows(row));
  expect(await place.types("t")).toEqual({
    id: "INTEGER",
    yes: "BOOLEAN",
    whole: "INTEGER",
    large: "BIGINT",
    huge: "DECIMAL(38,0)",
    float: "DOUBLE",
    text: "VARCHAR",
    at: "TIMESTAMP WITH TIME ZONE",
    bytes: "BLOB",
    list: "JSON",
  });
  const [kept] = await place.copy.query(
    `SELECT whole, large, huge::VARCHAR huge, "float", epoch_us("at") us, octet_length(bytes) bytes, list::VARCHAR list FROM s.t`,
  );
  expect(kept).toEqual({
    whole: 5,
    large: 5_000_000_000n,
    huge: "9223372036854775808",
    float: 1.5,
    us: BigInt(at.getTime()) * 1_000n,
    bytes: 2n,
    list: '[1,"a"]',
  });
});

test("types widen as values need it, from sync to sync too", async () => {
  await using place = await Place.make();
  await place.sync(rows({ id: 1, n: 1, f: 1, s: 1 }, { id: 2, n: 3_000_000_000, f: 0.5, s: "two" }, { id: 3, f: 4e9 }));
  expect(await place.types("t")).toEqual({ id: "INTEGER", n: "BIGINT", f: "DOUBLE", s: "VARCHAR" });
  await place.sync(rows({ id: 4, n: 2n ** 64n, f: 2, s: { a: 1 } }, { id: 5_000_000_000, late: "x" }));
  expect(await place.types("t")).toEqual({
    id: "BIGINT",
    n: "DECIMAL(38,0)",
    f: "DOUBLE",
    s: "VARCHAR",
    late: "VARCHAR",
  });
  const kept = await place.copy.query("SELECT id::VARCHAR id, n::VARCHAR n, f, s, late FROM s.t ORDER BY s.t.id");
  expect(kept).toEqual([
    { id: "1", n: "1", f: 1, s: "1", late: null },
    { id: "2", n: "3000000000", f: 0.5, s: "two", late: null },
    { id: "3", n: null, f: 4e9, s: null, late: null },
    { id: "4", n: "18446744073709551616", f: 2, s: '{"a":1}', late: null },
    { id: "5000000000", n: null, f: null, s: null, late: "x" },
  ]);
  expect(place.said.filter((line) => line.includes("becomes STRING"))).toEqual([
    'table "t": column "s" was INT and now has a STRING: it becomes STRING. To avoid that, declare its type in schema.',
  ]);
});

test("updates and removes go by an inferred key", async () => {
  const source = defineSource({
    name: "inferred",
    schema: { t: { key: ["id"], columns: { n: "LONG" }, infer: true } },
    async *update({ upsert, update, remove }) {
      yield upsert("t", { id: "a", n: 1, more: "x" });
      yield upsert("t", { id: "b", n: 2 });
      yield update("t", { id: "a", more: "y", extra: true });
      yield update("t", { id: "b", n: null });
      yield update("t", { id: "c", n: 3 });
      yield remove("t", { id: "d" });
    },
  });
  await using place = await Place.make();
  await place.sync(source);
  expect(await place.rows("t")).toEqual([
    { id: "a", n: 1n, more: "y", extra: true },
    { id: "b", n: null, more: null, extra: null },
  ]);
});

test("a key whose type can't be told from what widens asks for its declaration", async () => {
  await using place = await Place.make();
  expect(failure(await place.sync(rows({ id: new Date(0) })))).toBe(
    'SOURCE_MISTAKEN: table "t": the type of key column "id" can\'t be inferred: it is UTC_DATETIME',
  );
});

test("what the user sets in overrides holds over declaration and inference", async () => {
  await using place = await Place.make();
  const types = { t: { n: { kind: "DECIMAL", precision: 12, scale: 2 } as const } };
  expect(failure(await place.sync(rows({ id: 1, n: "1.25" }), { types }))).toBeNull();
  expect(await place.types("t")).toEqual({ n: "DECIMAL(12,2)", id: "INTEGER" });
});

test("field names that are data fail clearly, before they take memory (case 43)", { timeout: 120_000 }, async () => {
  await using place = await Place.make();
  const odd = (id: number): Readonly<Record<string, unknown>> => ({ id, [`f_${id}_a`]: 1, [`f_${id}_b`]: 2 });
  const many = await place.sync(rows(...Array.from({ length: 600 }, (_, id) => odd(id))));
  expect(failure(many)).toMatch(/^(COLUMNS_TOO_MANY|DESTINATION_UNUSABLE): /);
  await using other = await Place.make();
  const fields = Object.fromEntries(Array.from({ length: 2_000 }, (_, at) => [`f_${at}`, at]));
  expect(failure(await other.sync(rows({ id: 1, ...fields })))).toMatch(/^COLUMNS_TOO_MANY: .* have 2001 fields/);
});
