import { expect, test } from "vitest";
import type { Table } from "../../../protocol/table.ts";
import { Scanner } from "../../../wire/reql/scanner.ts";
import { FieldNames } from "./fields.ts";
import { DocumentRows } from "./rows.ts";

test("columns of mixed values: what is held is counted, however many mixtures there are", () => {
  const fields = Array.from({ length: 10 }, (_, index) => `f${index}`);
  const table: Table = {
    id: "t",
    columns: [
      { name: "id", type: { kind: "INT" }, nullable: false },
      ...fields.map((name) => ({ name, type: { kind: "STRING" as const }, nullable: true })),
    ],
    key: ["id"],
    identity: "1",
    cursor: null,
    version: null,
    estimatedRows: null,
    notes: [],
  };
  const rows = new DocumentRows(table, {
    names: new FieldNames(),
    what: "rows",
    timestamp: null,
    isSkipped: () => false,
    context: { types: "exact", tables: {} },
    onRounded: () => {},
  });
  const documents = Array.from({ length: 5_000 }, (_, id) => ({
    id,
    ...Object.fromEntries(fields.map((name, index) => [name, (id >> index) % 2 === 0 ? "x" : id])),
  }));
  const scanner = new Scanner();
  scanner.load(Buffer.from(`{"t":2,"r":${JSON.stringify(documents)},"n":[]}`));
  const before = process.memoryUsage().arrayBuffers;
  let most = 0;
  let length = 0;
  const take = (): void => {
    most = Math.max(most, process.memoryUsage().arrayBuffers - before);
    for (const batch of rows.finish()) length += batch.length;
  };
  while (scanner.next()) {
    expect(rows.append(scanner)).toBeNull();
    if (rows.bytes >= 1 << 20) take();
  }
  take();
  expect(length).toBe(5_000);
  // With room for 1,024 rows in each of 1,024 mixtures it was twice that.
  expect(most).toBeLessThan(64 << 20);
});
