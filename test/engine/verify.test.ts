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
