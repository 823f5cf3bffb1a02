import type { Table } from "../protocol/table.ts";
import type { Type } from "../protocol/types.ts";
import { nearest } from "../toolkit/nearest.ts";
import { parseType } from "../toolkit/types.ts";
import { mistake, shown } from "./mistake.ts";
import type { ListDefinition, TableDefinition, Tables } from "./row-types.ts";

/** A table as its source declares it, checked. */
export interface DeclaredTable {
  readonly id: string;
  readonly key: readonly string[];
  /** Declared columns, in their order. */
  readonly columns: readonly { readonly name: string; readonly type: Type }[];
  /** Position in `columns`, by name. */
  readonly index: ReadonlyMap<string, number>;
  /** Other columns are inferred from the values. */
  readonly infers: boolean;
  /** Lists whose items are rows of other tables, by their names in a row. */
  readonly lists: ReadonlyMap<string, DeclaredList>;
  /** If its rows are items of lists: of which, and how many columns of the key hold the key of the row that has the list. */
  readonly of: { readonly table: string; readonly list: string; readonly columns: number } | null;
}

/** A list in the rows of a table. */
export interface DeclaredList {
  /** The table of its items. */
  readonly table: DeclaredTable;
  /** The columns of the items' table that hold the key of the row, in its order: the first part of the items' key. */
  readonly parent: readonly string[];
  /** The column that counts the items; `null`: the items have keys of their own. */
  readonly position: string | null;
}

const position = "position";
const counted: Type = { kind: "INT" };

/**
 * The type of an inferred key column before its first value: the narrowest type that widens to every kind of number, and
 * to text.
 */
export const unseenKey: Type = { kind: "SHORT" };

/** Checks the schema of a source. `replaced`: types that the user set, by table and column. Throws `SOURCE_MISTAKEN`. */
export function declaredTables(
  tables: Tables,
  replaced: Readonly<Record<string, Readonly<Record<string, Type>> | undefined>>,
): ReadonlyMap<string, DeclaredTable> {
  if (typeof tables !== "object" || tables === null || Object.keys(tables).length === 0) {
    throw mistake(
      "schema: it has no tables",
      'Give at least one, by name: { readings: { key: ["id"], columns: { id: "LONG" } } }.',
    );
  }
  const made = new Map<string, DeclaredTable>();
  for (const [id, table] of Object.entries(tables)) {
    for (const one of withLists(declared(id, table, {}, null, replaced))) {
      if (made.has(one.id)) {
        throw mistake(
          `schema: two tables are called "${one.id}"`,
          "Give the list another one: lists: { lines: { table: … } }.",
        );
      }
      made.set(one.id, one);
    }
  }
  return made;
}

/** A table, and those of its lists and of their lists. */
function* withLists(table: DeclaredTable): Generator<DeclaredTable> {
  yield table;
  for (const { table: items } of table.lists.values()) yield* withLists(items);
}

/** `fixed`: types of columns that the definition does not declare. */
function declared(
  id: string,
  table: TableDefinition,
  fixed: Readonly<Record<string, Type>>,
  of: DeclaredTable["of"],
  replacedBy: Parameters<typeof declaredTables>[1],
): DeclaredTable {
  const { key, columns: given, infer = given === undefined, lists = {} } = table;
  const replaced = replacedBy[id] ?? {};
  if (!Array.isArray(key) || key.length === 0) {
    throw mistake(
      `schema: table "${id}" has no key`,
      'Name the columns that identify a row: key: ["id"]. If there are none, add one, such as a digest of the row.',
    );
  }
  const columns = Object.keys({ ...fixed, ...given, ...replaced }).map((name) => ({
    name,
    type: replaced[name] ?? fixed[name] ?? typeOf(id, name, given![name]),
  }));
  const index = new Map(columns.map(({ name }, position) => [name, position]));
  const unknown = key.find((name: unknown) => typeof name !== "string" || (!infer && !index.has(name)));
  if (unknown !== undefined) {
    const meant = nearest(String(unknown), index.keys());
    throw mistake(
      `schema: the key of table "${id}" names column ${shown(unknown)}, which does not exist`,
      meant === null ? `It has ${[...index.keys()].join(", ")}.` : `Did you mean ${meant}?`,
    );
  }
  const twice = key.find((name, position) => key.indexOf(name) !== position);
  if (twice !== undefined) throw mistake(`schema: the key of table "${id}" names "${twice}" twice`, "Name it once.");
  const made = { id, key, columns, index, infers: infer, of, lists: new Map<string, DeclaredList>() };
  for (const [name, list] of Object.entries(lists)) made.lists.set(name, declaredList(made, name, list, replacedBy));
  return made;
}

