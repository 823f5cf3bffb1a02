import type { Table } from "../../../protocol/table.ts";
import { ExpandedRows } from "../expanded/expanded-rows.ts";
import { KeyspaceRows } from "./keyspace-rows.ts";
import type { KeyKind } from "../kinds.ts";
import type { ReadContext } from "../read-context.ts";
import type { KeyRows } from "./key-reader.ts";
import { versionColumn } from "../values/version-column.ts";

/** How rows of keys are made in a pass or a lookup. */
export function keyRows(
  context: ReadContext,
  table: Table,
  kind: KeyKind,
  what: "rows" | "keys" | "known columns",
  now: number,
): KeyRows {
  if (kind.kind === "keys") {
    const columns =
      what === "keys"
        ? table.columns.filter(({ name }) => name === "key" || name === versionColumn.name)
        : table.columns;
    return new KeyspaceRows(columns, context.configuration, now, (type) =>
      context.warnOnce(`keys of the type ${type} are left out (unknown_types: skip)`),
    );
  }
  return new ExpandedRows(table, kind.expanded, what, (type) =>
    context.warnOnce(
      `table "${table.id}": keys of the type ${type} match its pattern, but have no fields; they are left out`,
    ),
  );
}
