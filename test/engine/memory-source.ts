import { HeadwatersError } from "../../src/protocol/errors.ts";
import type { Json } from "../../src/protocol/json.ts";
import type { Operation } from "../../src/protocol/operation.ts";
import type { Pass, PassKind, Plan, Split } from "../../src/protocol/pass.ts";
import type { Rows } from "../../src/protocol/rows.ts";
import type { Reading, Source } from "../../src/protocol/source.ts";
import type { Column, Table } from "../../src/protocol/table.ts";
import { cell, rowsOf } from "../../src/toolkit/vectors.ts";

export interface MemoryRow {
  readonly id: number;
  readonly name: string;
  /** The cursor: a count of writes, as microseconds; `null`: the row was written without it. */
  readonly changed: number | null;
}

export const columns: readonly Column[] = [
  { name: "id", type: { kind: "INT" }, nullable: false },
  { name: "name", type: { kind: "STRING" }, nullable: true },
  { name: "changed", type: { kind: "UTC_DATETIME" }, nullable: true },
];

/** A column more, for tables whose shape has it: it says what the name says. */
export const noteColumn: Column = { name: "note", type: { kind: "STRING" }, nullable: true };

/**
 * Tables in memory, behind the contract of a source: for the laws of the engine alone, where a test must decide at
 * which operation something happens. What databases do is tested on databases.
 */
export class MemorySource implements Source {
  readonly tables = new Map<string, Map<number, MemoryRow>>();
  /** Changes of a table's description, by id. */
  readonly shapes = new Map<string, Partial<Table>>();
  /** Which rows there are, by table, as a filter tells; absent: all. */
  readonly filters = new Map<string, (row: MemoryRow) => boolean>();
  /** Called before each operation that is handed out, with its number; may throw, or change the tables. */
  onOperation: (count: number, split: Split) => void = () => {};
  /** Rows a batch, batches a checkpoint, rows a split. */
  batch = 3;
  checkpointEvery = 1;
  splitRows = 10;
  /** Whether a pass can be gone on with by another process. */
  resumable = true;
  operations = 0;
  #clock = 1;

  put(table: string, id: number, name: string, stamped = true): void {
    const rows = this.tables.get(table) ?? new Map<number, MemoryRow>();
    this.tables.set(table, rows);
    rows.set(id, { id, name, changed: stamped ? this.#clock++ : null });
  }

  remove(table: string, id: number): void {
    this.tables.get(table)?.delete(id);
  }

  async *check(): AsyncGenerator<never> {}

  async discover(): Promise<readonly Table[]> {
    return [...this.tables.keys()].map((id) => ({
      id,
      columns,
      key: ["id"],
      identity: "1",
      cursor: "changed",
      version: "changed",
      estimatedRows: this.tables.get(id)!.size,
      notes: [],
      ...this.shapes.get(id),
    }));
  }

  async plan(tables: readonly Table[], kind: PassKind, previous: Readonly<Record<string, Json>>): Promise<Plan> {
    const table = tables[0]!;
    const ids = [...this.#rows(table.id).keys()];
    const most = Math.max(0, ...ids);
    const splits: Split[] = [];
    const low = kind === "window" ? (previous[table.id] as number) : null;
    const size = kind === "window" ? most + 1 : this.splitRows;
    for (let from = 0; from <= most; from += size) {
      splits.push({ id: String(from), tables: [table.id], work: { from, to: from + size, low } });
    }
    return { splits, next: { [table.id]: this.#clock }, asOf: new Date().toISOString(), snapshot: null };
  }

  async resume(pass: Pass): Promise<Pass | null> {
    return this.resumable ? pass : null;
  }

  async *read(pass: Pass, split: Split, state: Json, how: Reading): AsyncGenerator<Operation> {
    const table = pass.tables[0]!;
    const { from, to, low } = split.work as { from: number; to: number; low: number | null };
    let after = (state as number | null) ?? from - 1;
    for (let batches = 1; ; batches++) {
      how.signal.throwIfAborted();
      const rows = [...this.#rows(table.id).values()]
        .filter(
          (row) => row.id > after && row.id < to && (low === null || (row.changed !== null && row.changed >= low)),
        )
        .sort((a, b) => a.id - b.id)
        .slice(0, this.batch);
      if (rows.length === 0) return;
      after = rows.at(-1)!.id;
      this.onOperation(++this.operations, split);
      yield pass.kind === "keys"
        ? { kind: "keys", table: table.id, rows: batchOf(rows, [columns[0]!, columns[2]!]) }
        : { kind: "upsert", table: table.id, rows: batchOf(rows, table.columns) };
      if (batches % this.checkpointEvery !== 0) continue;
      this.onOperation(++this.operations, split);
      yield { kind: "checkpoint", state: after };
    }
  }

  async *lookup(table: Table, keys: Rows): AsyncGenerator<Rows> {
    const rows: MemoryRow[] = [];
    for (let row = 0; row < keys.length; row++) {
      const found = this.#rows(table.id).get(cell(keys.values[0]!, row) as number);
      if (found !== undefined) rows.push(found);
    }
    if (rows.length > 0) yield batchOf(rows, table.columns);
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  #rows(table: string): Map<number, MemoryRow> {
    const rows = this.tables.get(table);
    if (rows === undefined) throw new HeadwatersError("TABLE_UNKNOWN", `there is no table "${table}"`);
    const filter = this.filters.get(table);
    return filter === undefined ? rows : new Map([...rows].filter(([, row]) => filter(row)));
  }
}

/** A source with rows 1, 2, … in table `t`. */
export function filled(rows: number): MemorySource {
  const source = new MemorySource();
  for (let id = 1; id <= rows; id++) source.put("t", id, `row ${id}`);
  return source;
}

function batchOf(rows: readonly MemoryRow[], of: readonly Column[]): Rows {
  return rowsOf(
    of,
    rows.map((row) =>
      of.map(({ name }) =>
        name === "changed"
          ? row.changed === null
            ? null
            : BigInt(row.changed)
          : name === noteColumn.name
            ? `note on ${row.name}`
            : (row[name as "id"] ?? null),
      ),
    ),
  );
}
