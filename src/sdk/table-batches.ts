import { HeadwatersError } from "../protocol/errors.ts";
import type { Operation } from "../protocol/operation.ts";
import type { Column, Table } from "../protocol/table.ts";
import type { Type } from "../protocol/types.ts";
import { byteWidth, sameType, typeName } from "../toolkit/types.ts";
import { appendCell, type Cell, RowsBuilder, type VectorBuilder } from "../toolkit/vectors.ts";
import { fitted, type Inferred, widened } from "./infer.ts";
import type { GivenRow } from "./operations.ts";
import { type DeclaredTable, unseenKey } from "./schema.ts";
import { Misfit } from "./values.ts";

type Change = "upsert" | "update" | "delete";

/** Rows of one operation that wait to be sent as one batch. */
interface Waiting {
  readonly kind: Change;
  /** Tells batches apart: the columns of an update are those that it changes. */
  readonly shape: string;
  readonly columns: readonly Column[];
  readonly rows: RowsBuilder;
}

/**
 * Puts the rows of one table into batches, in the order in which they come: a row of another operation ends a batch.
 * Columns that are inferred are added and widened as values need it.
 */
export class TableBatches {
  readonly #declared: DeclaredTable;
  readonly #log: (message: string) => void;
  /** As the pass has it, with what values needed beyond that. */
  #table: Table;
  /** Declared columns that are selected: positions in a row's cells. */
  readonly #selected: readonly number[];
  #inferred: Map<string, Column>;
  #waiting: Waiting | null = null;

  constructor(declared: DeclaredTable, table: Table, log: (message: string) => void) {
    this.#declared = declared;
    this.#table = table;
    this.#log = log;
    const wanted = new Set(table.columns.map(({ name }) => name));
    this.#selected = declared.columns.flatMap(({ name }, index) => (wanted.has(name) ? [index] : []));
    this.#inferred = inferredOf(declared, table);
  }

  /** Bytes that wait. */
  get bytes(): number {
    return this.#waiting?.rows.bytes ?? 0;
  }

  /** Takes a row; gives what must be sent before it. */
  add(kind: Change, row: GivenRow): readonly Operation[] {
    const sent: Operation[] = [...this.#makeRoom(kind, row)];
    const shape = kind === "update" ? updateShape(row) : kind;
    if (this.#waiting?.shape !== shape) {
      sent.push(...this.finish());
      const columns = this.#columnsOf(kind, row);
      this.#waiting = { kind, shape, columns, rows: new RowsBuilder(columns) };
    }
    this.#append(this.#waiting!, row);
    return sent;
  }

  /** What waits. */
  finish(): readonly Operation[] {
    if (this.#waiting === null || this.#waiting.rows.length === 0) return [];
    const { kind, rows } = this.#waiting;
    return [{ kind, table: this.#table.id, rows: rows.finish() }];
  }

  /** Columns that the row is the first to have, and such as must become wider for it: from here on the table has them. */
  #makeRoom(kind: Change, { others }: GivenRow): readonly Operation[] {
    if (kind === "delete") return [];
    const wider: Column[] = [];
    for (const [name, inferred] of others) {
      if (inferred === null) continue;
      const known = this.#inferred.get(name);
      const type = known === undefined ? inferred.type : this.#widened(known, inferred);
      if (known === undefined || !sameType(known.type, type))
        wider.push({ name, type, nullable: known?.nullable ?? true });
    }
    if (wider.length === 0) return [];
    const sent = this.finish();
    this.#waiting = null;
    const columns = new Map([...this.#table.columns, ...wider].map((column) => [column.name, column]));
    this.#table = { ...this.#table, columns: [...columns.values()] };
    this.#inferred = inferredOf(this.#declared, this.#table);
    return [...sent, { kind: "schema", table: this.#table }];
  }

  #widened({ name, type }: Column, inferred: Inferred): Type {
    const wide = widened(type, inferred);
    if (sameType(wide, type)) return type;
    const lost = wide.kind === "STRING" && inferred.type.kind !== "STRING";
    if (sameType(type, unseenKey) && lost) {
      throw new HeadwatersError(
        "SOURCE_MISTAKEN",
        `table "${this.#table.id}": the type of key column "${name}" can't be inferred: it is ${typeName(inferred.type)}`,
        { hint: `Declare it in schema: columns: { ${name}: "${typeName(inferred.type)}" }.` },
      );
    }
    if (wide.kind === "STRING" && !sameType(type, unseenKey)) {
      this.#log(
        `table "${this.#table.id}": column "${name}" was ${typeName(type)} and has a ${typeName(inferred.type)} now: it becomes STRING. Declare its type in schema, if that is not what is meant.`,
      );
    }
    return wide;
  }

  #columnsOf(kind: Change, { cells, others }: GivenRow): readonly Column[] {
    const { key, columns } = this.#declared;
    const has = (name: string, index: number): boolean =>
      kind === "upsert" || key.includes(name) || (kind === "update" && cells[index] !== undefined);
    const declared = this.#selected
      .filter((index) => has(columns[index]!.name, index))
      .map((index): Column => ({ ...columns[index]!, nullable: !key.includes(columns[index]!.name) }));
    const inferred = [...this.#inferred.values()].filter(
      ({ name }) => kind === "upsert" || key.includes(name) || (kind === "update" && others.has(name)),
    );
    return [...declared, ...inferred];
  }

  #append({ columns, rows }: Waiting, { cells, others }: GivenRow): void {
    for (let column = 0; column < columns.length; column++) {
      const { name, type } = columns[column]!;
      const index = this.#declared.index.get(name);
      const cell = index === undefined ? this.#fitted(name, others.get(name) ?? null, type) : cells[index];
      append(rows.builders[column]!, cell ?? null);
    }
  }

  #fitted(name: string, inferred: Inferred | null, type: Type): Cell {
    if (inferred === null) return null;
    const cell = fitted(inferred, type);
    if (!(cell instanceof Misfit)) return cell;
    throw new HeadwatersError("VALUE_OUT_OF_RANGE", `table "${this.#table.id}": column "${name}" ${cell.reason}`, {
      hint: cell.hint,
    });
  }
}

function inferredOf({ index, infers }: DeclaredTable, { columns }: Table): Map<string, Column> {
  return new Map(columns.filter(({ name }) => infers && !index.has(name)).map((column) => [column.name, column]));
}

/** Columns whose value is not given keep the one that they have. */
function updateShape({ cells, others }: GivenRow): string {
  const given = cells.flatMap((cell, index) => (cell === undefined ? [] : [index]));
  return JSON.stringify(["update", given, [...others.keys()]]);
}

/** Whole numbers go into 64 bits without a BigInt in between. */
function append(builder: VectorBuilder, cell: Cell): void {
  const { type } = builder;
  if (typeof cell === "number" && type.kind !== "DOUBLE" && byteWidth(type) === 8) builder.int64Number(cell);
  else appendCell(builder, cell);
}
