import assert from "node:assert/strict";
import type { PassKind } from "../../../src/protocol/pass.ts";
import type { Rows } from "../../../src/protocol/rows.ts";
import type { Table } from "../../../src/protocol/table.ts";
import type { Change, Changes, Settlement } from "../../../src/protocol/transaction.ts";
import { type Cell, cell } from "../../../src/toolkit/vectors.ts";
import {
  type DestinationCheck,
  fill,
  gather,
  holding,
  inOrder,
  left,
  live,
  passOf,
  rows,
  some,
  sync,
  syncAt,
  tableOf,
  transact,
  upsert,
} from "./steps.ts";

const infinity = 9_223_372_036_854_775_807n;
const day = 86_400_000_000n;

/** Values of each type that must come through unchanged: the extremes, and what is easily mistaken. */
const values: Readonly<Record<string, readonly Cell[]>> = {
  BOOLEAN: [true, false],
  SHORT: [0, 1, -1, 32_767, -32_768],
  INT: [0, 1, -1, 2_147_483_647, -2_147_483_648],
  LONG: [0n, 1n, -1n, 9_007_199_254_740_993n, 9_223_372_036_854_775_807n, -9_223_372_036_854_775_808n],
  "DECIMAL(1,0)": [0n, 9n, -9n],
  "DECIMAL(4,4)": [0n, 9_999n, -1n],
  "DECIMAL(5,2)": [99_999n, -99_999n, 1n],
  "DECIMAL(9,0)": [999_999_999n, -999_999_999n],
  "DECIMAL(10,2)": [1n, -9_999_999_999n],
  "DECIMAL(18,9)": [999_999_999_999_999_999n, -999_999_999_999_999_999n],
  "DECIMAL(19,0)": [10n ** 19n - 1n, -(10n ** 19n) + 1n],
  "DECIMAL(38,0)": [10n ** 38n - 1n, -(10n ** 38n) + 1n, 0n, -1n, 2n ** 64n, -(2n ** 64n), 2n ** 63n],
  "DECIMAL(38,38)": [1n, -(10n ** 38n) + 1n],
  FLOAT: [0.5, Math.fround(0.1), Infinity, -Infinity, NaN, 1.401298464324817e-45, 3.4028234663852886e38],
  DOUBLE: [0.1, 0.1 + 0.2, Infinity, -Infinity, NaN, 5e-324, 1.7976931348623157e308, -(2 ** 53)],
  NAIVE_DATE: [0, -1, 19_860, -719_162, 2_932_896, 2_147_483_647, -2_147_483_647],
  NAIVE_TIME: [0n, 1n, day - 1n, day],
  NAIVE_DATETIME: [0n, -1n, 1n, infinity, -infinity, -62_135_596_800_000_000n, 253_402_300_799_999_999n],
  UTC_DATETIME: [0n, -1n, 1_715_904_000_123_456n, infinity, -infinity, 253_402_300_799_999_999n],
  BINARY: [
    new Uint8Array(),
    new Uint8Array([0]),
    new Uint8Array([0, 255, 128, 92, 39]),
    Uint8Array.from({ length: 12 }, (_, index) => 255 - index),
    Uint8Array.from({ length: 13 }, (_, index) => 255 - index),
    Uint8Array.from({ length: 1_000 }, (_, index) => index),
  ],
  STRING: [
    "",
    " ",
    "NULL",
    "é",
    "世界",
    "😀",
    "a\tb\nc\\d\"e'f",
    "x".repeat(11),
    "x".repeat(12),
    "x".repeat(13),
    "é".repeat(5_000),
  ],
  UUID: [
    "00000000-0000-0000-0000-000000000000",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "00000000-0000-0001-0000-000000000000",
    "00000000-0000-0000-0000-000000000001",
    "80000000-0000-0000-8000-000000000000",
    "7fffffff-ffff-ffff-7fff-ffffffffffff",
    "0190c5a2-7d4e-7b1a-9f3c-2a6b8c0d1e2f",
  ],
  XML: ["<a/>", '<a b="c">é</a>'],
  JSON: ["null", "{}", '{"a": [1, 2.50, "é"]}', '{"a":[1,2.5]}', '"text"', "12345678901234567890.123"],
};

/** NaN equals itself, bytes compare by what they are. */
function comparable(cells: readonly (readonly Cell[])[]): Cell[][] {
  return inOrder(
    cells.map((row) =>
      row.map((value) => (value instanceof Uint8Array ? `bytes ${Buffer.from(value).toString("hex")}` : value)),
    ),
  );
}

/** All types, each for a table of its own. One destination has them all: opening it takes longer than what a check does. */
const types = Object.entries(values).map(([name, of]) => ({ name, of }));
const keyTypes = types.filter(({ name }) => name !== "JSON");

/** What a sync of tables changes where nothing is written. */
function unchanged(tables: readonly Table[]): ReadonlyMap<string, Changes> {
  return new Map(tables.map(({ id }) => [id, { inserted: 0, updated: 0, deleted: 0 }]));
}

