import type { Column, Table } from "../../../protocol/table.ts";
import type { Configuration } from "../config.ts";
import type { ServerInfo } from "../server.ts";
import { versionColumn } from "../values/version-column.ts";

/** The table with one row per key, as in the published example. */
export function keyspaceTable(configuration: Configuration, server: ServerInfo): Table {
  const { expires_at: expiresAt, binary, unknown_types: unknown } = configuration;
  const columns: readonly (Column | false)[] = [
    { name: "key", type: { kind: "STRING" }, nullable: false },
    { name: "value", type: { kind: "STRING" }, nullable: binary === "column" },
    binary === "column" && { name: "value_binary", type: { kind: "BINARY" }, nullable: true },
    { name: "data_type", type: { kind: "STRING" }, nullable: false },
    { name: "ttl", type: { kind: "INT" }, nullable: false, volatile: true },
    expiresAt && { name: "expires_at", type: { kind: "UTC_DATETIME" }, nullable: true, expires: true },
    { name: "last_modified", type: { kind: "UTC_DATETIME" }, nullable: false, volatile: true },
    { name: "size", type: { kind: "INT" }, nullable: false },
    versionColumn,
  ];
  const all = configuration.key_pattern.includes("*") && configuration.key_types === undefined;
  return {
    id: configuration.table_name,
    columns: columns.filter((column) => column !== false),
    key: ["key"],
    // A new layout of rows changes their versions, so all rows are read again.
    identity: ["keys", expiresAt ? "expires_at" : "", binary, unknown].filter((part) => part !== "").join(" "),
    cursor: null,
    version: versionColumn.name,
    estimatedRows: all ? server.keys : null,
    notes: [
      "The server does not tell when a key changed: each sync reads every value and writes those whose MD5 differs.",
      ...(server.cluster ? ["The server is a node of a cluster: only the keys of this node are copied."] : []),
    ],
  };
}
