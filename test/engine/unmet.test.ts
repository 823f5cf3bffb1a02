import { expect, test } from "vitest";
import type { Source } from "../../src/protocol/source.ts";
import { cell } from "../../src/toolkit/vectors.ts";
import { Copy, expected } from "./harness.ts";
import { MemorySource } from "./memory-source.ts";

function filled(rows: number): MemorySource {
  const source = new MemorySource();
  for (let id = 1; id <= rows; id++) source.put("t", id, `row ${id}`);
  return source;
}

interface Asked {
  readonly source: Source;
  readonly looked: number[][];
  sweeps: number;
}

/** A source whose look-ups don't see some keys; `before` is called before each look-up, with its number. */
function blind(
  source: MemorySource,
  isUnseen: (id: number) => boolean,
  before: (count: number) => void = () => {},
): Asked {
  const asked: Asked = {
    looked: [],
    sweeps: 0,
    source: Object.assign(Object.create(source) as Source, {
      plan: (...given: Parameters<MemorySource["plan"]>) => {
        if (given[1] === "keys") asked.sweeps += 1;
        return source.plan(...given);
      },
      read: source.read.bind(source),
      discover: source.discover.bind(source),
      resume: source.resume.bind(source),
      async *lookup(...[table, keys]: Parameters<MemorySource["lookup"]>) {
        const ids = Array.from({ length: keys.length }, (_, row) => cell(keys.values[0]!, row) as number);
        asked.looked.push(ids);
        before(asked.looked.length);
        for await (const rows of source.lookup(table, keys)) {
          const shown = Array.from({ length: rows.length }, (_, row) => cell(rows.values[0]!, row) as number);
          if (!shown.some(isUnseen)) yield rows;
        }
      },
    }),
  };
  return asked;
}

const found = { deletes: "each_sync" } as const;

test("a row that a sweep sees and a look-up does not is never dropped: the table is read whole (case 9)", async () => {
  const memory = filled(20);
  await using copy = await Copy.make();
  await copy.sync(memory);
  // Nothing but a sweep shows a row without a cursor.
  memory.put("t", 21, "unseen", false);
  const { source } = blind(memory, (id) => id === 21);
  const run = await copy.sync(source, { settings: found });
  expect(run.tables[0]).toMatchObject({ outcome: "whole", passes: ["window", "keys", "full"], inserted: 1 });
  expect(await copy.rows()).toEqual(expected(memory));
  expect(copy.warnings).toEqual([expect.stringContaining('not found by their keys, such as ["21"]')]);
});

test("a row that was deleted since the sweep costs one more sweep, and no full pass", async () => {
  const memory = filled(20);
  await using copy = await Copy.make();
  await copy.sync(memory);
  for (const id of [21, 22]) memory.put("t", id, "short-lived", false);
  const asked = blind(
    memory,
    () => false,
    (count) => {
      if (count === 1) memory.remove("t", 21);
    },
  );
  const run = await copy.sync(asked.source, { settings: found });
  expect(run.tables[0]).toMatchObject({ outcome: "whole", passes: ["window", "keys"], inserted: 1, deleted: 0 });
  expect(asked.sweeps).toBe(2);
  expect(await copy.rows()).toEqual(expected(memory));
  expect(copy.warnings).toEqual([]);
});

test("a row that is there again is looked up again, and met", async () => {
  const memory = filled(20);
  await using copy = await Copy.make();
  await copy.sync(memory);
  memory.put("t", 21, "comes", false);
  const asked = blind(
    memory,
    () => false,
    (count) => {
      if (count > 1) return;
      memory.remove("t", 21);
      // Before the second sweep.
      memory.onOperation = () => memory.put("t", 21, "and goes", false);
    },
  );
  const run = await copy.sync(asked.source, { settings: found });
  expect(run.tables[0]).toMatchObject({ outcome: "whole", passes: ["window", "keys"], inserted: 1 });
  expect(asked.looked.length).toBe(2);
  expect(await copy.rows()).toEqual(expected(memory));
});
