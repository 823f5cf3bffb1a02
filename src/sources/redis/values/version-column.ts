import type { Column } from "../../../protocol/table.ts";

/** MD5 of type and canonical value; it changes with every change of a row. It is not data: sweeps compare it. */
export const versionColumn: Column = { name: "_headwaters_version", type: { kind: "BINARY" }, nullable: false };
