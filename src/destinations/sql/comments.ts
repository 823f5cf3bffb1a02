import type { Table } from "../../protocol/table.ts";
import { sameType } from "../../toolkit/types.ts";
import { storedType } from "./copies.ts";
import type { Dialect } from "./dialect.ts";
import type { Copy } from "./model.ts";
import { literal } from "./names.ts";

/**
 * Statements that put the comments of a table and of its columns, as the source has them, on its copy. Only what is other than
 * `before`, the table as it was at the end of its last pass; `null`: the copy is new. So comments of others on a copy stay
 * until the source has another one.
 */
export function commentStatements(dialect: Dialect, copy: Copy, before: Table | null, table: Table): readonly string[] {
  const known = new Map(before?.columns.map((column) => [column.name, column]));
  const statements = table.columns.flatMap(({ name, type, comment }) => {
    if (storedType(dialect, copy, name) === undefined) return [];
    const old = known.get(name);
    // A column that has another type may be a new one by the same name.
    const was = old !== undefined && sameType(old.type, type) ? old.comment : undefined;
    return statement(dialect, `COLUMN ${copy.relation}.${dialect.quote(name)}`, was, comment);
  });
  return [...statement(dialect, `TABLE ${copy.relation}`, before?.comment, table.comment), ...statements];
}

function statement(
  { keepsComment }: Dialect,
  on: string,
  was: string | undefined,
  comment: string | undefined,
): readonly string[] {
  if (was === comment || (comment !== undefined && !keepsComment(comment))) return [];
  return [`COMMENT ON ${on} IS ${comment === undefined ? "NULL" : literal(comment)}`];
}
