import type { Table } from "../../protocol/table.ts";
import { typeName } from "../../toolkit/types.ts";

/** What of a table is otherwise than before, in few words. */
export function schemaChanges(before: Table, after: Table): readonly string[] {
  const known = new Map(before.columns.map((column) => [column.name, column]));
  const names = new Set(after.columns.map(({ name }) => name));
  const changes = after.columns.flatMap(({ name, type }) => {
    const column = known.get(name);
    if (column === undefined) return [`column "${name}" added as ${typeName(type)}`];
    const [was, is] = [typeName(column.type), typeName(type)];
    return was === is ? [] : [`column "${name}" changed from ${was} to ${is}`];
  });
  const gone = before.columns.flatMap(({ name }) => (names.has(name) ? [] : [`column "${name}" removed`]));
  const key =
    before.key.join(", ") === after.key.join(", ") ? [] : [`key changed to ${after.key.join(", ") || "none"}`];
  return [...changes, ...gone, ...key];
}
