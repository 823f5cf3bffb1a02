import assert from "node:assert/strict";
import type { Rows } from "../../../src/protocol/rows.ts";
import type { Settlement } from "../../../src/protocol/transaction.ts";
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

export const valueChecks: readonly DestinationCheck[] = [
  ...Object.entries(values).map(([name, of]): DestinationCheck => ({
    name: `${name} comes through exactly, by every way there is`,
    async run(harness) {
      const table = tableOf("exact", { id: "INT", v: name, w: name }, ["id"]);
      // Once with NULLs between the values, once without a single one.
      const cells = [
        ...of.map((value, index) => [index, value, value] as const),
        [100, null, of[0]!] as const,
        [101, of.at(-1)!, of[0]!] as const,
      ];
      const none = new Map([["exact", { inserted: 0, updated: 0, deleted: 0 }]]);
      await fill(harness, table, cells);
      assert.deepEqual(comparable(await live(harness, table)), comparable(cells), "appended");
      const again = { tables: [table], sync: 2 } as const;
      for (const kind of ["full", "window"] as const)
        assert.deepEqual(await sync(harness, { ...again, kind }, [upsert(table, ...cells)]), none, `${kind}: equal`);
      const turned = cells.map(([id, v, w]) => [id + 1, w, v] as const);
      await sync(harness, { ...again, kind: "window" }, [upsert(table, ...turned)]);
      const merged = [...turned, cells[0]!, ...(of.length === 100 ? [] : [cells.find(([id]) => id === 100)!])];
      const wanted = new Map(merged.map((row) => [row[0], row]));
      for (const row of turned) wanted.set(row[0], row);
      assert.deepEqual(comparable(await live(harness, table)), comparable([...wanted.values()]), "merged");
      await sync(harness, { ...again, kind: "full", sync: 3 }, [upsert(table, ...cells)]);
      assert.deepEqual(comparable(await live(harness, table)), comparable(cells), "set aside");
    },
  })),
  ...Object.entries(values).map(([name, of]): DestinationCheck => ({
    name: `verify tells any two values of ${name} apart`,
    async run(harness) {
      const table = tableOf("pairs", { id: "INT", v: name }, ["id"]);
      const all: readonly Cell[] = [null, ...of];
      const pairs = all.flatMap((copied, a) => all.flatMap((now, b) => (a === b ? [] : [{ copied, now }])));
      await fill(
        harness,
        table,
        pairs.map(({ copied }, id) => [id, copied]),
      );
      await holding(harness, async (warehouse) => {
        const source = rows(
          table,
          pairs.map(({ now }, id) => [id, now]),
        );
        await using comparison = await warehouse.compare(table);
        await comparison.digest(source);
        await comparison.digested();
        await comparison.collect(source);
        assert.equal((await comparison.differences(0, () => null)).different, pairs.length);
      });
    },
  })),
  ...Object.entries(values)
    .filter(([name]) => name !== "JSON")
    .map(([name, of]): DestinationCheck => ({
      name: `${name} can be a key, and is given back exactly`,
      async run(harness) {
        const table = tableOf("keyed", { k: name, v: "INT" }, ["k"]);
        await fill(
          harness,
          table,
          of.map((value) => [value, 1]),
        );
        const pass = passOf("sweep", "keys", [table], syncAt(2));
        await holding(harness, async (warehouse, lease) => {
          await transact(warehouse, lease, syncAt(2), (transaction) => transaction.open(pass));
          await using transaction = await warehouse.begin(lease, syncAt(2));
          const keys = await gather(transaction.gone(pass, table), (page) =>
            Array.from({ length: page.length }, (_, row) => [cell(page.values[0]!, row)]),
          );
          assert.deepEqual(comparable(keys), comparable(of.map((value) => [value])));
          const met = of.map((value) => [value, 2] as const);
          await transaction.write(pass, left(pass), upsert(table, ...met));
          assert.deepEqual(await transaction.settlement(pass, table), { empty: false, missing: 0, gone: 0 });
        });
      },
    })),
  ...Object.entries(values)
    .filter(([name]) => name !== "JSON")
    .map(([name, of]): DestinationCheck => ({
      name: `${name} as key and version: a sweep finds nothing where nothing changed, and what changed`,
      async run(harness) {
        const table = tableOf("swept", { k: name, v: name }, ["k"], { version: "v" });
        const pairs = of.map((value) => [value, value] as const);
        await fill(harness, table, pairs);
        const sweep = async (met: readonly (readonly Cell[])[]): Promise<Settlement> => {
          const pass = passOf(`sweep ${met.length}`, "keys", [table], syncAt(2));
          return holding(harness, async (warehouse, lease) => {
            await using transaction = await warehouse.begin(lease, syncAt(2));
            await transaction.open(pass);
            for (const row of met) await transaction.write(pass, left(pass), some("keys", table, ["k", "v"], row));
            return transaction.settlement(pass, table);
          });
        };
        assert.deepEqual(await sweep(pairs), { empty: false, missing: 0, gone: 0 });
        assert.deepEqual(await sweep([]), { empty: true, missing: 0, gone: of.length });
        const changed = [[of[0]!, of[1]!], ...pairs.slice(2)];
        assert.deepEqual(await sweep(changed), { empty: false, missing: 1, gone: 1 });
      },
    })),
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
