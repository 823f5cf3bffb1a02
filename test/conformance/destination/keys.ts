import assert from "node:assert/strict";
import type { Pass } from "../../../src/protocol/pass.ts";
import type { Table } from "../../../src/protocol/table.ts";
import {
  type DestinationCheck,
  fill,
  holding,
  inOrder,
  left,
  live,
  passOf,
  rejectsWith,
  statesOf,
  syncAt,
  tableOf,
  things,
  three,
  transact,
  upsert,
} from "./steps.ts";

export const keyChecks: readonly DestinationCheck[] = [
  {
    name: "a key that comes twice in a pass that gives each key once is KEY_DUPLICATE (case 7)",
    async run(harness) {
      const twice = [upsert(things, [1n, "a", 1], [2n, "a", 1]), upsert(things, [3n, "a", 1], [2n, "b", 1])];
      const refused = (pass: Pass, start: string): Promise<unknown> =>
        rejectsWith(
          "KEY_DUPLICATE",
          holding(harness, (warehouse, lease) =>
            transact(warehouse, lease, start, async (transaction) => {
              await transaction.open(pass);
              for (const rows of twice) await transaction.write(pass, left(pass), rows);
              await transaction.close(pass, statesOf(pass));
            }),
          ),
          "id = 2",
        );
      await refused({ ...passOf("first", "full", [things], syncAt(1)), distinct: true }, syncAt(1));
      await fill(harness, things, three);
      await refused({ ...passOf("later", "full", [things], syncAt(2)), distinct: true }, syncAt(2));
      assert.deepEqual(await live(harness, things), inOrder(three));
    },
  },
  {
    name: "candidates for deletion that had expired by the read point are counted (law 4)",
    async run(harness) {
      const declared = tableOf("keys", { id: "INT", until: "UTC_DATETIME" }, ["id"]);
      const columns = declared.columns.map((column) =>
        column.name === "until" ? { ...column, expires: true } : column,
      );
      const table: Table = { ...declared, columns: columns as Table["columns"] };
      const at = (n: number): bigint => BigInt(Date.parse(syncAt(n))) * 1_000n;
      await fill(harness, table, [
        [1, null],
        [2, at(2)],
        [3, at(2)],
        [4, at(2) + 1n],
        [5, at(3)],
      ]);
      const pass = passOf("after", "full", [table], syncAt(2));
      await holding(harness, async (warehouse, lease) => {
        await using transaction = await warehouse.begin(lease, syncAt(2));
        await transaction.open(pass);
        await transaction.write(pass, left(pass), upsert(table, [2, at(4)]));
        const found = { empty: false, missing: 0, gone: 4, expired: 1 };
        assert.deepEqual(await transaction.settlement(pass, table), found);
      });
    },
  },
];
