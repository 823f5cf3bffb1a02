import { expect, test } from "vitest";
import { verify, type VerifyReport } from "../../src/engine/commands/verify.ts";
import { columns, MemorySource, noteColumn } from "./memory-source.ts";
import { Copy } from "./harness.ts";

async function verified(copy: Copy, source: MemorySource): Promise<VerifyReport> {
  await using warehouse = await copy.open();
  return await verify(copy.connection(source, warehouse), { signal: new AbortController().signal }, () => {});
}

function filled(): MemorySource {
  const source = new MemorySource();
  for (const table of ["t", "u"]) for (let id = 1; id <= 10; id++) source.put(table, id, `row ${id}`);
  return source;
}

test("a table that only the copy has is told", async () => {
  const source = filled();
  await using copy = await Copy.make();
  await copy.sync(source);
  source.tables.delete("u");
  expect((await verified(copy, source)).tables).toMatchObject([
    { table: "t", verdict: "CONVERGED" },
    { table: "u", verdict: "NOT PROVEN", reasons: [expect.stringContaining("no longer shows")] },
  ]);
});

test.each([
  ["has a column more", { columns: [...columns, noteColumn] }],
  ["was made again", { identity: "2" }],
  ["has another key", { key: ["name"] }],
])("a table that %s since the last sync is not said to diverge", async (_, shape) => {
  const source = filled();
  await using copy = await Copy.make();
  await copy.sync(source);
  source.shapes.set("t", shape);
  expect((await verified(copy, source)).tables[0]).toMatchObject({
    verdict: "NOT PROVEN",
    reasons: [expect.stringContaining("altered")],
  });
});

test.each([
  ["that the table already has", 1, []],
  ["that the copy lacks", 2, [noteColumn]],
])("an inferred source that sends a schema with columns %s", async (_, readings, seen) => {
  const source = filled();
  await using copy = await Copy.make();
  const capabilities = { passes: ["full"], independentPath: false, schema: "inferred" } as const;
  await copy.sync(source, { capabilities });
  const read = source.read.bind(source);
  source.read = async function* withSchema(pass, split, state, how) {
    const [table] = pass.tables;
    yield { kind: "schema", table: { ...table!, columns: [...columns, ...seen] } };
    yield* read(pass, split, state, how);
  };
  await using warehouse = await copy.open();
  const events: string[] = [];
  const connection = copy.connection(source, warehouse, { capabilities });
  const report = await verify(connection, { signal: new AbortController().signal }, (event) => {
    if (event.kind === "verifying" && event.table === "t" && event.reading === 1) events.push(event.kind);
  });
  expect(report.tables[0]).toMatchObject({ table: "t", sourceRows: 10, copyRows: 10 });
  expect(events).toHaveLength(readings);
});

test("a source whose rows have new columns each time is not read for ever", async () => {
  const source = filled();
  await using copy = await Copy.make();
  const capabilities = { passes: ["full"], independentPath: false, schema: "inferred" } as const;
  await copy.sync(source, { capabilities });
  let number = 0;
  source.read = async function* withNewColumns(pass) {
    yield { kind: "schema", table: { ...pass.tables[0]!, columns: [{ ...noteColumn, name: `note_${++number}` }] } };
  };
  await using warehouse = await copy.open();
  const connection = copy.connection(source, warehouse, { capabilities });
  const report = await verify(connection, { signal: new AbortController().signal }, () => {});
  expect(report.tables[0]).toMatchObject({ verdict: "NOT PROVEN", reasons: [expect.stringContaining("new columns")] });
});
