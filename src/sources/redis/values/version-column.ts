import type { Column } from "../../../protocol/table.ts";

/** MD5 over type and canonical value: differs whenever a row was changed. Not data, but what sweeps compare. */
export const versionColumn: Column = { name: "_headwaters_version", type: { kind: "BINARY" }, nullable: false };
