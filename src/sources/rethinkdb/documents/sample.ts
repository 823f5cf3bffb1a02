import type { Json } from "../../../protocol/json.ts";
import type { SourceContext } from "../../../protocol/source.ts";
import type { Column } from "../../../protocol/table.ts";
import { latestTime } from "../../../wire/reql/document.ts";
import { widen } from "../../../toolkit/types.ts";
import type { FieldNames } from "./fields.ts";
import { type Kind, seenType } from "../types.ts";

/** A document, or the part of it that determines its columns. */
export type Sampled = { readonly [field: string]: Json };

/** No text of a moment is longer. */
const longText = 64;

/** A document whose large values are replaced by small ones of the same type. */
export function outline(document: Sampled): Sampled {
  return Object.fromEntries(Object.entries(document).map(([field, value]) => [field, outlined(value)]));
}

function outlined(value: Json): Json {
  if (typeof value === "string") return value.length > longText ? "long text" : value;
  if (typeof value !== "object" || value === null) return value;
  const { $reql_type$: type } = value as Sampled;
  return type === "TIME" ? value : type === "BINARY" ? { $reql_type$: type } : {};
}

/** The columns that documents need, in the order of their fields. */
export function inferColumns(
  sample: readonly Sampled[],
  primaryKey: string,
  names: FieldNames,
  context: Pick<SourceContext, "types" | "tables">,
  table: string,
): readonly Column[] {
  const columns = new Map<string, Column>();
  const types = context.tables[table]?.types;
  for (const document of sample) {
    for (const [field, value] of Object.entries(document)) {
      if (field === primaryKey || value === null) continue;
      const name = names.columnOf(field);
      const seen = seenType(kindOf(value), context);
      const known = columns.get(name);
      const type = types?.[name] ?? (known === undefined ? seen : widen(known.type, seen));
      columns.set(name, { name, type, nullable: true });
    }
  }
  return [...columns.values()];
}

/** The type of a single value. */
function kindOf(value: Exclude<Json, null>): Kind {
  switch (typeof value) {
    case "boolean":
      return "BOOLEAN";
    case "string":
      return "STRING";
    case "number":
      return Number.isInteger(value) && Math.abs(value) <= 0x7fffffff && !Object.is(value, -0) ? "INT" : "DOUBLE";
    default: {
      const { $reql_type$: type, epoch_time: seconds } = value as { readonly [key: string]: Json };
      if (type === "TIME" && Math.abs(seconds as number) < latestTime) return "UTC_DATETIME";
      return type === "BINARY" ? "BINARY" : "JSON";
    }
  }
}
