import assert from "node:assert/strict";
import { describe, test } from "vitest";
import type { Rows } from "../../src/protocol/rows.ts";
import type { Warehouse } from "../../src/protocol/destination.ts";
import type { Comparison } from "../../src/protocol/readable.ts";
import type { Transaction } from "../../src/protocol/transaction.ts";
import { type Cell, cell, rowsOf } from "../../src/toolkit/vectors.ts";
import { DuckdbHarness } from "../destinations/duckdb/harness.ts";
import { destinationChecks, type DestinationHarness } from "./destination.ts";

/** A destination with a mistake, made of one without, and checks of the suite that must not let it pass. */
interface Broken {
  readonly name: string;
  readonly caughtBy: readonly string[];
  wrap(warehouse: Warehouse, harness: DuckdbHarness): Warehouse;
}

function withTransactions(
  warehouse: Warehouse,
  change: (transaction: Transaction, lease: number) => Partial<Transaction>,
): Warehouse {
  return {
    ...warehouse,
    async begin(lease, syncStart) {
      const transaction = await warehouse.begin(lease, syncStart);
      return {
        open: (pass) => transaction.open(pass),
        abandon: (pass) => transaction.abandon(pass),
        write: (...given) => transaction.write(...given),
        hold: (...given) => transaction.hold(...given),
        keep: (...given) => transaction.keep(...given),
        discard: (...given) => transaction.discard(...given),
        count: (table) => transaction.count(table),
        settlement: (...given) => transaction.settlement(...given),
        missing: (...given) => transaction.missing(...given),
        gone: (...given) => transaction.gone(...given),
        close: (...given) => transaction.close(...given),
        reset: (...given) => transaction.reset(...given),
        record: (run) => transaction.record(run),
        commit: (progress) => transaction.commit(progress),
        [Symbol.asyncDispose]: () => transaction[Symbol.asyncDispose](),
        ...change(transaction, lease),
      };
    },
  };
}

/** Changes the batches of upserts on their way in. */
function withUpserts(warehouse: Warehouse, change: (rows: Rows) => Rows): Warehouse {
  return withTransactions(warehouse, (transaction) => ({
    write: (pass, split, operation) =>
      transaction.write(
        pass,
        split,
        operation.kind === "upsert" ? { ...operation, rows: change(operation.rows) } : operation,
      ),
  }));
}

/** The same batch with other values. */
function made(rows: Rows, change: (cells: Cell[][]) => Cell[][]): Rows {
  const cells = Array.from({ length: rows.length }, (_, row) => rows.values.map((vector) => cell(vector, row)));
  return rowsOf(
    rows.columns.map((name, index) => ({ name, type: rows.values[index]!.type })),
    change(cells),
  );
}

function eachCell(warehouse: Warehouse, change: (value: Cell) => Cell): Warehouse {
  return withUpserts(warehouse, (rows) => made(rows, (cells) => cells.map((row) => row.map(change))));
}

/** Runs a statement on the file once the warehouse is closed: what the mistake would have left there. */
function leaving(warehouse: Warehouse, harness: DuckdbHarness, sql: string): Warehouse {
  return {
    ...warehouse,
    async [Symbol.asyncDispose]() {
      await warehouse[Symbol.asyncDispose]();
      if ((await harness.readBack("s", "things")) !== null) await harness.tamper(sql);
    },
  };
}

