import { expect, test } from "vitest";
import { configuration } from "./config.ts";
import { cqlSettings } from "../../toolkit/cql/configuration.ts";
import type { CqlColumn, CqlTable } from "../../toolkit/cql/schema.ts";
import { tableOf } from "../../toolkit/cql/tables.ts";
import type { Scalar } from "../../toolkit/cql/types.ts";

function tableWith(name: string, kind: Scalar): CqlTable {
  const column = { multiCell: false, position: 0 };
  const columns: CqlColumn[] = [
    { ...column, name: "id", kind: "partition_key", type: { kind: "int" } },
    { ...column, name, kind: "regular", type: { kind } },
  ];
  return { keyspace: "k", name: "t", id: "1", isView: false, columns, indexes: [] };
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
  expect(tableOf(tableWith(name, kind), settings, { tables: {}, types: "exact" }, null).version).toBe(version);
});
