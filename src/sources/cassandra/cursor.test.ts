import { expect, test } from "vitest";
import { configuration } from "./config.ts";
import { cqlSettings } from "../cql/settings.ts";
import type { CqlColumn, CqlTable } from "../cql/catalog.ts";
import { tableOf } from "../cql/discover.ts";
import type { Scalar } from "../../wire/cql/types.ts";

const cassandra5 = { scylla: false, collectionWriteTimes: true };

function tableWith(name: string, kind: Scalar): CqlTable {
  const column = { multiCell: false, position: 0 };
  const columns: CqlColumn[] = [
    { ...column, name: "id", kind: "partition_key", type: { kind: "int" } },
    { ...column, name, kind: "regular", type: { kind } },
  ];
  return { keyspace: "k", name: "t", id: "1", isView: false, comment: "", columns, indexes: [] };
}

test.each<[string, Scalar, string | null]>([
  ["updated_at", "timestamp", "updated_at"],
  ["revision", "bigint", "revision"],
  ["modified", "timeuuid", "modified"],
  // Tells of new rows only.
  ["created_at", "timestamp", "_headwaters_version"],
  ["event_time", "timestamp", "_headwaters_version"],
  ["added_at", "timestamp", "_headwaters_version"],
  ["date_created", "timestamp", "_headwaters_version"],
  // Two changes on one day have one date.
  ["updated_on", "date", "_headwaters_version"],
  // No cursor at all.
  ["updated_at", "text", null],
])("the version of a table whose cursor column is %s, a %s", async (name, kind, version) => {
  const parsed = configuration.parse({ hostname: "h", keyspace: "k", cursor_column: name });
  const where = { contactPoints: ["h"], dataCenter: null, names: { host: "hostname", dataCenter: "data_center" } };
  const settings = await cqlSettings(parsed, where, null);
  expect(tableOf(tableWith(name, kind), settings, { tables: {}, types: "exact" }, cassandra5, null).version).toBe(
    version,
  );
});

test("another recipe of versions is another identity of the table, by the server's id first", async () => {
  const parsed = configuration.parse({ hostname: "h", keyspace: "k", changes: "writetime" });
  const where = { contactPoints: ["h"], dataCenter: null, names: { host: "hostname", dataCenter: "data_center" } };
  const settings = await cqlSettings(parsed, where, null);
  const table = tableWith("v", "text");
  const list: CqlColumn = {
    ...table.columns[1]!,
    name: "l",
    multiCell: true,
    type: { kind: "list", of: { kind: "int" } },
  };
  const wider = { ...table, columns: [...table.columns, list] };
  const identity = (native: CqlTable, collectionWriteTimes: boolean): string | null => {
    const dialect = { scylla: false, collectionWriteTimes };
    return tableOf(native, settings, { tables: {}, types: "exact" }, dialect, null).identity;
  };
  expect(identity(table, true)).toMatch(/^1 [0-9a-f]{16}$/);
  expect(identity(table, false)).toBe(identity(table, true));
  expect(identity(wider, true)).not.toBe(identity(table, true));
  expect(identity(wider, false)).not.toBe(identity(wider, true));
});