function declaredList(
  row: DeclaredTable,
  name: string,
  list: ListDefinition,
  replaced: Parameters<typeof declaredTables>[1],
): DeclaredList {
  const id = list.table ?? `${row.id}_${name}`;
  if (row.index.has(name)) {
    throw mistake(
      `schema: table "${row.id}" declares "${name}" as a column and as a list`,
      "A list that has a table of its own is no column: leave it out of columns.",
    );
  }
  const above = row.of?.columns ?? 0;
  const inherited = row.key.map((column, place) => (place < above ? column : `${row.id}_${column}`));
  const { parent = inherited, key = [position] } = list;
  if (parent.length !== row.key.length) {
    throw mistake(
      `schema: list "${name}" of table "${row.id}" names ${parent.length} columns for a key of ${row.key.length}`,
      `Name one in parent for each of ${row.key.join(", ")}.`,
    );
  }
  const types = row.key.flatMap((column, place): [string, Type][] => {
    const at = row.index.get(column);
    return at === undefined ? [] : [[parent[place]!, row.columns[at]!.type]];
  });
  if (types.length < row.key.length && list.columns !== undefined && list.infer !== true) {
    throw mistake(
      `schema: list "${name}" needs the types of the key of table "${row.id}"`,
      `Declare them in its columns: ${row.key.join(", ")}.`,
    );
  }
  const fixed = { ...Object.fromEntries(types), ...(list.key === undefined ? { [position]: counted } : {}) };
  const taken = Object.keys(fixed).find((column) => list.columns !== undefined && column in list.columns);
  if (taken !== undefined) {
    throw mistake(
      `schema: list "${name}" of table "${row.id}" declares "${taken}", which every item has anyway`,
      taken === position && list.key === undefined
        ? "If it tells the items apart, name it in key."
        : `It holds the key of the row: leave it out, or give that another name by parent: ["…"].`,
    );
  }
  const definition = { ...list, key: [...parent, ...key] };
  const table = declared(id, definition, fixed, { table: row.id, list: name, columns: parent.length }, replaced);
  return { table, parent, position: list.key === undefined ? position : null };
}

function typeOf(table: string, column: string, name: unknown): Type {
  const type = typeof name === "string" ? parseType(name) : null;
  if (type !== null) return type;
  throw mistake(
    `schema: column "${column}" of table "${table}" has an unknown type: ${shown(name)}`,
    "Types are BOOLEAN, SHORT, INT, LONG, DECIMAL(12,2), FLOAT, DOUBLE, NAIVE_DATE, NAIVE_TIME, NAIVE_DATETIME, UTC_DATETIME, BINARY, UUID, XML, STRING and JSON.",
  );
}

/** The table for the engine, before its first row. */
export function tableOf({ id, key, columns, index, infers, of }: DeclaredTable, source: string): Table {
  const inferredKey = key.filter((name) => !index.has(name)).map((name) => ({ name, type: unseenKey }));
  return {
    id,
    columns: [...columns, ...inferredKey].map(({ name, type }) => ({ name, type, nullable: !key.includes(name) })),
    key,
    identity: source,
    cursor: null,
    streamed: true,
    version: null,
    estimatedRows: null,
    notes: [
      ...(of === null ? [] : [`Its rows are the items of ${of.list} in the rows of ${of.table}.`]),
      ...(infers ? ["Columns that are not declared are inferred from its rows."] : []),
    ],
  };
}
