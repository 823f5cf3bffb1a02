import type { Rows } from "../../../protocol/rows.ts";
import { cellText } from "../../../wire/postgres/cell-text.ts";
import type { Codec, ResultColumn } from "../../../wire/postgres/codecs.ts";
import { escapeIdentifier } from "../../../wire/postgres/literals.ts";
import { cell, RowsBuilder } from "../../../toolkit/vectors.ts";
import type { Column } from "../../../protocol/table.ts";
import type { Type } from "../../../protocol/types.ts";
import { columnOf, type Shape } from "../catalog/shape.ts";
import type { Term } from "./select.ts";
import type { Bound } from "../work.ts";

interface Selected {
  readonly name: string;
  readonly type: Type;
  readonly codec: Codec;
  readonly expression: string;
}

/** Rows, and the position of the last row in the order of the split. */
export interface Batch {
  readonly rows: Rows;
  readonly last: Bound;
}

/**
 * The results of a statement, column by column: first the delivered columns, then those that only give the position.
 * Decoders write into it, and `finish` takes a batch out.
 */
export class Result {
  /** The expressions to select, in this order. */
  readonly expressions: readonly string[];
  readonly columns: readonly ResultColumn[];
  readonly #builder: RowsBuilder;
  readonly #delivered: number;
  /** For each term of the order: the index of the column that holds its value. */
  readonly #terms: readonly number[];

  constructor(shape: Shape, delivered: readonly Column[], terms: readonly Term[]) {
    const selected = delivered.map(({ name }) => selectedColumn(shape, name));
    this.#terms = terms.map((term) => {
      const { column } = term;
      const known = selected.findIndex(({ name }) => column !== null && name === column);
      if (known >= 0) return known;
      return selected.push(column === null ? computed(term) : selectedColumn(shape, column)) - 1;
    });
    this.#delivered = delivered.length;
    this.#builder = new RowsBuilder(selected);
    this.expressions = selected.map((column) => column.expression);
    this.columns = selected.map(({ name, codec }, index) => ({ name, codec, builder: this.#builder.builders[index]! }));
  }

  get length(): number {
    return this.#builder.length;
  }

  get bytes(): number {
    return this.#builder.bytes;
  }

  /** Takes out the rows so far, at least one, and starts anew. */
  finish(): Batch {
    const { columns, values, length } = this.#builder.finish();
    const last = this.#terms.map((index) => {
      const vector = values[index]!;
      const value = cell(vector, length - 1);
      if (value === null) throw new TypeError(`the position in ${columns[index]} is NULL`);
      return this.columns[index]!.codec === "tid" ? placeText(BigInt(value as bigint)) : cellText(vector.type, value);
    });
    const delivered = this.#delivered;
    return { rows: { columns: columns.slice(0, delivered), values: values.slice(0, delivered), length }, last };
  }
}

function selectedColumn(shape: Shape, name: string): Selected {
  const { mapping } = columnOf(shape, name);
  return { name, type: mapping.type, codec: mapping.codec, expression: mapping.select(escapeIdentifier(name)) };
}

/** A term that is not a column: the place of a row, or its hash code. */
function computed({ expression, sql }: Term): Selected {
  return sql === "tid"
    ? { name: expression, type: { kind: "LONG" }, codec: "tid", expression }
    : { name: expression, type: { kind: "INT" }, codec: "int4", expression };
}

/** The inverse of the codec `tid`. */
function placeText(place: bigint): string {
  return `(${place >> 32n},${place & 0xffff_ffffn})`;
}