const broken: readonly Broken[] = [
  {
    name: "loses the last row of a batch",
    caughtBy: [
      "the first full pass fills the copy",
      "upserts by key write what differs; an absent column becomes NULL",
    ],
    wrap: (warehouse) => withUpserts(warehouse, (rows) => ({ ...rows, length: rows.length - 1 })),
  },
  {
    name: "loses a batch now and then",
    caughtBy: ["batches of any size, with NULLs anywhere, in one order or another"],
    wrap(warehouse) {
      let batches = 0;
      return withUpserts(warehouse, (rows) => (++batches % 5 === 0 ? { ...rows, length: 0 } : rows));
    },
  },
  {
    name: "stamps what did not change",
    caughtBy: ["a later full pass writes what differs and no more", "of upserts of one key the last counts"],
    wrap: (warehouse, harness) =>
      leaving(warehouse, harness, "UPDATE s.things SET _headwaters_synced = now() WHERE NOT _headwaters_deleted"),
  },
  {
    name: "deletes what a pass has not met before it is complete",
    caughtBy: ["what a full pass sets aside is not in the copy before it is closed, and survives the process"],
    wrap: (warehouse, harness) =>
      leaving(
        warehouse,
        harness,
        "UPDATE s.things SET _headwaters_deleted = TRUE WHERE (SELECT count(*) FROM _headwaters.passes) > 0",
      ),
  },
  {
    name: "settles over what a later sync wrote",
    caughtBy: ["settling neither undoes nor deletes what a later sync wrote"],
    wrap: (warehouse) =>
      withTransactions(warehouse, (transaction) => ({
        close: (pass, states, deletes) =>
          transaction.close({ ...pass, opened: "2100-01-01T00:00:00.000Z" }, states, deletes),
      })),
  },
  {
    name: "ignores the fence",
    caughtBy: ["a lease that was taken over before the transaction began can't commit"],
    wrap(warehouse) {
      let newest = 0;
      return {
        ...warehouse,
        async acquire(holder) {
          newest = await warehouse.acquire(holder);
          return newest;
        },
        begin: (_, syncStart) => warehouse.begin(newest, syncStart),
      };
    },
  },
  {
    name: "takes progress that does not follow",
    caughtBy: ["progress that does not follow the stored one is refused and changes nothing"],
    wrap: (warehouse) =>
      withTransactions(warehouse, (transaction) => ({
        async commit(progress) {
          const { progress: known } = await warehouse.load();
          return transaction.commit(
            progress.map((entry) => {
              const stored = known.find(({ pass, split }) => pass === entry.pass && split === entry.split);
              return {
                ...entry,
                version: (stored?.version ?? 0) + 1,
                attempt: Math.max(entry.attempt, stored?.attempt ?? 1),
              };
            }),
          );
        },
      })),
  },
  {
    name: "keeps progress without the data",
    caughtBy: ["data, passes and progress become durable together"],
    wrap: (warehouse) => withTransactions(warehouse, () => ({ write: async () => {} })),
  },
  {
    name: "commits what was disposed",
    caughtBy: ["a transaction that is disposed is undone as a whole"],
    wrap: (warehouse) =>
      withTransactions(warehouse, (transaction) => ({
        async [Symbol.asyncDispose]() {
          await transaction.commit([]).catch(() => {});
          await transaction[Symbol.asyncDispose]();
        },
      })),
  },
  {
    name: "lets two writers in",
    caughtBy: ["a second writer of a connection is refused, and told who holds it"],
    wrap: (warehouse) => ({ ...warehouse, acquire: (holder) => warehouse.acquire(holder).catch(() => 99) }),
  },
  {
    name: "keeps the first of two rows with one key",
    caughtBy: [
      "of a key that comes twice in the first full pass the last row stays",
      "of upserts of one key the last counts",
    ],
    wrap: (warehouse) => withUpserts(warehouse, (rows) => made(rows, (cells) => cells.reverse())),
  },
  {
    name: "keeps both of two rows with one key",
    caughtBy: ["of a key that comes twice in the first full pass the last row stays"],
    wrap: (warehouse, harness) =>
      leaving(warehouse, harness, "INSERT INTO s.things SELECT * FROM s.things WHERE id = 1"),
  },
  {
    name: "drops NULLs",
    caughtBy: ["a NULL, an empty text and the text NULL are three things"],
    wrap: (warehouse) =>
      withUpserts(warehouse, (rows) => ({
        ...rows,
        values: rows.values.map((vector) => ({ ...vector, validity: null })),
      })),
  },
  {
    name: "takes an empty text for NULL",
    caughtBy: ["a NULL, an empty text and the text NULL are three things"],
    wrap: (warehouse) => eachCell(warehouse, (value) => (value === "" ? null : value)),
  },
  {
    name: "passes whole numbers through a JavaScript number",
    caughtBy: ["values of every type come through exactly, by every way there is"],
    wrap: (warehouse) =>
      eachCell(warehouse, (value) => (typeof value === "bigint" ? BigInt.asIntN(64, BigInt(Number(value))) : value)),
  },
  {
    name: "forgets the states",
    caughtBy: ["data, passes and progress become durable together"],
    wrap: (warehouse) =>
      withTransactions(warehouse, (transaction) => ({ close: (pass) => transaction.close(pass, new Map()) })),
  },
  {
    name: "does not count what was looked up as met",
    caughtBy: ["candidates for deletion are told, and those that are met after all stay"],
    wrap: (warehouse) =>
      withTransactions(warehouse, (transaction) => ({
        write: async (pass, split, operation) => {
          if (split !== null) await transaction.write(pass, split, operation);
        },
      })),
  },
  {
    name: "leaves deleted rows dead when they come back",
    caughtBy: ["a key that comes back, comes back to life, though nothing else changed"],
    wrap: (warehouse, harness) =>
      leaving(
        warehouse,
        harness,
        "UPDATE s.things SET _headwaters_deleted = TRUE WHERE id > 1 AND _headwaters_synced >= TIMESTAMPTZ '2024-05-03 00:00:00+00'",
      ),
  },
  {
    name: "writes at once what no checkpoint covers",
    caughtBy: ["what is held takes effect when it is kept, and survives the process: a window"],
    wrap: (warehouse) =>
      withTransactions(warehouse, (transaction) => ({ hold: (...given) => transaction.write(...given) })),
  },
  {
    name: "forgets to discard",
    caughtBy: ["what is discarded has no effect, and what other splits hold stays"],
    wrap: (warehouse) => withTransactions(warehouse, () => ({ discard: async () => {} })),
  },
  {
    name: "discards what other splits hold",
    caughtBy: ["what is discarded has no effect, and what other splits hold stays"],
    wrap: (warehouse) =>
      withTransactions(warehouse, (transaction) => ({ discard: (pass) => transaction.discard(pass, null) })),
  },
  {
    name: "loses the order of what is held",
    caughtBy: ["what is held takes effect in its order"],
    wrap(warehouse) {
      let held: Parameters<Transaction["hold"]>[] = [];
      return withTransactions(warehouse, (transaction) => ({
        hold: async (...given) => void held.push(given),
        async keep() {
          for (const given of held.reverse()) await transaction.write(...given);
          held = [];
        },
      }));
    },
  },
  {
    name: "keeps stamps to the millisecond",
    caughtBy: ["rows have the stamp of their transaction, to the microsecond, and the last one is given back"],
    wrap: (warehouse) => ({
      ...warehouse,
      begin: (lease, stamp) => warehouse.begin(lease, new Date(stamp).toISOString()),
    }),
  },
  {
    name: "verifies blindly",
    caughtBy: ["verify finds a value", "verify finds a row that is gone", "verify finds a row that is twice there"],
    wrap: (warehouse) => ({
      ...warehouse,
      async compare(table) {
        const comparison = await warehouse.compare(table);
        const blind: Comparison = {
          written: comparison.written,
          rewritten: () => comparison.rewritten(),
          seal: () => comparison.seal(),
          digest: (rows) => comparison.digest(rows),
          digested: async () => ({ ...(await comparison.digested()), differing: 0 }),
          collect: (rows) => comparison.collect(rows),
          differences: (limit) => comparison.differences(limit, () => null),
          [Symbol.asyncDispose]: () => comparison[Symbol.asyncDispose](),
        };
        return blind;
      },
    }),
  },
];

async function brokenHarness({ wrap }: Broken): Promise<DestinationHarness> {
  const harness = await DuckdbHarness.make();
  return {
    open: async (...given) => wrap(await harness.open(...given), harness),
    readBack: (...given) => harness.readBack(...given),
    comments: (...given) => harness.comments(...given),
    tamper: (sql) => harness.tamper(sql),
    [Symbol.asyncDispose]: () => harness[Symbol.asyncDispose](),
  };
}

describe("the suite does not let a destination pass that", () => {
  for (const one of broken) {
    test(one.name, { timeout: 120_000 }, async () => {
      for (const name of one.caughtBy) {
        const check = destinationChecks.find((candidate) => candidate.name === name);
        assert.ok(check !== undefined, `there is a check "${name}"`);
        await using harness = await brokenHarness(one);
        // By what it asserts: that the mistake makes it stumble would not do.
        await assert.rejects(check.run(harness), assert.AssertionError, `"${name}" catches it`);
      }
    });
  }
});
