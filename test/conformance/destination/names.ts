import assert from "node:assert/strict";
import type { Table } from "../../../src/protocol/table.ts";
import type { Cell } from "../../../src/toolkit/vectors.ts";
import { cell } from "../../../src/toolkit/vectors.ts";
import {
  type DestinationCheck,
  gather,
  holding,
  live,
  passOf,
  rows,
  some,
  statesOf,
  sync,
  syncAt,
  tableOf,
  transact,
  upsert,
} from "./steps.ts";

/** What statements of ours call something, or could. */
const aliases = [
  ..."a b c d f g k m r s t x c_ c0 c1 i0 k0 k1 s0 t0 s1 t1 c_bucket c_n c_id c_place".split(" "),
  ..."bucket buckets n digest digests untold hashed differing differs chosen counted source copy sums".split(" "),
  ..."place what row kind twin present key found spot numbered last first duplicate again grouped".split(" "),
  ..."before after final begins low high highest runs doubtful bounds jumps rowid row_number".split(" "),
  ..."id deleted synced stage staged held given known opened entries passes changes pending value".split(" "),
  ..."mode state split attempt version done connection pass ordinal columns lease stamp name type".split(" "),
] as const;

const upper = aliases.map((name) => name.toUpperCase());

/** A table whose columns are called so: all are texts but `version`. */
function called(id: string, names: readonly string[], key: readonly string[], version: string): Table {
  const columns = Object.fromEntries(names.map((name) => [name, name === version ? "INT" : "STRING"]));
  return tableOf(id, columns, key, { version });
}

/** Each column has another value, and `at` stands in the version and in most others. */
function row(table: Table, key: string, at: number): Cell[] {
  return table.columns.map(({ name }) =>
    name === table.version ? at : table.key.includes(name) ? `${key} of ${name}` : `${key} ${name} ${at}`,
  );
}

const tables: readonly Table[] = [
  called("passes", aliases, ["bucket", "place"], "n"),
  called("changes_1", aliases, ["last"], "what"),
  called("copies", upper, ["BEFORE", "KEY"], "DIGEST"),
  called("leases", upper, ["ROW"], "UNTOLD"),
  called("incoming_1", aliases, ["rowid", "t"], "s"),
];

/** Names of our tables, and of temporary ones. */
const names =
  "format runs progress tables pass_tables held buckets_1 delete_1 pending_1 digests_1 found_1 read_1".split(" ");

const deletions = { passes: "hard", copies: "hard" } as const;

