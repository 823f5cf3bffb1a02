import { HeadwatersError } from "../protocol/errors.ts";
import { nearest } from "../toolkit/nearest.ts";
import { type Cell } from "../toolkit/vectors.ts";
import { infer, type Inferred } from "./infer.ts";
import { mistake, shown } from "./mistake.ts";
import type { DeclaredTable } from "./schema.ts";
import { cellOf, Misfit } from "./values.ts";

/** A row of an operation, checked. */
export interface GivenRow {
  /** One for each declared column; `undefined`: absent. */
  readonly cells: readonly (Cell | undefined)[];
  /** Columns that are inferred. */
  readonly others: ReadonlyMap<string, Inferred | null>;
}

/** What is done to rows. `group`: those with some columns of a key are deleted. */
export type Change = "upsert" | "update" | "delete" | "group";

/** What each is called in a source. */
export const calledAs = { upsert: "upsert", update: "update", delete: "remove", group: "removeAll" } as const;

/** What is done to the rows of one table. */
export type TableOperation =
  | { readonly kind: Change; readonly table: DeclaredTable; readonly row: GivenRow }
  | { readonly kind: "truncate"; readonly table: DeclaredTable };

const noOthers: ReadonlyMap<string, Inferred | null> = new Map();

/** A row as it is given, checked. `called`: what the source called. */
export function rowOf(table: DeclaredTable, row: Readonly<Record<string, unknown>>, called: string): GivenRow {
  const cells: (Cell | undefined)[] = Array.from({ length: table.columns.length });
  let others: Map<string, Inferred | null> | null = null;
  for (const name of Object.keys(row)) {
    const value = row[name];
    const index = table.index.get(name);
    if (table.lists.has(name)) {
      if (called === "update") throw listInUpdate(table, name);
      if (called === "upsert") continue;
    }
    if (called.startsWith("remove") && !table.key.includes(name)) throw notOfKey(table, name, called);
    if (index !== undefined) {
      const cell = value === null || value === undefined ? value : cellOf(value, table.columns[index]!.type);
      if (cell instanceof Misfit) throw misfit(table, name, row, value, cell);
      cells[index] = cell;
    } else if (table.infers) {
      const seen = value === null || value === undefined ? null : infer(value);
      if (seen instanceof Misfit) throw misfit(table, name, row, value, seen);
      if (value !== undefined) (others ??= new Map()).set(name, seen);
    } else throw unknownColumn(table, name, called);
  }
  const missing = table.key.find((name) => row[name] === null || row[name] === undefined);
  if (called === "removeAll") {
    if (!table.key.some((name) => name in row))
      throw mistake(`removeAll("${table.id}", …): no column of the key is given`, "To delete all rows, use truncate.");
    const empty = Object.keys(row).find((name) => row[name] === null || row[name] === undefined);
    if (empty !== undefined)
      throw mistake(
        `removeAll("${table.id}", …): the key column "${empty}" has no value: ${shown(row)}`,
        "Leave out the columns that do not matter.",
      );
  } else if (missing !== undefined) {
    throw mistake(
      `${called}("${table.id}", …): the row lacks the key column "${missing}": ${shown(row)}`,
      "Each column of the key must have a value.",
    );
  }
  return { cells, others: others ?? noOthers };
}

/** The key of a row, as a text that no other key has. `names`: some columns of the key. */
export function keyOf(
  { key, index }: DeclaredTable,
  { cells, others }: GivenRow,
  names: readonly string[] = key,
): string {
  return names
    .map((name) => {
      const position = index.get(name);
      const cell = position === undefined ? others.get(name)?.cell : cells[position];
      const text = cell instanceof Uint8Array ? Buffer.from(cell).toString("hex") : String(cell);
      return `${text.length} ${text}`;
    })
    .join(" ");
}

function misfit(
  table: DeclaredTable,
  column: string,
  row: Readonly<Record<string, unknown>>,
  value: unknown,
  { reason, hint }: Misfit,
): HeadwatersError {
  const key = Object.fromEntries(table.key.map((name) => [name, row[name]]));
  return new HeadwatersError(
    "VALUE_OUT_OF_RANGE",
    `table "${table.id}": column "${column}" of row ${shown(key)} ${reason}: ${shown(value)}`,
    { hint },
  );
}

function unknownColumn(table: DeclaredTable, name: string, called: string): HeadwatersError {
  const meant = nearest(name, table.index.keys());
  return mistake(
    `${called}("${table.id}", …): the table has no column "${name}"`,
    meant === null
      ? `Declare it in schema, or set infer: true there. It has ${[...table.index.keys()].join(", ")}.`
      : `Did you mean ${meant}?`,
  );
}

function listInUpdate({ id }: DeclaredTable, name: string): HeadwatersError {
  return mistake(
    `update("${id}", …): "${name}" is a list, whose items are rows of another table`,
    "Give the whole row with all its lists to upsert.",
  );
}

function notOfKey(table: DeclaredTable, name: string, called: string): HeadwatersError {
  return mistake(
    `${called}("${table.id}", …): column "${name}" is not in the key`,
    `Give only ${called === "remove" ? "the key" : "columns of the key"}: ${table.key.join(", ")}.`,
  );
}
