import { expect, test } from "vitest";
import { HeadwatersError } from "../../src/protocol/errors.ts";
import type { Column, TableState } from "../../src/protocol/table.ts";
import { rowsOf } from "../../src/toolkit/vectors.ts";
import { Copy } from "./harness.ts";
import { momentOf, streamCapabilities, StreamSource } from "./stream-source.ts";

const capabilities = streamCapabilities;

function filled(): StreamSource {
  const source = new StreamSource();
  for (let id = 1; id <= 4; id++) source.put("things", id, `thing ${id}`);
  for (let id = 1; id <= 3; id++) source.put("others", id, `other ${id}`);
  return source;
}

function expected(source: StreamSource, table: string): Record<number, string> {
  const rows = new Map<number, string>();
  for (const { table: of, id, name } of source.changes) {
    if (of !== table) continue;
    if (name === null) rows.delete(id);
    else rows.set(id, name);
  }
  return Object.fromEntries(rows);
}

async function states(copy: Copy): Promise<ReadonlyMap<string, TableState>> {
  await using warehouse = await copy.open();
  return (await warehouse.load()).tables;
}

async function expectCopied(copy: Copy, source: StreamSource): Promise<void> {
  for (const table of source.tables) expect(await copy.rows(table)).toEqual(expected(source, table));
}

test("a table that several splits read goes on from the state of each", async () => {
  const source = filled();
  await using copy = await Copy.make();
  await copy.sync(source, { capabilities });
  await expectCopied(copy, source);
  const first = await states(copy);
  expect(first.get("things")!.next).toEqual({ even: 4, odd: 7 });
  expect(first.get("others")!.next).toBe(7);
  source.put("things", 2, "changed");
  source.remove("things", 3);
  source.put("others", 9, "new");
  expect((await copy.sync(source, { capabilities })).tables.map(({ rowsRead }) => rowsRead)).toEqual([2, 1]);
  await expectCopied(copy, source);
  expect((await states(copy)).get("things")!.next).toEqual({ even: 8, odd: 10 });
});

test("a copy is as old as the split of its table that was read least far", async () => {
  const source = filled();
  await using copy = await Copy.make();
  const run = await copy.sync(source, { capabilities });
  // The last even thing is change 3; `odd` ends with the last of the others, change 6.
  expect(run.tables.map(({ table, asOf }) => [table, asOf])).toEqual([
    ["things", momentOf(3)],
    ["others", momentOf(6)],
  ]);
  expect((await states(copy)).get("things")!.asOf).toBe(momentOf(3));
});

test("cut before every operation, a stream goes on to the end", { timeout: 120_000 }, async () => {
  for (let at = 1; ; at++) {
    const source = filled();
    await using copy = await Copy.make();
    let operations = 0;
    source.onOperation = () => {
      if (++operations === at) throw new HeadwatersError("SOURCE_FAILED", "cut");
    };
    const first = await copy.sync(source, { capabilities, settings: { parallel: 1 } });
    source.onOperation = () => {};
    source.put("things", 1, "changed");
    source.remove("others", 2);
    await copy.sync(source, { capabilities });
    await copy.sync(source, { capabilities });
    await expectCopied(copy, source);
    if (first.outcome === "succeeded") return;
  }
});

test("a column that comes after a changed row of the same transaction", async () => {
  const source = filled();
  await using copy = await Copy.make();
  await copy.sync(source, { capabilities });
  source.put("things", 2, "changed");
  source.put("things", 4, "changed");
  const note: Column = { name: "note", type: { kind: "STRING" }, nullable: true };
  const read = source.read.bind(source);
  source.read = async function* (pass, split, state, how) {
    const table = pass.tables.find(({ id }) => id === "things")!;
    for await (const operation of read(pass, split, state, how)) {
      yield operation;
      if (split.id === "even" && operation.kind === "upsert") {
        const wider = { ...table, columns: [...table.columns, note] };
        yield { kind: "schema", table: wider };
        yield { kind: "upsert", table: "things", rows: rowsOf(wider.columns, [[6, "six", "new"]]) };
      }
    }
  };
  const run = await copy.sync(source, { capabilities });
  expect(run.tables.map(({ error }) => error)).toEqual([null, null]);
  expect(await copy.rows("things")).toEqual({ 1: "thing 1", 2: "changed", 3: "thing 3", 4: "changed", 6: "six" });
  expect(await copy.query("SELECT id, note FROM s.things WHERE note IS NOT NULL")).toEqual([{ id: 6, note: "new" }]);
});

test("copies are emptied where the plan says that the source starts over, and only there", async () => {
  const source = filled();
  await using copy = await Copy.make();
  await copy.sync(source, { capabilities });
  // The log no longer has what removed a row.
  source.changes.splice(0, 1);
  source.startsOver = true;
  const run = await copy.sync(source, { capabilities });
  await expectCopied(copy, source);
  expect(run.tables[0]!.rowsRead).toBe(3);
  source.startsOver = false;
  source.put("things", 8, "eight");
  expect((await copy.sync(source, { capabilities })).tables[0]!.rowsRead).toBe(1);
  await expectCopied(copy, source);
});
