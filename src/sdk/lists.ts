import type { HeadwatersError } from "../protocol/errors.ts";
import { mistake, shown } from "./mistake.ts";
import { type Change, keyOf, rowOf, type TableOperation } from "./rows.ts";
import type { DeclaredList, DeclaredTable } from "./schema.ts";

type Given = Readonly<Record<string, unknown>>;

/** What an operation on a row of a table does to the tables of its lists. */
export function* changedLists(kind: Change, table: DeclaredTable, row: Given): Generator<TableOperation> {
  if (kind === "update" || table.lists.size === 0) return;
  // Whatever was in the lists goes; of this, what comes again is only compared.
  const columns = table.key.filter((name) => kind !== "group" || name in row);
  for (const { table: items, parent } of listsBelow(table)) {
    const part = columns.map((name) => [parent[table.key.indexOf(name)]!, row[name]] as const);
    yield { kind: "group", table: items, row: rowOf(items, Object.fromEntries(part), "removeAll") };
  }
  if (kind === "upsert") yield* items(table, row);
}

/** What a truncated table does to those of its lists. */
export function truncatedLists(table: DeclaredTable): readonly TableOperation[] {
  return [...listsBelow(table)].map(({ table: items }) => ({ kind: "truncate", table: items }));
}

/** The lists of a table and the lists in their items. Their `parent` begins with the key of the table. */
function* listsBelow(table: DeclaredTable): Generator<DeclaredList> {
  for (const list of table.lists.values()) {
    yield list;
    yield* listsBelow(list.table);
  }
}

function* items(table: DeclaredTable, row: Given): Generator<TableOperation> {
  for (const [name, list] of table.lists) {
    const given = row[name];
    if (given === null || given === undefined) continue;
    if (!Array.isArray(given)) {
      throw mistake(
        `upsert("${table.id}", …): "${name}" of row ${keyText(table, row)} is not a list: ${shown(given)}`,
        "Give an array of objects.",
      );
    }
    const known = new Set<string>();
    for (const [place, item] of (given as readonly unknown[]).entries()) {
      const whole = itemRow(table, row, name, list, item, place);
      const made = rowOf(list.table, whole, "upsert");
      const key = keyOf(list.table, made);
      if (known.has(key)) throw twice(table, row, name, keyText(list.table, whole));
      known.add(key);
      yield { kind: "upsert", table: list.table, row: made };
      yield* items(list.table, whole);
    }
  }
}

/** The row of an item, with the key of the row that has the list. */
function itemRow(
  table: DeclaredTable,
  row: Given,
  name: string,
  { parent, position }: DeclaredList,
  item: unknown,
  place: number,
): Given {
  const where = `upsert("${table.id}", …): item ${place} of "${name}" of row ${keyText(table, row)}`;
  if (typeof item !== "object" || item === null || Array.isArray(item))
    throw mistake(`${where} is ${shown(item)}`, `Give objects: ${name}.map((value) => ({ value })).`);
  const own = new Map(parent.map((column, index) => [column, row[table.key[index]!]]));
  if (position !== null) own.set(position, place);
  for (const [column, value] of own) {
    const given = (item as Given)[column];
    if (given === undefined || given === value) continue;
    throw mistake(
      `${where} has ${column} ${shown(given)}, where ${shown(value)} belongs`,
      "Leave it out; or declare the list with another column for this: parent, or key.",
    );
  }
  return { ...Object.fromEntries(own), ...item };
}

function keyText({ key }: DeclaredTable, row: Given): string {
  return shown(Object.fromEntries(key.map((name) => [name, row[name]])));
}

function twice(table: DeclaredTable, row: Given, name: string, key: string): HeadwatersError {
  return mistake(
    `upsert("${table.id}", …): two items of "${name}" of row ${keyText(table, row)} have the key ${key}`,
    "Declare a key that tells the items apart; without one they are counted.",
  );
}
