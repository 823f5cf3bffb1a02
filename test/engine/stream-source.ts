import type { Json } from "../../src/protocol/json.ts";
import type { Operation } from "../../src/protocol/operation.ts";
import type { Pass, PassKind, Plan, Split } from "../../src/protocol/pass.ts";
import type { Rows } from "../../src/protocol/rows.ts";
import type { Reading, Source, SourceCapabilities } from "../../src/protocol/source.ts";
import type { Column, Table } from "../../src/protocol/table.ts";
import { rowsOf } from "../../src/toolkit/vectors.ts";

const columns: readonly Column[] = [
  { name: "id", type: { kind: "INT" }, nullable: false },
  { name: "name", type: { kind: "STRING" }, nullable: true },
];

/** One change of a key; `null`: the row was removed. */
interface Change {
  readonly table: string;
  readonly id: number;
  readonly name: string | null;
}

export const streamCapabilities: SourceCapabilities = {
  passes: ["stream"],
  independentPath: false,
  schema: "declared",
  together: true,
};

/** The moment of a change, by its number. */
export function momentOf(change: number): string {
  return new Date(Date.UTC(2026, 0, 1, 0, 0, change)).toISOString();
}

/**
 * Two tables whose changes are one log, behind the contract of a source: for the laws of streams. `even` has the even
 * keys of `things`, `odd` its odd ones and all of `others`: one table is read by two splits, and one split has two tables.
 */
export class StreamSource implements Source {
  readonly changes: Change[] = [];
  readonly tables = ["things", "others"];
  /** Says that it starts over though it is told where to go on. */
  startsOver = false;
  /** Called before each operation that is handed out; may throw. */
  onOperation: () => void = () => {};

  put(table: string, id: number, name: string): void {
    this.changes.push({ table, id, name });
  }

  remove(table: string, id: number): void {
    this.changes.push({ table, id, name: null });
  }

  async *check(): AsyncGenerator<never> {}

  async discover(): Promise<readonly Table[]> {
    const common = { columns, key: ["id"], identity: "1", cursor: null, version: null, estimatedRows: null, notes: [] };
    return this.tables.map((id) => ({ id, ...common }));
  }

  async plan(tables: readonly Table[], _kind: PassKind, previous: Readonly<Record<string, Json>>): Promise<Plan> {
    const ids = tables.map(({ id }) => id);
    const goesOn = !this.startsOver && ids.every((id) => previous[id] !== undefined);
    const splits = this.splits(ids).map(({ id, of }): Split => {
      const states = of.map((table) => (goesOn ? this.position(previous[table]!, id) : 0));
      return { id, tables: of, work: Math.min(...states) };
    });
    const plan = { splits, next: {}, asOf: new Date().toISOString(), snapshot: null };
    return goesOn ? plan : { ...plan, startsOver: true };
  }

  /** The state that a split ended with, of what was kept of one of its tables. */
  position(next: Json, split: string): number {
    return typeof next === "number" ? next : (next as Readonly<Record<string, number>>)[split]!;
  }

  splits(tables: readonly string[]): { readonly id: string; readonly of: readonly string[] }[] {
    const both = { even: ["things"], odd: ["things", "others"] };
    return Object.entries(both)
      .map(([id, of]) => ({ id, of: of.filter((table) => tables.includes(table)) }))
      .filter(({ of }) => of.length > 0);
  }

  async resume(pass: Pass): Promise<Pass> {
    return pass;
  }

  async *read(_: Pass, split: Split, state: Json, how: Reading): AsyncGenerator<Operation> {
    for (let at = (state ?? split.work) as number; at < this.changes.length; at++) {
      how.signal.throwIfAborted();
      const { table, id, name } = this.changes[at]!;
      if (!split.tables.includes(table) || (table === "things" && (id % 2 === 0) !== (split.id === "even"))) continue;
      this.onOperation();
      yield name === null
        ? { kind: "delete", table, rows: rowsOf(columns.slice(0, 1), [[id]]) }
        : { kind: "upsert", table, rows: rowsOf(columns, [[id, name]]) };
      this.onOperation();
      yield { kind: "checkpoint", state: at + 1, asOf: momentOf(at) };
    }
  }

  // oxlint-disable-next-line require-yield
  async *lookup(): AsyncGenerator<Rows> {
    throw new Error("a stream is not looked up");
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}
