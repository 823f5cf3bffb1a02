import type { Operation } from "../protocol/operation.ts";
import type { Rows } from "../protocol/rows.ts";
import type { Table } from "../protocol/table.ts";
import { type Cell, cell } from "../toolkit/vectors.ts";

/** A row: its columns that have a value, as text. */
type Row = ReadonlyMap<string, string>;

/**
 * The copy that results from operations, by their meaning in the contract alone: every row as `table {column: value, …}`,
 * sorted, so that two copies are equal if these lists are.
 */
export function copied(tables: readonly Table[], operations: readonly Operation[]): readonly string[] {
  const keys = new Map(tables.map(({ id, key }) => [id, key]));
  const copies = new Map(tables.map(({ id }) => [id, new Map<string, Row>()]));
  for (const operation of operations) {
    if (operation.kind === "checkpoint" || operation.kind === "schema") continue;
    const copy = copies.get(operation.table)!;
    if (operation.kind === "truncate") copy.clear();
    else
      for (const [row, empty] of valuesOf(operation.rows))
        apply(copy, keys.get(operation.table)!, operation.kind, row, empty);
  }
  return [...copies]
    .flatMap(([table, rows]) =>
      [...rows.values()].map((row) => `${table} ${JSON.stringify(Object.fromEntries([...row].sort()))}`),
    )
    .sort();
}

/** `empty`: columns that the operation sets to NULL. */
function apply(
  copy: Map<string, Row>,
  key: readonly string[],
  kind: Operation["kind"],
  row: Row,
  empty: ReadonlySet<string>,
): void {
  if (kind === "delete" && key.some((name) => !row.has(name))) {
    for (const [id, other] of copy) if ([...row].every(([name, value]) => other.get(name) === value)) copy.delete(id);
    return;
  }
  const id = JSON.stringify(key.map((name) => row.get(name)));
  const known = copy.get(id);
  if (kind === "delete") copy.delete(id);
  else if (kind === "upsert") copy.set(id, row);
  else if (known !== undefined) copy.set(id, new Map([...[...known].filter(([name]) => !empty.has(name)), ...row]));
}

/** The rows of a batch, each with its columns that are NULL. */
function* valuesOf({ columns, values, length }: Rows): Generator<readonly [row: Row, empty: ReadonlySet<string>]> {
  for (let index = 0; index < length; index++) {
    const cells = columns.map((name, column) => [name, cell(values[column]!, index)] as const);
    const full = cells.flatMap(([name, value]) => (value === null ? [] : [[name, textOf(value)] as const]));
    yield [new Map(full), new Set(cells.flatMap(([name, value]) => (value === null ? [name] : [])))];
  }
}

/** The same text for a value whatever its type: 5 as INT and as LONG. */
function textOf(value: Exclude<Cell, null>): string {
  return value instanceof Uint8Array ? Buffer.from(value).toString("hex") : String(value);
}
