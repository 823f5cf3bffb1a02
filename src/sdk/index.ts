// The public face of the package: what `import … from "headwaters"` gives. No other barrel is in src/.
export { z } from "zod";
export { HeadwatersError, type ErrorCode, type Remedy } from "../protocol/errors.ts";
export type { Json } from "../protocol/json.ts";
export type { Log } from "../protocol/log.ts";
export type { Operation } from "../protocol/operation.ts";
export type { Pass, PassKind, Plan, Progress, Split } from "../protocol/pass.ts";
export type { Rows, Vector } from "../protocol/rows.ts";
export type {
  CheckResult,
  Reading,
  Source,
  SourceCapabilities,
  SourceContext,
  SourceDefinition,
  TableOptions,
} from "../protocol/source.ts";
export type { Column, Table } from "../protocol/table.ts";
export type { Type } from "../protocol/types.ts";
export { RowsBuilder, VectorBuilder } from "../toolkit/vectors.ts";
export { defineSource, type Update, type UpdateDefinition } from "./define-source.ts";
export type { UpdateOperation } from "./operations.ts";
export type { Key, ListDefinition, Part, Row, TableDefinition, Tables, TypeName } from "./row-types.ts";
