import { expect, test } from "vitest";
import type { Table } from "../protocol/table.ts";
import { rowsOf } from "../toolkit/vectors.ts";
import { RecordEncoder } from "./encode-records.ts";
import { DigestStore } from "./digest-store.ts";
import { TableWriter, type WriteMode } from "./table-writer.ts";

const table: Table = {
  id: "t",
  columns: [{ name: "id", type: { kind: "INT" }, nullable: false }],
  ...{ key: ["id"], identity: "", cursor: null, version: null, estimatedRows: null, notes: [] },
};

const upsert = (...ids: number[]) =>
  ({
    kind: "upsert",
    table: "t",
    rows: rowsOf(
      table.columns,
      ids.map((id) => [id]),
    ),
  }) as const;

function writers(): { open: (mode: WriteMode, truncated?: boolean) => TableWriter; sent: () => number } {
  let rows = 0;
  const digests = new DigestStore(new Map());
  const context = {
    encoder: new RecordEncoder("s", () => null),
    digests,
    sent: (count: number) => void (rows += count),
    replacing: async () => {},
  };
  return {
    open: (mode, truncated = false) => new TableWriter(table, mode, truncated, context),
    sent() {
      const count = rows;
      rows = 0;
      return count;
    },
  };
}

test("a table that was replaced is settled next: what differs is sent, what is gone is deleted", async () => {
  const { open, sent } = writers();
  const first = open("replace");
  await first.write(upsert(1, 2, 3));
  expect(await first.close("find")).toBe(true);
  expect(sent()).toBe(3);
  const second = open("settle");
  await second.write(upsert(1, 3, 4));
  expect(second.settlement()).toEqual({ empty: false, missing: 0, gone: 1 });
  expect(await second.close("find")).toBe(true);
  expect(second.takeChanges()).toEqual({ inserted: 0, updated: 1, deleted: 1 });
  expect(sent()).toBe(2);
});

test("(case 26) deletes that are held back are found again, and new rows are sent", async () => {
  const { open, sent } = writers();
  const first = open("replace");
  await first.write(upsert(1, 2, 3));
  await first.close("find");
  sent();
  const second = open("settle");
  await second.write(upsert(4));
  expect(second.settlement()).toEqual({ empty: false, missing: 0, gone: 3 });
  await second.close("hold");
  expect(second.takeChanges()).toEqual({ inserted: 0, updated: 1, deleted: 0 });
  const third = open("settle");
  await third.write(upsert(4));
  expect(third.settlement().gone).toBe(3);
  await third.close("find");
  expect(third.takeChanges()).toEqual({ inserted: 0, updated: 0, deleted: 3 });
});

test("a table that is not truncated because its deletes are held back stays as it is", async () => {
  const { open, sent } = writers();
  const first = open("replace");
  await first.write(upsert(1, 2));
  await first.close("find");
  sent();
  const second = open("replace");
  expect(second.settlement()).toEqual({ empty: true, missing: 0, gone: 2 });
  await second.close("hold");
  expect(sent()).toBe(0);
  expect(open("replace").settlement().gone).toBe(2);
});

test("a pass that began by settling is never gone on with elsewhere, though it can't settle any more", async () => {
  const { open } = writers();
  const first = open("replace");
  await first.write(upsert(1, 2));
  await first.close("find");
  const second = open("settle");
  await second.write(upsert(1));
  second.table = { ...table, columns: [{ name: "id", type: { kind: "STRING" }, nullable: false }] };
  await second.write(upsert(2));
  expect(second.isStored).toBe(false);
  // Nothing is deleted, and it says that deletes were not looked for.
  expect(second.settlement().gone).toBe(0);
  expect(await second.close("find")).toBe(false);
  expect(second.takeChanges().deleted).toBe(0);
});

test("a pass that another process began leaves no memory: it has not met all keys", async () => {
  const { open } = writers();
  const resumed = open("replace", true);
  await resumed.write(upsert(8, 9));
  await resumed.close("find");
  const added = open("add");
  await added.write(upsert(8));
  expect(added.takeChanges().updated).toBe(1);
});

test("before a table is truncated, the delete limit sees whether any row came", async () => {
  const { open } = writers();
  const first = open("replace");
  await first.write(upsert(1, 2));
  await first.close("find");
  const second = open("replace");
  expect(second.settlement()).toEqual({ empty: true, missing: 0, gone: 2 });
  await second.write(upsert(1));
  expect(second.settlement().gone).toBe(0);
});