export const valueChecks: readonly DestinationCheck[] = [
  {
    name: "values of every type come through exactly, by every way there is",
    async run(harness) {
      const all = types.map(({ name, of }) => {
        const table = tableOf(`exact ${name}`, { id: "INT", v: name, w: name }, ["id"]);
        // Once with NULLs between the values, once without a single one.
        const cells: readonly (readonly Cell[])[] = [
          ...of.map((value, index) => [index, value, value]),
          [100, null, of[0]!],
          [101, of.at(-1)!, of[0]!],
        ];
        const turned = cells.map(([id, v, w]) => [(id as number) + 1, w!, v!]);
        const merged = new Map(
          [...cells.filter(([id]) => id === 0 || id === 100), ...turned].map((row) => [row[0], row]),
        );
        return { table, cells, turned, merged: [...merged.values()] };
      });
      type One = (typeof all)[number];
      const tables = all.map(({ table }) => table);
      const write = (number: number, kind: PassKind, of: (one: One) => One["cells"]) =>
        sync(
          harness,
          { tables, kind, sync: number },
          all.map((one) => upsert(one.table, ...of(one))),
        );
      const holds = async (way: string, of: (one: One) => One["cells"]): Promise<void> => {
        for (const one of all)
          assert.deepEqual(comparable(await live(harness, one.table)), comparable(of(one)), `${one.table.id}, ${way}`);
      };
      await write(1, "full", ({ cells }) => cells);
      await holds("appended", ({ cells }) => cells);
      for (const kind of ["full", "window"] as const)
        assert.deepEqual(await write(2, kind, ({ cells }) => cells), unchanged(tables), `${kind}: equal`);
      await write(2, "window", ({ turned }) => turned);
      await holds("merged", ({ merged }) => merged);
      await write(3, "full", ({ cells }) => cells);
      await holds("set aside", ({ cells }) => cells);
    },
  },
  {
    name: "verify tells any two values of a type apart",
    async run(harness) {
      const all = types.map(({ name, of }) => {
        const table = tableOf(`pairs ${name}`, { id: "INT", v: name }, ["id"]);
        const cells: readonly Cell[] = [null, ...of];
        const pairs = cells.flatMap((copied, a) => cells.flatMap((now, b) => (a === b ? [] : [{ copied, now }])));
        return { table, pairs };
      });
      const tables = all.map(({ table }) => table);
      await sync(
        harness,
        { tables, kind: "full", sync: 1 },
        all.map(({ table, pairs }) => upsert(table, ...pairs.map(({ copied }, id) => [id, copied]))),
      );
      await holding(harness, async (warehouse) => {
        for (const { table, pairs } of all) {
          const source = rows(
            table,
            pairs.map(({ now }, id) => [id, now]),
          );
          await using comparison = await warehouse.compare(table);
          await comparison.digest(source);
          await comparison.digested();
          await comparison.collect(source);
          assert.equal((await comparison.differences(0, () => null)).different, pairs.length, table.id);
        }
      });
    },
  },
  {
    name: "values of every type but JSON can be keys, and are given back exactly",
    async run(harness) {
      const all = keyTypes.map(({ name, of }) => ({
        table: tableOf(`keyed ${name}`, { k: name, v: "INT" }, ["k"]),
        of,
      }));
      const tables = all.map(({ table }) => table);
      const written = (version: number): Change[] =>
        all.map(({ table, of }) => upsert(table, ...of.map((value) => [value, version])));
      await sync(harness, { tables, kind: "full", sync: 1 }, written(1));
      const pass = passOf("sweep", "keys", tables, syncAt(2));
      await holding(harness, async (warehouse, lease) => {
        await transact(warehouse, lease, syncAt(2), (transaction) => transaction.open(pass));
        await using transaction = await warehouse.begin(lease, syncAt(2));
        for (const { table, of } of all) {
          const keys = await gather(transaction.gone(pass, table), (page) =>
            Array.from({ length: page.length }, (_, row) => [cell(page.values[0]!, row)]),
          );
          assert.deepEqual(comparable(keys), comparable(of.map((value) => [value])), table.id);
        }
        for (const operation of written(2)) await transaction.write(pass, left(pass), operation);
        for (const table of tables)
          assert.deepEqual(await transaction.settlement(pass, table), { empty: false, missing: 0, gone: 0 }, table.id);
      });
    },
  },
  {
    name: "keys and versions of every type: a sweep finds nothing where nothing changed, and what changed",
    async run(harness) {
      const all = keyTypes.map(({ name, of }) => ({
        table: tableOf(`swept ${name}`, { k: name, v: name }, ["k"], { version: "v" }),
        of,
        pairs: of.map((value) => [value, value] as const),
      }));
      type One = (typeof all)[number];
      const tables = all.map(({ table }) => table);
      await sync(
        harness,
        { tables, kind: "full", sync: 1 },
        all.map(({ table, pairs }) => upsert(table, ...pairs)),
      );
      const expectSweep = async (
        id: string,
        met: (one: One) => readonly (readonly Cell[])[],
        expected: (one: One) => Settlement,
      ): Promise<void> => {
        const pass = passOf(id, "keys", tables, syncAt(2));
        await holding(harness, async (warehouse, lease) => {
          await using transaction = await warehouse.begin(lease, syncAt(2));
          await transaction.open(pass);
          for (const one of all) {
            const { table } = one;
            for (const row of met(one)) await transaction.write(pass, left(pass), some("keys", table, ["k", "v"], row));
            assert.deepEqual(await transaction.settlement(pass, table), expected(one), `${id}, ${table.id}`);
          }
        });
      };
      await expectSweep(
        "unchanged",
        ({ pairs }) => pairs,
        () => ({ empty: false, missing: 0, gone: 0 }),
      );
      await expectSweep(
        "empty",
        () => [],
        ({ of }) => ({ empty: true, missing: 0, gone: of.length }),
      );
      await expectSweep(
        "changed",
        ({ of, pairs }) => [[of[0]!, of[1]!], ...pairs.slice(2)],
        () => ({ empty: false, missing: 1, gone: 1 }),
      );
    },
  },
  {
    name: "UUIDs go on in a copy that has them as text, also in its key (case 27)",
    async run(harness) {
      const columns = (type: string) => tableOf("made", { k: type, v: type }, ["k"], { version: "v" });
      const uuid = (digit: number): string => `0190c5a2-7d4e-7b1a-9f3c-00000000000${digit}`;
      await fill(
        harness,
        columns("STRING"),
        [1, 2, 3].map((digit) => [uuid(digit), uuid(digit)]),
      );
      const table = columns("UUID");
      const equal = [1, 2, 3].map((digit) => [uuid(digit), uuid(digit)] as const);
      const none = new Map([["made", { inserted: 0, updated: 0, deleted: 0 }]]);
      const again = { tables: [table], sync: 2 } as const;
      for (const kind of ["full", "window"] as const)
        assert.deepEqual(await sync(harness, { ...again, kind }, [upsert(table, ...equal)]), none, kind);
      const changed = [
        [uuid(1), uuid(9)],
        [uuid(4), uuid(4)],
      ] as const;
      await sync(harness, { ...again, kind: "window" }, [upsert(table, ...changed)]);
      await holding(harness, async (warehouse, lease) => {
        const pass = passOf("sweep", "keys", [table], syncAt(3));
        await transact(warehouse, lease, syncAt(3), (transaction) => transaction.open(pass));
        await using transaction = await warehouse.begin(lease, syncAt(3));
        const met = [
          [uuid(1), uuid(9)],
          [uuid(2), uuid(8)],
        ] as const;
        await transaction.write(pass, left(pass), { kind: "keys", table: "made", rows: rows(table, met) });
        const keysOf = (pages: AsyncIterable<Rows>): Promise<Cell[][]> =>
          gather(pages, (page) => Array.from({ length: page.length }, (_, row) => [cell(page.values[0]!, row)]));
        assert.deepEqual(inOrder(await keysOf(transaction.gone(pass, table))), [[uuid(3)], [uuid(4)]]);
        assert.deepEqual(await keysOf(transaction.missing(pass, table)), [[uuid(2)]]);
      });
      await holding(harness, async (warehouse) => {
        await using comparison = await warehouse.compare(table);
        const source = rows(table, [...changed, ...equal.slice(1)]);
        await comparison.digest(source);
        assert.equal((await comparison.digested()).differing, 0);
      });
    },
  },
  {
    name: "a NULL, an empty text and the text NULL are three things",
    async run(harness) {
      const table = tableOf("empty", { id: "INT", s: "STRING", b: "BINARY" }, ["id"]);
      const cells = [
        [1, null, null],
        [2, "", new Uint8Array()],
        [3, "NULL", new Uint8Array([0])],
      ] as const;
      await fill(harness, table, cells);
      const shifted = cells.map(([id], index) => [id, ...cells[(index + 1) % 3]!.slice(1)] as const);
      await sync(harness, { tables: [table], kind: "window", sync: 2 }, [upsert(table, ...shifted)]);
      assert.deepEqual(comparable(await live(harness, table)), comparable(shifted));
    },
  },
  {
    name: "values of a megabyte and more come through",
    async run(harness) {
      const table = tableOf("big", { id: "INT", s: "STRING", j: "JSON" }, ["id"]);
      const cells = [1, 2, 3].map(
        (id) => [id, "é€😀".repeat(120_000 * id), `{"a": "${"x".repeat(1_000_000)}"}`] as const,
      );
      await fill(harness, table, cells);
      const found = await live(harness, table);
      assert.ok(
        cells.every(([id, s, j], index) => found[index]![0] === id && found[index]![1] === s && found[index]![2] === j),
      );
      const changed = await sync(harness, { tables: [table], kind: "full", sync: 2 }, [upsert(table, ...cells)]);
      assert.deepEqual(changed.get("big"), { inserted: 0, updated: 0, deleted: 0 });
    },
  },
];