export const nameChecks: readonly DestinationCheck[] = [
  {
    name: "columns and tables may be called as anything that our statements name (case 15)",
    async run(harness) {
      const given = { deletions };
      const all = (key: string, at: number) => tables.map((table) => upsert(table, row(table, key, at)));
      const expected = async (...wanted: readonly (readonly [key: string, at: number])[]): Promise<void> => {
        for (const table of tables) {
          const cells = wanted.map(([key, at]) => row(table, key, at));
          assert.deepEqual(await live(harness, table), cells, table.id);
        }
      };
      await sync(harness, { tables, kind: "full", sync: 1, given }, [
        ...all("a", 1),
        ...all("b", 0),
        ...all("b", 1),
        ...all("c", 1),
      ]);
      await expected(["a", 1], ["b", 1], ["c", 1]);
      await sync(harness, { tables, kind: "full", sync: 2, given }, [
        ...all("a", 1),
        ...all("b", 2),
        ...all("d", 0),
        ...all("d", 1),
      ]);
      await expected(["a", 1], ["b", 2], ["d", 1]);

      const sweep = passOf("sweep", "keys", tables, syncAt(3));
      await holding(
        harness,
        async (warehouse, lease) => {
          await transact(warehouse, lease, syncAt(3), (transaction) => transaction.open(sweep));
          await transact(warehouse, lease, syncAt(3), async (transaction) => {
            for (const table of tables) {
              const columns = [...table.key, table.version!];
              const keys = [row(table, "a", 1), row(table, "b", 3), row(table, "e", 1)].map((cells) =>
                columns.map((name) => cells[table.columns.findIndex((column) => column.name === name)]!),
              );
              await transaction.write(sweep, sweep.splits[0]!, some("keys", table, columns, ...keys));
            }
          });
          await transact(warehouse, lease, syncAt(3), async (transaction) => {
            for (const table of tables) {
              assert.deepEqual(
                await transaction.settlement(sweep, table),
                { empty: false, missing: 2, gone: 1 },
                table.id,
              );
              const keysOf = (pages: ReturnType<typeof transaction.gone>): Promise<Cell[][]> =>
                gather(pages, (page) =>
                  Array.from({ length: page.length }, (_, at) => page.values.map((vector) => cell(vector, at))),
                );
              assert.equal((await keysOf(transaction.missing(sweep, table))).length, 2);
              const [gone] = await keysOf(transaction.gone(sweep, table));
              assert.deepEqual(
                gone,
                table.key.map((name) => `d of ${name}`),
              );
              await transaction.write(sweep, null, upsert(table, row(table, "b", 3), row(table, "e", 1)));
            }
            await transaction.close(sweep, statesOf(sweep));
          });
        },
        given,
      );
      await expected(["a", 1], ["b", 3], ["e", 1]);

      await sync(harness, { tables, kind: "window", sync: 4, given }, [...all("a", 4), ...all("f", 4)]);
      const changes = tables.flatMap((table) => {
        const other = table.columns.find(({ name }) => name !== table.version && !table.key.includes(name))!.name;
        const key = (of: string): Cell[] => table.key.map((name) => `${of} of ${name}`);
        return [
          some("update", table, [...table.key, other], [...key("a"), `a ${other} 4`], [...key("z"), "nobody"]),
          some("delete", table, table.key, key("f"), key("z")),
          some("update", table, [...table.key, other], [...key("e"), "changed"]),
        ];
      });
      await sync(harness, { tables, kind: "stream", sync: 5, given }, changes);
      for (const table of tables) {
        const found = await live(harness, table, table.key);
        assert.deepEqual(
          found,
          ["a", "b", "e"].map((key) => table.key.map((name) => `${key} of ${name}`)),
          table.id,
        );
      }

      await holding(harness, async (warehouse) => {
        for (const table of tables) {
          const copied = [row(table, "a", 4), row(table, "b", 3), row(table, "e", 1), row(table, "g", 1)];
          await using comparison = await warehouse.compare(table);
          await comparison.digest(rows(table, copied));
          const { source, copy, differing } = await comparison.digested();
          assert.deepEqual([source, copy, differing], [4, 3, 2], table.id);
          await comparison.collect(rows(table, copied));
          const { missing, extra, different } = await comparison.differences(5, () => null);
          assert.deepEqual({ missing, extra, different }, { missing: 1, extra: 0, different: 1 }, table.id);
        }
      });
    },
  },
  {
    name: "a table without a key may have columns called as anything that our statements name",
    async run(harness) {
      const table = tableOf("stage", Object.fromEntries(aliases.map((name) => [name, "STRING"])), []);
      const of = (value: string): Cell[] => aliases.map((name) => `${value} ${name}`);
      await sync(harness, { tables: [table], kind: "full", sync: 1 }, [upsert(table, of("a"), of("b"), of("b"))]);
      await sync(harness, { tables: [table], kind: "full", sync: 2 }, [upsert(table, of("b"), of("c"), of("c"))]);
      assert.deepEqual(await live(harness, table), [of("b"), of("c"), of("c")]);
      await holding(harness, async (warehouse) => {
        await using comparison = await warehouse.compare(table);
        await comparison.digest(rows(table, [of("b"), of("c"), of("c")]));
        assert.equal((await comparison.digested()).differing, 0);
      });
    },
  },
  {
    name: "tables may be called as the destination's own",
    async run(harness) {
      const named = names.map((id) =>
        tableOf(id, { id: "LONG", name: "STRING", at: "INT" }, ["id"], { version: "at" }),
      );
      const all = (...cells: readonly Cell[][]) => named.map((table) => upsert(table, ...cells));
      await sync(harness, { tables: named, kind: "full", sync: 1 }, all([1n, "one", 1], [2n, "two", 1]));
      await sync(harness, { tables: named, kind: "full", sync: 2 }, all([1n, "one", 1], [3n, "three", 1]));
      await sync(harness, { tables: named, kind: "window", sync: 3 }, all([3n, "drei", 2], [4n, "four", 2]));
      for (const table of named)
        assert.deepEqual(await live(harness, table, ["name"]), [["drei"], ["four"], ["one"]], table.id);
    },
  },
];
