import type { Json } from "../protocol/json.ts";
import type { HeadwatersError } from "../protocol/errors.ts";
import { nearest } from "../toolkit/nearest.ts";
import { changedLists, truncatedLists } from "./lists.ts";
import { mistake, shown } from "./mistake.ts";
import { calledAs, type Change, rowOf, type TableOperation } from "./rows.ts";
import type { DeclaredTable } from "./schema.ts";

/** What `update()` yields, made by the functions in its argument. `lists`: what it does to the tables of lists. */
export type UpdateOperation =
  | (TableOperation & { readonly lists: readonly TableOperation[] })
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
    const of = this.#table("truncate", table);
    return this.#made({ kind: "truncate", table: of, lists: truncatedLists(of) });
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
    const given = row as Readonly<Record<string, unknown>>;
    return this.#made({ kind, table, row: rowOf(table, given, called), lists: [...changedLists(kind, table, given)] });
  }

  #table(called: string, name: string): DeclaredTable {
    const table = this.#tables.get(name);
    if (table !== undefined && table.of === null) return table;
    if (table !== undefined) throw ofList(table, called);
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

function ofList({ id, of }: DeclaredTable, called: string): HeadwatersError {
  return mistake(
    `${called}("${id}", …): the rows of this table are the items of ${of!.list} in "${of!.table}"`,
    `They are written and deleted with those rows: upsert("${of!.table}", { …, ${of!.list}: [ … ] }).`,
  );
}
