import { expect, test } from "vitest";
import type { Operation } from "../../protocol/operation.ts";
import type { Pass } from "../../protocol/pass.ts";
import type { Source } from "../../protocol/source.ts";
import type { Column, Table } from "../../protocol/table.ts";
import { cell, rowsOf } from "../../toolkit/vectors.ts";
import { withProjection } from "./projection.ts";

const column = (name: string): Column => ({ name, type: { kind: "STRING" }, nullable: true });
const tableOf = (...names: string[]): Table => ({
  id: "t",
  columns: names.map(column),
  key: [names[0]!],
  identity: "1",
  cursor: null,
  version: names[1]!,
  estimatedRows: null,
  notes: [],
});
const rows = (...names: string[]) => rowsOf(names.map(column), [names]);
const pass = { tables: [tableOf("key", "title")] } as unknown as Pass;

/** A source that gives these operations, and keeps what it was called with. */
function source(operations: readonly Operation[]) {
  const asked: unknown[] = [];
  const made = {
    async discover(_signal: AbortSignal, known: readonly Table[]) {
      asked.push(known);
      return [];
    },
    async *read(of: Pass) {
      asked.push(of.tables);
      yield* operations;
    },
    async *lookup(of: Table, keys: { columns: readonly string[] }) {
      asked.push([of, keys.columns]);
      yield rows("id", "name", "secret");
    },
  } as unknown as Source;
  const columns = { include: [], exclude: ["secret", "debug_*"] };
  const tables = { t: { columns, renameColumns: { id: "key", name: "title" } } };
  return { asked, source: withProjection({ source: made, tables }).source };
}

async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const all: Item[] = [];
  for await (const item of items) all.push(item);
  return all;
}

test("both sides hear the names that they know", async () => {
  const { asked, source: projected } = source([
    { kind: "upsert", table: "t", rows: rows("id", "debug_a", "name") },
    { kind: "delete", table: "t", rows: rows("id") },
    { kind: "upsert", table: "u", rows: rows("id") },
    { kind: "checkpoint", state: 1 },
  ]);
  const operations = await collect(projected.read(pass, { id: "0", tables: ["t"], work: null }, null, {} as never));
  expect(operations.map((operation) => ("rows" in operation ? operation.rows.columns : operation.kind))).toEqual([
    ["key", "title"],
    ["key"],
    ["id"],
    "checkpoint",
  ]);
  const [found] = await collect(projected.lookup(pass.tables[0]!, rows("key"), {} as never));
  expect([found!.columns, found!.values.map((vector) => cell(vector, 0))]).toEqual([
    ["key", "title"],
    ["id", "name"],
  ]);
  expect(asked).toEqual([[tableOf("id", "name")], [tableOf("id", "name"), ["id"]]]);
});

test("the source is given the columns of the copy by their source names, without names that are no longer configured", async () => {
  const { asked, source: projected } = source([]);
  await projected.discover(new AbortController().signal, [tableOf("key", "title", "city", "name")]);
  expect(asked).toEqual([[tableOf("id", "name", "city")]]);
});

test("a schema without anything new that is selected is not passed on", async () => {
  const schema = (...names: string[]): Operation => ({ kind: "schema", table: tableOf(...names) });
  const { source: projected } = source([
    schema("id", "name", "debug_b"),
    schema("id", "name", "city"),
    schema("id", "name", "city", "secret"),
    schema("id", "name", "city", "size"),
  ]);
  const operations = await collect(projected.read(pass, { id: "0", tables: ["t"], work: null }, null, {} as never));
  expect(operations).toEqual([
    { kind: "schema", table: tableOf("key", "title", "city") },
    { kind: "schema", table: tableOf("key", "title", "city", "size") },
  ]);
});

test("a column that is found under a name that another one is copied to is refused", async () => {
  const { source: projected } = source([{ kind: "schema", table: tableOf("id", "name", "title") }]);
  const reading = collect(projected.read(pass, { id: "0", tables: ["t"], work: null }, null, {} as never));
  await expect(reading).rejects.toMatchObject({ code: "NAMES_COLLIDE", message: expect.stringContaining('"title"') });
});

test("without a mapping the source is as it was", () => {
  const made = {} as Source;
  expect(withProjection({ source: made, tables: { t: { filter: "x" } } }).source).toBe(made);
});
