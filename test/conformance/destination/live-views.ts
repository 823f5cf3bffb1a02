import assert from "node:assert/strict";
import type { Table } from "../../../src/protocol/table.ts";
import type { Cell } from "../../../src/toolkit/vectors.ts";
import {
  type DestinationCheck,
  type DestinationHarness,
  fill,
  holding,
  rejectsWith,
  schema,
  some,
  sync,
  syncAt,
  tableOf,
  things,
  three,
  transact,
  upsert,
} from "./steps.ts";

const given = { views: "live" } as const;
const liveSchema = `${schema}_live`;

/** The rows of the view of a table, by their first column; `null`: there is no view. */
async function seen(harness: DestinationHarness, table = "things"): Promise<readonly object[] | null> {
  const rows = await harness.readBack(liveSchema, table);
  const first = (row: Readonly<Record<string, Cell>>): string => String(Object.values(row)[0]);
  return rows === null ? null : [...rows].sort((a, b) => (first(a) < first(b) ? -1 : 1));
}

export const liveViewChecks: readonly DestinationCheck[] = [
  {
    name: "a view has the live rows of a copy, and the columns of the source",
    async run(harness) {
      await fill(harness, things, three, given);
      const keyless = tableOf("keyless", { a: "STRING" }, []);
      await sync(harness, { tables: [keyless], kind: "full", sync: 1, given }, [upsert(keyless, ["x"], ["x"])]);
      await sync(harness, { tables: [things], kind: "stream", sync: 2, given }, [some("delete", things, ["id"], [2n])]);
      assert.deepEqual(await seen(harness), [
        { id: 1n, name: "one", at: 1 },
        { id: 3n, name: "three", at: 1 },
      ]);
      assert.deepEqual(await seen(harness, "keyless"), [{ a: "x" }, { a: "x" }]);
    },
  },
  {
    name: "a view follows columns that are new, wider, or of another key",
    async run(harness) {
      await fill(harness, things, three, given);
      const wider = tableOf("things", { id: "LONG", name: "STRING", at: "DOUBLE", fresh: "STRING" }, ["id"]);
      await sync(harness, { tables: [wider], kind: "stream", sync: 2, given }, [
        upsert(wider, [1n, "uno", 1.5, "new"]),
        some("delete", wider, ["id"], [3n]),
      ]);
      assert.deepEqual(await seen(harness), [
        { id: 1n, name: "uno", at: 1.5, fresh: "new" },
        { id: 2n, name: "two", at: 1, fresh: null },
      ]);
      const other = tableOf("things", { name: "STRING", at: "DOUBLE" }, ["name"]);
      await sync(harness, { tables: [other], kind: "full", sync: 3, given, replace: true }, [upsert(other, ["a", 2])]);
      assert.deepEqual(await seen(harness), [{ name: "a", at: 2 }]);
    },
  },
  {
    name: "views come and go with the setting, and with their copies",
    async run(harness) {
      await fill(harness, things, three);
      assert.equal(await seen(harness), null);
      await sync(harness, { tables: [things], kind: "stream", sync: 2, given }, []);
      assert.equal((await seen(harness))?.length, 3);
      const others = { ...things, id: "others" };
      await sync(harness, { tables: [others], kind: "full", sync: 3, given }, [upsert(others, ...three)]);
      // Only one of the tables is synced: the views of both go.
      await sync(harness, { tables: [others], kind: "stream", sync: 4 }, []);
      assert.deepEqual([await seen(harness), await seen(harness, "others")], [null, null]);
      await sync(harness, { tables: [things], kind: "stream", sync: 5, given }, []);
      await holding(
        harness,
        (warehouse, lease) =>
          transact(warehouse, lease, syncAt(6), (transaction) => transaction.reset(["things"], true)),
        given,
      );
      assert.equal(await seen(harness), null);
    },
  },
  {
    name: "a view that Headwaters has not made is not replaced or dropped",
    async run(harness) {
      await fill(harness, things, three);
      await harness.tamper(`CREATE SCHEMA ${liveSchema}`);
      await harness.tamper(`CREATE VIEW ${liveSchema}.things AS SELECT 1 AS own`);
      await rejectsWith(
        "DESTINATION_UNUSABLE",
        sync(harness, { tables: [things], kind: "stream", sync: 2, given }, []),
        `${liveSchema}.things exists already`,
      );
      await sync(harness, { tables: [things], kind: "stream", sync: 3 }, []);
      assert.equal((await seen(harness))?.length, 1);
    },
  },
];

/** {@link things} with comments of the table and of some columns. */
function commented(comment: string | null, columns: Readonly<Record<string, string>>): Table {
  return {
    ...things,
    ...(comment === null ? {} : { comment }),
    columns: things.columns.map((column) => {
      const own = columns[column.name];
      return own === undefined ? column : { ...column, comment: own };
    }),
  };
}

export const commentChecks: readonly DestinationCheck[] = [
  {
    name: "comments of the source are on the copy, and follow it",
    async run(harness) {
      const first = commented('All things: it\'s "so".', { name: "Its name", at: "Its version" });
      await fill(harness, first, three);
      assert.deepEqual(await harness.comments(schema, "things"), {
        "": 'All things: it\'s "so".',
        name: "Its name",
        at: "Its version",
      });
      const second = commented(null, { name: "Another name", at: "Its version" });
      await sync(harness, { tables: [second], kind: "stream", sync: 2 }, [upsert(second, [1n, "uno", 2])]);
      assert.deepEqual(await harness.comments(schema, "things"), { name: "Another name", at: "Its version" });
      await sync(harness, { tables: [second], kind: "full", sync: 3, replace: true }, [upsert(second, [1n, "uno", 2])]);
      assert.deepEqual(await harness.comments(schema, "things"), { name: "Another name", at: "Its version" });
    },
  },
  {
    name: "a column that is new or wider has its comment, beside rows that come with it",
    async run(harness) {
      await fill(harness, commented("Things", { at: "A version" }), three);
      const wider = tableOf("things", { id: "LONG", name: "STRING", at: "DOUBLE", fresh: "STRING" }, ["id"]);
      const comments = { at: "A version", fresh: "A new one" } as Readonly<Record<string, string>>;
      const columns = wider.columns.map((column) => ({ ...column, comment: comments[column.name] ?? "Another" }));
      const table = { ...wider, columns, comment: "Things" };
      await sync(harness, { tables: [table], kind: "stream", sync: 2 }, [upsert(table, [1n, "uno", 1.5, "new"])]);
      assert.deepEqual(await harness.comments(schema, "things"), {
        "": "Things",
        id: "Another",
        name: "Another",
        at: "A version",
        fresh: "A new one",
      });
    },
  },
  {
    name: "a comment that somebody put on a copy stays as long as the source has no other one",
    async run(harness) {
      const table = commented("Things", {});
      await fill(harness, table, three);
      await harness.tamper(`COMMENT ON TABLE ${schema}.things IS 'Mine'`);
      await sync(harness, { tables: [table], kind: "stream", sync: 2 }, [upsert(table, [1n, "uno", 2])]);
      assert.deepEqual(await harness.comments(schema, "things"), { "": "Mine" });
    },
  },
];
