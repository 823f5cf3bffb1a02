import { expect, test } from "vitest";
import type { SyncEvent } from "../../src/engine/events.ts";
import { HeadwatersError } from "../../src/protocol/errors.ts";
import type { Source } from "../../src/protocol/source.ts";
import { Copy, expected } from "./harness.ts";
import { MemorySource } from "./memory-source.ts";

const slow = { timeout: 240_000 };

/** Two splits at a time; a batch of rows is more than the share of one. */
const little = { memoryBytes: 300, parallel: 2, commitMilliseconds: 1 };

function filled(rows: number): MemorySource {
  const source = Object.assign(new MemorySource(), { batch: 4, splitRows: 20 });
  for (let id = 1; id <= rows; id++) source.put("t", id, `row ${id}`);
  return source;
}

/** `source`, which waits in the middle of the split that begins with row 0 until `until` resolves. */
function blocking(source: MemorySource, until: Promise<void>): Source {
  return {
    check: () => source.check(),
    discover: () => source.discover(),
    plan: (tables, kind, previous) => source.plan(tables, kind, previous),
    resume: (pass) => source.resume(pass),
    async *read(pass, split, state, how) {
      let operations = 0;
      const checkpoints = split.id !== "0";
      for await (const operation of source.read(pass, split, state, how)) {
        if (operation.kind === "checkpoint" && !checkpoints) continue;
        yield operation;
        if (!checkpoints && ++operations === 3) await until;
      }
    },
    lookup: (table, keys) => source.lookup(table, keys),
    [Symbol.asyncDispose]: () => source[Symbol.asyncDispose](),
  };
}

test(
  "a split without checkpoints that waits for its source keeps nothing of the others from being committed",
  slow,
  async () => {
    const source = filled(39);
    await using copy = await Copy.make();
    let goOn!: () => void;
    const committed = new Promise<void>((resolve) => (goOn = resolve));
    let inserted = 0;
    const report = (event: SyncEvent): void => {
      if (event.kind !== "committed") return;
      inserted += event.changes.get("t")?.inserted ?? 0;
      // The other splits have the rows from 20 on.
      if (inserted >= 20) goOn();
    };
    const run = await copy.sync(blocking(source, committed), { settings: little }, report);
    expect(run.outcome).toBe("succeeded");
    expect(await copy.rows()).toEqual(expected(source));
  },
);

test.each([1, 3, 1_000])(
  "cut at every point, with a checkpoint after %i batches, a copy equals a fresh one",
  slow,
  async (checkpointEvery) => {
    for (let at = 1; ; at++) {
      const source = Object.assign(filled(30), { checkpointEvery });
      await using copy = await Copy.make();
      let cuts = 0;
      const cut = (): void => {
        source.operations = 0;
        source.onOperation = (count) => {
          if (count !== at) return;
          cuts += 1;
          throw new HeadwatersError("SOURCE_FAILED", "cut");
        };
      };
      cut();
      await copy.sync(source, { settings: little });
      source.onOperation = () => {};
      source.remove("t", 3);
      source.put("t", 5, "changed");
      await copy.sync(source, { settings: little });
      expect(await copy.rows(), `a first pass, cut at ${at}`).toEqual(expected(source));
      for (let id = 2; id < 30; id += 2) source.put("t", id, `changed ${id}`);
      cut();
      await copy.sync(source, { settings: little, full: at % 2 === 0 });
      source.onOperation = () => {};
      source.remove("t", 4);
      await copy.sync(source, { settings: little });
      expect(await copy.rows(), `a later pass, cut at ${at}`).toEqual(expected(source));
      if (cuts === 0) return;
    }
  },
);

test("a split that is read again after a failure leaves nothing of the attempt before", slow, async () => {
  const source = Object.assign(filled(20), { checkpointEvery: 1_000 });
  await using copy = await Copy.make();
  let failed = false;
  source.onOperation = (count) => {
    if (failed || count !== 4) return;
    failed = true;
    // Rows that the first attempt has sent already.
    source.remove("t", 1);
    source.put("t", 2, "changed");
    throw new HeadwatersError("CONNECTION_LOST", "broken off");
  };
  const run = await copy.sync(source, { settings: { ...little, attempts: 3 } });
  expect(run.outcome).toBe("succeeded");
  expect(failed).toBe(true);
  expect(run.tables[0]!.inserted).toBe(19);
  expect(await copy.rows()).toEqual(expected(source));
});
