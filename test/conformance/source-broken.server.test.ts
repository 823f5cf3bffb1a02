import { expect, test } from "vitest";
import type { Operation } from "../../src/protocol/operation.ts";
import type { Source } from "../../src/protocol/source.ts";
import { type Cell, cell, rowsOf } from "../../src/toolkit/vectors.ts";
import type { Rows } from "../../src/protocol/rows.ts";
import { startPostgresql } from "../servers/postgresql.ts";
import { describeWith } from "../servers/require.ts";
import { things } from "../sources/postgresql/things.ts";
import { type SourceHarness, sourceChecks } from "../../src/testing/source-checks.ts";

/** A source that does one thing as published connectors do it, and the check of the suite that must not let it pass. */
interface Broken {
  readonly how: string;
  readonly caughtBy: string;
  break(source: Source): Partial<Source>;
}

type Read = Source["read"];

/** A source whose operations are other than those that were read. */
function reading(
  change: (operations: AsyncIterable<Operation>, ...call: Parameters<Read>) => AsyncGenerator<Operation>,
): Broken["break"] {
  return (source) => ({ read: (...call) => change(source.read(...call), ...call) });
}

/** Each batch as something else. */
function batches(change: (rows: Rows) => Rows): Broken["break"] {
  return reading(async function* (operations) {
    for await (const operation of operations)
      yield "rows" in operation ? { ...operation, rows: change(operation.rows) } : operation;
  });
}

function cells(rows: Rows): Cell[][] {
  return Array.from({ length: rows.length }, (_, row) => rows.values.map((vector) => cell(vector, row)));
}

function made(rows: Rows, of: readonly (readonly Cell[])[]): Rows {
  return rowsOf(
    rows.columns.map((name, index) => ({ name, type: rows.values[index]!.type })),
    of,
  );
}

const broken: readonly Broken[] = [
  {
    how: "loses the last row of a batch",
    caughtBy: "reads every row once",
    break: batches((rows) => (rows.length < 2 ? rows : made(rows, cells(rows).slice(0, -1)))),
  },
  {
    how: "sends a row twice",
    caughtBy: "reads every row once",
    break: batches((rows) => made(rows, [...cells(rows), cells(rows)[0]!])),
  },
  {
    how: "turns an absent text into an empty one",
    caughtBy: "reads every row once",
    break: batches((rows) => {
      const filled = (value: Cell, column: number): Cell =>
        value === null && rows.values[column]!.offsets !== null ? "" : value;
      return made(
        rows,
        cells(rows).map((row) => row.map(filled)),
      );
    }),
  },
  {
    how: "moves its checkpoint ahead of its data",
    caughtBy: "goes on from every checkpoint, in another process, without a row lost or doubled",
    break: reading(async function* (operations) {
      let held: Operation | null = null;
      for await (const operation of operations) {
        if (operation.kind === "checkpoint") yield operation;
        if (held !== null) yield held;
        held = operation.kind === "checkpoint" ? null : operation;
      }
      if (held !== null) yield held;
    }),
  },
  {
    how: "starts over where it should go on",
    caughtBy: "goes on from every checkpoint, in another process, without a row lost or doubled",
    break: (source) => ({ read: (pass, split, _, how) => source.read(pass, split, null, how) }),
  },
  {
    how: "never checkpoints",
    caughtBy: "checkpoints often enough that little is held in memory",
    break: reading(async function* (operations) {
      let rows: Operation[] = [];
      for await (const operation of operations) if (operation.kind !== "checkpoint") rows.push(operation);
      for (let round = 0; round < 8; round++) rows = [...rows, ...rows];
      yield* rows;
    }),
  },
  {
    how: "takes what is later than its last cursor only",
    caughtBy: "a window holds what was written since the last pass, equal cursors too",
    break: (source) => ({
      plan: async (tables, kind, previous, signal) => {
        const plan = await source.plan(tables, kind, previous, signal);
        const next = Object.fromEntries(
          tables.map((table) => [table.id, { high: new Date(Date.now() + 1).toISOString() }]),
        );
        return { ...plan, next };
      },
    }),
  },
  {
    how: "sweeps what has a cursor only",
    caughtBy: "a sweep meets every key, those without a cursor too, with its version",
    break: reading(async function* (operations, pass) {
      for await (const operation of operations) {
        if (pass.kind !== "keys" || !("rows" in operation)) yield operation;
        else
          yield {
            ...operation,
            rows: made(
              operation.rows,
              cells(operation.rows).filter((row) => !row.includes(null)),
            ),
          };
      }
    }),
  },
  {
    how: "finds rows that are gone",
    caughtBy: "looks rows up by key, and leaves out those that are not there",
    break: () => ({
      async *lookup(table, keys) {
        yield rowsOf(
          table.columns,
          cells(keys).map(([id]) => [id!, "invented", null]),
        );
      },
    }),
  },
  {
    how: "ends as if complete when it is stopped",
    caughtBy: "stops at once when it is told to, and reads again after that",
    break: reading(async function* (operations, _pass, _split, _state, how) {
      const iterator = operations[Symbol.asyncIterator]();
      while (!how.signal.aborted) {
        const next = await iterator.next();
        if (next.done === true) return;
        yield next.value;
      }
      await iterator.return?.(undefined);
    }),
  },
  {
    how: "decodes the same wrong number by its other path",
    caughtBy: "reads the same by its other path",
    break: reading(async function* (operations, _pass, _split, _state, how) {
      for await (const operation of operations) {
        if (!("rows" in operation) || how.path === "fast") yield operation;
        else
          yield {
            ...operation,
            rows: made(
              operation.rows,
              cells(operation.rows).map((row) =>
                row.map((value) => (typeof value === "bigint" && value === 7n ? 8n : value)),
              ),
            ),
          };
      }
    }),
  },
  {
    how: "sends offsets that do not start at 0",
    caughtBy: "reads every row once",
    break: batches((rows) => ({
      ...rows,
      values: rows.values.map((vector) =>
        vector.offsets === null ? vector : { ...vector, offsets: vector.offsets.map((offset) => offset + 1) },
      ),
    })),
  },
  {
    how: "shows a table as the same after it was made again",
    caughtBy: "shows a table with its key and cursor, and tells it from a later one of that name",
    break: (source) => ({
      discover: async (signal) => (await source.discover(signal)).map((table) => ({ ...table, identity: table.id })),
    }),
  },
];

await describeWith(startPostgresql, "the source suite fails a source that", (server) => {
  test.each(broken)("$how", { timeout: 60_000 }, async ({ caughtBy, break: broke }) => {
    const sound = things(server);
    const harness: SourceHarness = {
      ...sound,
      async open() {
        const source = await sound.open();
        const methods = ["check", "discover", "plan", "resume", "read", "lookup"] as const;
        const whole = Object.fromEntries(methods.map((name) => [name, source[name].bind(source)]));
        return { ...whole, ...broke(source), [Symbol.asyncDispose]: () => source[Symbol.asyncDispose]() } as Source;
      },
    };
    const check = (of: SourceHarness): Promise<void> =>
      sourceChecks(of)
        .find(({ name }) => name === caughtBy)!
        .run();
    await check(sound);
    await expect(check(harness)).rejects.toThrow();
  });
});
