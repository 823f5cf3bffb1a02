import type { Json } from "../protocol/json.ts";
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

/** What `update()` yields, made by the functions in its argument. */
export type UpdateOperation =
  | { readonly kind: Change; readonly table: DeclaredTable; readonly row: GivenRow }
  | { readonly kind: "truncate"; readonly table: DeclaredTable }
  | { readonly kind: "checkpoint"; readonly state: Json };

/** Makes operations, and checks them at once, so that the stack of an error has the line of the source. */
export class OperationMaker {
  readonly #source: string;
  readonly #tables: ReadonlyMap<string, DeclaredTable>;
  readonly #checkState: (state: unknown) => Json;
  /** Operations that `update()` has not yielded yet. */
  readonly unyielded = new Set<object>();

  /** `checkState` throws if a state can't be stored. */
  constructor(source: string, tables: ReadonlyMap<string, DeclaredTable>, checkState: (state: unknown) => Json) {
    this.#source = source;
    this.#tables = tables;
    this.#checkState = checkState;
  }

  upsert(table: string, row: unknown): UpdateOperation {
    return this.#changing("upsert", table, row);
  }

  update(table: string, row: unknown): UpdateOperation {
    return this.#changing("update", table, row);
  }

  remove(table: string, key: unknown): UpdateOperation {
    return this.#changing("delete", table, key);
  }

  removeAll(table: string, part: unknown): UpdateOperation {
    return this.#changing("group", table, part);
  }

  truncate(table: string): UpdateOperation {
    return this.#made({ kind: "truncate", table: this.#table("truncate", table) });
  }

  checkpoint(state: unknown): UpdateOperation {
    return this.#made({ kind: "checkpoint", state: this.#checkState(state) });
  }

  #changing(kind: Change, name: string, row: unknown): UpdateOperation {
    const called = calledAs[kind];
    const table = this.#table(called, name);
    if (typeof row !== "object" || row === null) {
      throw mistake(`${called}("${name}", …): the row is ${shown(row)}`, "Give an object: column names and values.");
    }
    return this.#made({ kind, table, row: rowOf(table, row as Readonly<Record<string, unknown>>, called) });
  }

  #table(called: string, name: string): DeclaredTable {
    const table = this.#tables.get(name);
    if (table !== undefined) return table;
    const meant = nearest(String(name), this.#tables.keys());
    throw mistake(
      `${called}(${shown(name)}, …): the schema of source "${this.#source}" has no such table`,
      meant === null ? `It has ${[...this.#tables.keys()].join(", ")}.` : `Did you mean ${meant}?`,
    );
  }

  #made(operation: UpdateOperation): UpdateOperation {
    this.unyielded.add(operation);
    return operation;
  }
}

const noOthers: ReadonlyMap<string, Inferred | null> = new Map();

function rowOf(table: DeclaredTable, row: Readonly<Record<string, unknown>>, called: string): GivenRow {
  const cells: (Cell | undefined)[] = Array.from({ length: table.columns.length });
  let others: Map<string, Inferred | null> | null = null;
  for (const name of Object.keys(row)) {
    const value = row[name];
    const index = table.index.get(name);
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

function notOfKey(table: DeclaredTable, name: string, called: string): HeadwatersError {
  return mistake(
    `${called}("${table.id}", …): column "${name}" is not in the key`,
    `Give only ${called === "remove" ? "the key" : "columns of the key"}: ${table.key.join(", ")}.`,
  );
}
