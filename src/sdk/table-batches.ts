import { HeadwatersError } from "../protocol/errors.ts";
import type { Operation } from "../protocol/operation.ts";
import type { Column, Table } from "../protocol/table.ts";
import type { Type } from "../protocol/types.ts";
import { byteWidth, sameType, typeName } from "../toolkit/types.ts";
import { appendCell, type Cell, RowsBuilder, type VectorBuilder } from "../toolkit/vectors.ts";
import { fitted, type Inferred, widened } from "./infer.ts";
import { type Change, type GivenRow, keyOf } from "./rows.ts";
import { type DeclaredTable, unseenKey } from "./schema.ts";
import { Misfit } from "./values.ts";

/** How many shapes may wait at the same time: each has vectors of its own, and n columns allow 2ⁿ shapes of updates. */
const mostShapes = 32;

/** Rows of one operation that wait to be sent as one batch. */
interface Waiting {
  readonly kind: Change;
  readonly columns: readonly Column[];
  readonly rows: RowsBuilder;
}

/** Groups that wait, to be sent before everything else that waits. */
interface Groups extends Waiting {
  readonly shape: string;
  /** The columns of the key that they give. */
  readonly given: readonly string[];
  /** The values in these columns of what waits beside them: a group with such values must come after it. */
  readonly beside: Set<string>;
}

/**
 * Puts the rows of one table into batches. Each shape has a batch of its own: an operation or, for updates, a set of
 * columns. (Otherwise alternating upserts and updates would be batches of one row each.) The operations on one key keep
 * their order, since a key waits in one batch at a time. Inferred columns are added and widened as values need it.
 */
export class TableBatches {
  readonly #declared: DeclaredTable;
  readonly #log: (message: string) => void;
  /** The table of the pass, with the columns that values needed since. */
  #table: Table;
  /** Positions in a row's cells of the declared columns that are selected. */
  readonly #selected: readonly number[];
  #inferred: Map<string, Column>;
  /** By shape: the operation and, for updates, the columns that change. */
  readonly #waiting = new Map<string, Waiting>();
  /** The shape with which a key waits, by key. Empty as long as all waiting rows have one shape. */
  readonly #shapes = new Map<string, string>();
  /** Several shapes have come: from here on, the shape of each key is tracked. */
  #mixed = false;
  #groups: Groups | null = null;

  constructor(declared: DeclaredTable, table: Table, log: (message: string) => void) {
    this.#declared = declared;
    this.#table = table;
    this.#log = log;
    const selected = new Set(table.columns.map(({ name }) => name));
    this.#selected = declared.columns.flatMap(({ name }, index) => (selected.has(name) ? [index] : []));
    this.#inferred = inferredOf(declared, table);
  }

  /** Bytes that wait. */
  get bytes(): number {
    let bytes = this.#groups?.rows.bytes ?? 0;
    for (const { rows } of this.#waiting.values()) bytes += rows.bytes;
    return bytes;
  }

  /** Takes a row; returns what must be sent before it. */
  add(kind: Change, row: GivenRow): readonly Operation[] {
    const sent = [...this.#makeRoom(row)];
    if (kind === "group") return [...sent, ...this.#addGroup(row)];
    const shape = kind === "update" ? partialShape(kind, row) : kind;
    if (this.#waiting.size >= mostShapes && !this.#waiting.has(shape)) {
      sent.push(...this.finish());
      this.#waiting.clear();
    }
    sent.push(...this.#keepOrder(shape, row));
    this.#groups?.beside.add(keyOf(this.#declared, row, this.#groups.given));
    let waiting = this.#waiting.get(shape);
    if (waiting === undefined) {
      const columns = this.#columnsOf(kind, row);
      waiting = { kind, columns, rows: new RowsBuilder(columns) };
      this.#waiting.set(shape, waiting);
    }
    this.#append(waiting, row);
    return sent;
  }

  /** What waits. */
  finish(): readonly Operation[] {
    this.#shapes.clear();
    const groups = this.#groups === null ? [] : [this.#groups];
    this.#groups = null;
    return [...groups, ...this.#waiting.values()]
      .filter(({ rows }) => rows.length > 0)
      .map(({ kind, rows }): Operation => {
        const sent = kind === "group" ? "delete" : kind;
        return { kind: sent, table: this.#table.id, rows: rows.finish() };
      });
  }

  /** Groups wait together, and before other rows, as long as they have none of the keys that wait. */
  #addGroup(row: GivenRow): readonly Operation[] {
    const shape = partialShape("group", row);
    const waits =
      this.#groups === null
        ? [...this.#waiting.values()].some(({ rows }) => rows.length > 0)
        : this.#groups.shape !== shape || this.#groups.beside.has(keyOf(this.#declared, row, this.#groups.given));
    const sent = waits ? this.finish() : [];
    if (this.#groups === null) {
      const columns = this.#columnsOf("group", row);
      const given = columns.map(({ name }) => name);
      this.#groups = { kind: "group", columns, rows: new RowsBuilder(columns), shape, given, beside: new Set() };
    }
    this.#append(this.#groups, row);
    return sent;
  }

  /** Sends what waits if the row's key waits with another shape. */
  #keepOrder(shape: string, row: GivenRow): readonly Operation[] {
    let sent: readonly Operation[] = [];
    if (!this.#mixed) {
      this.#mixed = this.#waiting.size > 0 && !this.#waiting.has(shape);
      if (!this.#mixed) return sent;
      sent = this.finish();
    }
    const key = keyOf(this.#declared, row);
    const known = this.#shapes.get(key);
    if (known !== undefined && known !== shape) sent = this.finish();
    this.#shapes.set(key, shape);
    return sent;
  }

  /** Adds columns that the row is the first to have, and widens columns for it: also those of the key that is deleted. */
  #makeRoom({ others }: GivenRow): readonly Operation[] {
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
    this.#waiting.clear();
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
        `table "${this.#table.id}": column "${name}" was ${typeName(type)} and now has a ${typeName(inferred.type)}: it becomes STRING. To avoid that, declare its type in schema.`,
      );
    }
    return wide;
  }

  #columnsOf(kind: Change, { cells, others }: GivenRow): readonly Column[] {
    const { key, columns } = this.#declared;
    // All columns, those of the key, or those that are given.
    const has = (name: string, isGiven: boolean): boolean =>
      kind === "upsert" || (kind === "group" ? isGiven : key.includes(name) || (kind === "update" && isGiven));
    const declared = this.#selected
      .filter((index) => has(columns[index]!.name, cells[index] !== undefined))
      .map((index): Column => ({ ...columns[index]!, nullable: !key.includes(columns[index]!.name) }));
    const inferred = [...this.#inferred.values()].filter(({ name }) => has(name, others.has(name)));
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

/** Only given columns belong to the shape: others keep their value, or do not matter. */
function partialShape(kind: Change, { cells, others }: GivenRow): string {
  const given = cells.flatMap((cell, index) => (cell === undefined ? [] : [index]));
  return JSON.stringify([kind, given, [...others.keys()]]);
}

/** Whole numbers go into 64 bits without a BigInt in between. */
function append(builder: VectorBuilder, cell: Cell): void {
  const { type } = builder;
  if (typeof cell === "number" && type.kind !== "DOUBLE" && byteWidth(type) === 8) builder.int64Number(cell);
  else appendCell(builder, cell);
}
