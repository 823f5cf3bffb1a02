import { expect, test } from "vitest";
import type { Pass } from "../protocol/pass.ts";
import type { Table } from "../protocol/table.ts";
import {
  parseStateDocument,
  portable,
  stateDocument,
  type StateDocument,
  stateJson,
  storedOf,
} from "./state-document.ts";

const table: Table = {
  id: "readings",
  columns: [
    { name: "id", type: { kind: "LONG" }, nullable: false },
    { name: "price", type: { kind: "DECIMAL", precision: 12, scale: 2 }, nullable: true },
    { name: "ttl", type: { kind: "INT" }, nullable: true, volatile: true },
  ],
  key: ["id"],
  identity: "16384",
  cursor: null,
  version: null,
  estimatedRows: 12,
  notes: [],
};

const pass: Pass = {
  id: "p",
  kind: "full",
  tables: [table],
  splits: [{ id: "0", tables: ["readings"], work: { from: null, to: [1, "x"] } }],
  next: { readings: { high: "2026-01-01" } },
  asOf: "2026-01-01T00:00:00.123Z",
  snapshot: null,
  opened: "2026-01-01T00:00:00.000Z",
  scope: "s",
  replace: false,
};

const whole: StateDocument = {
  version: 1,
  source: "yugabytedb",
  tables: {
    readings: {
      table,
      next: null,
      asOf: "2026-01-01T00:00:00.000Z",
      scope: "s",
      readAt: "2026-01-01T00:00:00.000Z",
      sweptAt: "2026-01-01T00:00:00.000Z",
      sweepMilliseconds: null,
      reread: true,
    },
  },
  passes: [pass],
  progress: [{ pass: "p", split: "0", attempt: 1, version: 3, state: { after: ["7"] }, done: false }],
};

const yugabytedb = { name: "yugabytedb", kin: ["postgresql"] };

test("comes back as it was written, as text and as a value", () => {
  const text = JSON.stringify(stateJson(whole));
  expect(parseStateDocument(text, yugabytedb)).toEqual(whole);
  expect(parseStateDocument(JSON.parse(text), yugabytedb)).toEqual(whole);
  expect(stateDocument("yugabytedb", storedOf(whole))).toEqual(whole);
});

test("of a source of the same kin goes on, and is written anew for the source that reads it", () => {
  const text = JSON.stringify(stateJson({ ...whole, source: "postgresql" }));
  expect(parseStateDocument(text, yugabytedb).tables).toEqual(whole.tables);
  expect(() => parseStateDocument(text, { name: "yugabytedb" })).toThrow(
    "from the source postgresql, not from yugabytedb",
  );
});

test("open passes stay behind where the state goes to another destination", () => {
  expect(portable(whole)).toEqual({ ...whole, passes: [], progress: [] });
});

test.each([
  ["{", "the state is not JSON"],
  ["[]", "the state is damaged"],
  [{ ...(stateJson(whole) as object), version: 2 }, "version 2; this Headwaters reads versions up to 1"],
  [{ ...(stateJson(whole) as object), source: "rethinkdb" }, "from the source rethinkdb, not from yugabytedb"],
  [{ ...(stateJson(whole) as object), tables: { readings: {} } }, "the state is damaged at tables.readings.table"],
])("refuses what can't be used: %j", (given, message) => {
  expect(() => parseStateDocument(given, yugabytedb)).toThrow(message);
});
