import assert from "node:assert/strict";
import type { Warehouse } from "../../../src/protocol/destination.ts";
import type { Comparison } from "../../../src/protocol/readable.ts";
import type { Table } from "../../../src/protocol/table.ts";
import type { Change } from "../../../src/protocol/transaction.ts";
import { noChanges } from "../../../src/toolkit/changes.ts";
import type { Cell } from "../../../src/toolkit/vectors.ts";
import { copied, type DestinationCheck, fill, holding, live, rows, schema, sync, tableOf, upsert } from "./steps.ts";

const readings = tableOf(
  "readings",
  { id: "LONG", name: "STRING", seen: "UTC_DATETIME", price: "DECIMAL(12,2)", doc: "JSON", ttl: "INT" },
  ["id"],
  { version: "seen", volatile: ["ttl"] },
);
const cells = Array.from({ length: 3_000 }, (_, index): Cell[] => [
  BigInt(index),
  index % 7 === 0 ? null : `reading ${index}`,
  BigInt(index) * 1_000_000n,
  BigInt(index),
  `{"n": ${index}}`,
  index,
]);

/** Both readings; in different batches and another order. */
async function compared(
  warehouse: Warehouse,
  table: Table,
  source: readonly (readonly Cell[])[],
  limit = 5,
  explain: Parameters<Comparison["differences"]>[1] = () => null,
): Promise<{
  readonly digested: Awaited<ReturnType<Comparison["digested"]>>;
  readonly found: Awaited<ReturnType<Comparison["differences"]>>;
}> {
  await using comparison = await warehouse.compare(table);
  for (let from = 0; from < source.length; from += 700)
    await comparison.digest(rows(table, source.slice(from, from + 700).reverse()));
  const digested = await comparison.digested();
  for (let from = 0; from < source.length; from += 900)
    await comparison.collect(rows(table, source.slice(from, from + 900)));
  return { digested, found: await comparison.differences(limit, explain) };
}

const tamperings = [
  ["a value", "UPDATE s.readings SET name = 'tampered' WHERE id = 42", { different: 1 }],
  ["a digit of a decimal", "UPDATE s.readings SET price = price + 0.01 WHERE id = 43", { different: 1 }],
  ["a NULL", "UPDATE s.readings SET name = NULL WHERE id = 44", { different: 1 }],
  ["a microsecond", "UPDATE s.readings SET seen = seen + INTERVAL '1 microsecond' WHERE id = 45", { different: 1 }],
  ["a row that is gone", "DELETE FROM s.readings WHERE id = 46", { missing: 1 }],
  ["a row that is marked deleted", "UPDATE s.readings SET _headwaters_deleted = TRUE WHERE id = 47", { missing: 1 }],
  [
    "a row too many",
    "INSERT INTO s.readings SELECT 99999, name, seen, price, doc, ttl, _headwaters_synced, FALSE FROM s.readings WHERE id = 48",
    { extra: 1 },
  ],
  ["a row that is twice there", "INSERT INTO s.readings SELECT * FROM s.readings WHERE id = 49", { extra: 1 }],
  [
    "two rows whose values were swapped",
    "UPDATE s.readings SET price = 101 - price WHERE id IN (50, 51)",
    { different: 2 },
  ],
] as const;

