import type { Json } from "../protocol/json.ts";
import type { Operation } from "../protocol/operation.ts";
import type { Pass, PassKind, Plan, Split } from "../protocol/pass.ts";
import type { Rows } from "../protocol/rows.ts";
import type { CheckResult, Reading, Source } from "../protocol/source.ts";
import type { Table } from "../protocol/table.ts";
import { project } from "../toolkit/vectors.ts";
import type { Chosen } from "./chosen.ts";

/**
 * A source of which only the chosen tables and columns are seen. What is not chosen is not read; where columns show
 * only in the rows, those that are not chosen are dropped as they come.
 */
export class SelectedSource implements Source {
  readonly #source: Source;
  readonly #chosen: Chosen;

  constructor(source: Source, chosen: Chosen) {
    this.#source = source;
    this.#chosen = chosen;
  }

  check(signal: AbortSignal): AsyncIterable<CheckResult> {
    return this.#source.check(signal);
  }

  async discover(signal: AbortSignal, known: readonly Table[] = []): Promise<readonly Table[]> {
    const tables = await this.#source.discover(signal, known);
    return tables.filter(({ id }) => this.#chosen.table(id)).map((table) => this.#narrowed(table));
  }

  plan(
    tables: readonly Table[],
    kind: PassKind,
    previous: Readonly<Record<string, Json>>,
    signal: AbortSignal,
  ): Promise<Plan> {
    return this.#source.plan(tables, kind, previous, signal);
  }

  resume(pass: Pass, signal: AbortSignal): Promise<Pass | null> {
    return this.#source.resume(pass, signal);
  }

  async *read(pass: Pass, split: Split, state: Json, how: Reading): AsyncGenerator<Operation> {
    for await (const operation of this.#source.read(pass, split, state, how)) {
      if ("rows" in operation) {
        const table = pass.tables.find(({ id }) => id === operation.table)!;
        yield { ...operation, rows: this.#narrowedRows(table, operation.rows) };
      } else if (operation.kind === "schema") yield { ...operation, table: this.#narrowed(operation.table) };
      else yield operation;
    }
  }

  async *lookup(table: Table, keys: Rows, how: Reading): AsyncGenerator<Rows> {
    for await (const rows of this.#source.lookup(table, keys, how)) yield this.#narrowedRows(table, rows);
  }

  async acknowledge(split: Split, state: Json): Promise<void> {
    await this.#source.acknowledge?.(split, state);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#source[Symbol.asyncDispose]();
  }

  /** Key columns are always chosen: without them no row can be told from another. */
  #narrowed(table: Table): Table {
    const columns = table.columns.filter(({ name }) => this.#keeps(table, name));
    return columns.length === table.columns.length ? table : { ...table, columns };
  }

  #narrowedRows(table: Table, rows: Rows): Rows {
    const columns = rows.columns.filter((name) => this.#keeps(table, name));
    return columns.length === rows.columns.length ? rows : project(rows, columns);
  }

  #keeps(table: Table, column: string): boolean {
    return table.key.includes(column) || column.startsWith("_headwaters_") || this.#chosen.column(table.id, column);
  }
}