export const comparisonChecks: readonly DestinationCheck[] = [
  {
    name: "verify: a copy that is equal is found equal, whatever was deleted or changed before",
    async run(harness) {
      await fill(harness, readings, cells);
      await sync(harness, { tables: [readings], kind: "full", sync: 2 }, [upsert(readings, ...cells.slice(0, 2_900))]);
      await holding(harness, async (warehouse) => {
        const volatile = cells.slice(0, 2_900).map((row) => [...row.slice(0, 5), 7]);
        const { digested, found } = await compared(warehouse, readings, volatile);
        assert.deepEqual([digested.source, digested.copy, digested.differing], [2_900, 2_900, 0]);
        const none = { missing: 0, extra: 0, different: 0, repeated: 0, moved: 0, again: 0, unexplained: 0 };
        assert.deepEqual(found, { ...none, explanations: [], shown: [] });
      });
    },
  },
  ...tamperings.map(([name, sql, expected]): DestinationCheck => ({
    name: `verify finds ${name}`,
    async run(harness) {
      await fill(harness, readings, cells);
      const tampering = harness.tamper(sql.replaceAll("s.", `${schema}.`));
      // An index of the destination may refuse a key that is twice there: then there is nothing to find.
      if (name === "a row that is twice there" && (await tampering.then(() => false).catch(() => true))) return;
      await tampering;
      await holding(harness, async (warehouse) => {
        const { digested, found } = await compared(warehouse, readings, cells);
        assert.ok(digested.differing >= 1 && digested.differing <= 2 && digested.buckets > 100);
        const { shown, missing, extra, different } = found;
        assert.deepEqual({ missing, extra, different }, { missing: 0, extra: 0, different: 0, ...expected });
        assert.equal(shown.length, Object.values(expected)[0]);
        assert.equal(shown[0]!.kind, Object.keys(expected)[0]);
      });
    },
  })),
  {
    name: "values that rows swapped are found by verify, and written by a full pass (case 1)",
    async run(harness) {
      for (const [type, values, swapped] of [
        ["BOOLEAN", [false, true], "NOT v"],
        ["SHORT", [0, 1], "1 - v"],
      ] as const) {
        const table = tableOf(`swapped_${type}`, { id: "INT", v: type }, ["id"]);
        // Many rows, so that rows that swap their values share a bucket too.
        const cells = Array.from({ length: 20_000 }, (_, id): Cell[] => [id, values[id % 2]!]);
        await fill(harness, table, cells);
        await harness.tamper(`UPDATE ${schema}."${table.id}" SET v = ${swapped}`);
        await holding(harness, async (warehouse) => {
          const { found } = await compared(warehouse, table, cells);
          assert.deepEqual([found.missing, found.extra, found.different], [0, 0, 20_000]);
        });
        const changed = await sync(harness, { tables: [table], kind: "full", sync: 2 }, [upsert(table, ...cells)]);
        assert.deepEqual(changed.get(table.id), { inserted: 0, updated: 20_000, deleted: 0 });
      }
    },
  },
  {
    name: "the sign of a zero is kept and compared, or stored as 0 (case 3)",
    async run(harness) {
      const table = tableOf("zeros", { id: "INT", d: "DOUBLE", f: "FLOAT" }, ["id"]);
      const cells = [
        [1, -0, -0],
        [2, 0, 0],
        [3, NaN, NaN],
      ] as const;
      await fill(harness, table, cells);
      const kept = harness.signsZeros === true ? -0 : 0;
      assert.deepEqual(await live(harness, table), [[1, kept, kept], ...cells.slice(1)]);
      await holding(harness, async (warehouse) => {
        assert.equal((await compared(warehouse, table, cells)).digested.differing, 0);
      });
      await harness.tamper(`UPDATE ${schema}.zeros SET d = CAST('-0.0' AS double precision) WHERE id = 2`);
      const tampered = harness.signsZeros === true ? 1 : 0;
      await holding(harness, async (warehouse) => {
        const { digested, found } = await compared(warehouse, table, cells);
        assert.deepEqual([digested.differing, found.different], [tampered, tampered]);
      });
      const changed = await sync(harness, { tables: [table], kind: "full", sync: 2 }, [upsert(table, ...cells)]);
      assert.deepEqual(changed.get("zeros"), { inserted: 0, updated: tampered, deleted: 0 });
    },
  },
  {
    name: "verify names keys, columns and versions, as text",
    async run(harness) {
      await fill(harness, readings, cells);
      await harness.tamper(`UPDATE ${schema}.readings SET name = NULL, price = 1.50 WHERE id = 42`);
      await harness.tamper(`DELETE FROM ${schema}.readings WHERE id >= 2990`);
      await harness.tamper(`UPDATE ${schema}.readings SET id = -id WHERE id = 1`);
      await holding(harness, async (warehouse) => {
        const { found } = await compared(warehouse, readings, cells, 3);
        const { shown, missing: absent, extra, different, unexplained } = found;
        assert.deepEqual([absent, extra, different, unexplained], [11, 1, 1, 13]);
        assert.deepEqual(
          shown.filter(({ kind }) => kind === "different"),
          [
            {
              kind: "different",
              key: { id: "42" },
              version: { source: "1970-01-01T00:00:42Z", copy: "1970-01-01T00:00:42Z" },
              columns: [{ name: "price", source: "0.42", copy: "1.50" }],
            },
          ],
        );
        assert.deepEqual(
          shown.filter(({ kind }) => kind === "extra"),
          [{ kind: "extra", key: { id: "-1" }, version: { source: null, copy: "1970-01-01T00:00:01Z" }, columns: [] }],
        );
        const missing = shown.filter(({ kind }) => kind === "missing");
        assert.equal(missing.length, 3, "up to the limit of each kind");
        assert.ok(
          missing.every(
            ({ version, columns }) => version.source !== null && version.copy === null && columns.length === 0,
          ),
        );
      });
    },
  },
  {
    name: "verify tells what the source has changed since",
    async run(harness) {
      await fill(harness, readings, cells);
      await holding(harness, async (warehouse) => {
        const moved = cells.map((row) => [...row]);
        moved[10]![1] = "moved";
        moved.push([5_000n, "new", 0n, 0n, "{}", 0]);
        const { digested, found } = await compared(warehouse, readings, moved.slice(1));
        assert.deepEqual([digested.source, digested.copy], [3_000, 3_000]);
        assert.deepEqual([found.missing, found.extra, found.different], [1, 1, 1]);
      });
    },
  },
  {
    name: "verify names keys that the source gives twice with different values (case 2)",
    async run(harness) {
      await fill(harness, readings, cells);
      await holding(harness, async (warehouse) => {
        const changed = cells[7]!.with(1, "another");
        const { found } = await compared(warehouse, readings, [changed, cells[8]!, ...cells]);
        assert.deepEqual([found.missing, found.extra, found.different], [0, 0, 0]);
        assert.deepEqual([found.again, found.repeated, found.unexplained], [2, 1, 1]);
        const none = { version: { source: null, copy: null }, columns: [] };
        assert.deepEqual(found.shown, [{ kind: "repeated", key: { id: "7" }, ...none }]);
      });
    },
  },
  {
    name: "verify takes a key that changed while it was read twice for one that moved (case 2)",
    async run(harness) {
      await fill(harness, readings, cells);
      await holding(harness, async (warehouse) => {
        await using comparison = await warehouse.compare(readings);
        const [early, late] = [cells[7]!.with(1, "early"), cells[7]!.with(1, "late")];
        await comparison.digest(rows(readings, [...cells, early]));
        await comparison.digested();
        await comparison.collect(rows(readings, [...cells.filter((row) => row !== cells[7]), early, late, cells[7]!]));
        const found = await comparison.differences(5, () => null);
        assert.deepEqual([found.different, found.again, found.unexplained], [0, 2, 0]);
        assert.deepEqual([found.repeated, found.moved, found.shown], [0, 1, []]);
      });
    },
  },
  {
    name: "verify judges every difference, and shows those without an explanation first (case 4)",
    async run(harness) {
      await fill(harness, readings, cells);
      const moved = cells.map((row, id) => (id % 2 === 0 ? row.with(1, "moved").with(2, 9_000_000_000n) : row));
      await harness.tamper(`UPDATE ${schema}.readings SET price = 0.00 WHERE id IN (1501, 2999)`);
      await holding(harness, async (warehouse) => {
        const { found } = await compared(warehouse, readings, moved, 3, ({ version: { source, copy } }) =>
          source === copy ? null : "moved",
        );
        assert.deepEqual([found.different, found.unexplained, found.explanations], [1_502, 2, ["moved"]]);
        assert.deepEqual(
          found.shown.map(({ key }) => key["id"]),
          ["1501", "2999", "0"],
        );
      });
    },
  },
  {
    name: "verify counts equal rows of a table without a key",
    async run(harness) {
      const loose = tableOf("loose", { a: "INT", b: "STRING" }, []);
      const source = [
        [1, "x"],
        [1, "x"],
        [1, null],
        [2, "y"],
      ] as const;
      await fill(harness, loose, source);
      await holding(harness, async (warehouse) => {
        assert.equal((await compared(warehouse, loose, source)).digested.differing, 0);
        const { found } = await compared(warehouse, loose, [
          [1, "x"],
          [1, null],
          [1, null],
          [1, null],
          [2, "y"],
        ]);
        assert.deepEqual([found.missing, found.extra, found.different], [2, 1, 0]);
        assert.deepEqual(found.shown.map(({ kind, key }) => [kind, key]).sort(), [
          ["extra", { a: "1", b: "x" }],
          ["missing", { a: "1", b: null }],
        ]);
      });
    },
  },
  {
    name: "rows without columns are copied, settled and counted (case 16)",
    async run(harness) {
      const bare = tableOf("bare", {}, []);
      const some = (length: number): Change => ({
        kind: "upsert",
        table: "bare",
        rows: { columns: [], values: [], length },
      });
      for (const [sync_, inserted, deleted] of [
        [1, 3, 0],
        [2, 2, 0],
        [3, 0, 4],
        [4, 0, 0],
      ] as const) {
        const left = [3, 5, 1, 1][sync_ - 1]!;
        const changed = await sync(harness, { tables: [bare], kind: "full", sync: sync_ }, [some(left)]);
        assert.deepEqual(changed.get("bare") ?? noChanges, { inserted, updated: 0, deleted });
        assert.equal((await copied(harness, "bare")).filter((row) => !row.deleted).length, left);
        await holding(harness, async (warehouse) => {
          for (const [length, differing, missing, extra] of [
            [left, 0, 0, 0],
            [left + 2, 1, 2, 0],
            [0, 1, 0, left],
          ] as const) {
            await using comparison = await warehouse.compare(bare);
            const { rows } = some(length) as Extract<Change, { kind: "upsert" }>;
            await comparison.digest(rows);
            assert.deepEqual((await comparison.digested()).differing, differing);
            await comparison.collect(rows);
            const found = await comparison.differences(5, () => null);
            assert.deepEqual([found.missing, found.extra, found.different], [missing, extra, 0]);
          }
        });
      }
    },
  },
  {
    name: "verify compares a table whose columns have changed since with the copy as it is",
    async run(harness) {
      const before = tableOf("drift", { id: "INT", a: "INT" }, ["id"]);
      const after = tableOf("drift", { id: "LONG", a: "STRING", b: "INT" }, ["id"]);
      await fill(harness, before, [
        [1, 10],
        [2, 20],
      ]);
      await holding(harness, async (warehouse) => {
        const { found } = await compared(warehouse, after, [
          [1n, "10", null],
          [2n, "20", 5],
        ]);
        assert.deepEqual([found.missing, found.extra, found.different], [0, 0, 1]);
        assert.deepEqual(found.shown[0]!.columns, [{ name: "b", source: "5", copy: null }]);
      });
    },
  },
];
