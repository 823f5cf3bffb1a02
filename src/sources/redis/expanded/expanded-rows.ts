import { HeadwatersError } from "../../../protocol/errors.ts";
import type { Rows } from "../../../protocol/rows.ts";
import type { Table } from "../../../protocol/table.ts";
import { typeName } from "../../../toolkit/types.ts";
import { RowsBuilder } from "../../../toolkit/vectors.ts";
import { documentMembers } from "./document.ts";
import type { Expanded } from "./expanded.ts";
import { fieldTypes } from "./field-values.ts";
import { matchKey } from "./key-pattern.ts";
import { Members } from "../values/members.ts";
import type { KeyRows } from "../keys/key-reader.ts";
import type { KeyBatch } from "../scan/scan.ts";
import { isText, marked, textOf } from "../values/text.ts";
import type { NativeType } from "../types.ts";
import { ValueWriter } from "../values/value-writer.ts";
import { versionColumn } from "../values/version-column.ts";
import type { KeyQuestions } from "../scan/walk-keys.ts";

/** Rows with a column for each hash field or each member of a JSON document; a string has one column. */
export class ExpandedRows implements KeyRows {
  readonly questions: KeyQuestions;
  readonly #expanded: Expanded;
  readonly #onlyKeys: boolean;
  readonly #widens: boolean;
  #table: Table;
  #rows: RowsBuilder;
  /** The index of each field's column, by the field's name. */
  #columns: ReadonlyMap<string, number>;
  /** Indexes of data columns, sorted by name, so that a version does not depend on the order of columns. */
  #byName: readonly number[];
  readonly #writer = new ValueWriter();
  readonly #version = Buffer.alloc(16);
  /** Fields of values that are not hashes. */
  readonly #made = new Members();

  /** `keys`: rows have only key and version; `known columns`: fields without a column are left out. */
  constructor(
    table: Table,
    expanded: Expanded,
    what: "rows" | "keys" | "known columns",
    onOther: (type: string) => void,
  ) {
    this.#expanded = expanded;
    this.#onlyKeys = what === "keys";
    this.#widens = expanded.open && what !== "known columns";
    this.#table = table;
    this.questions = {
      ttl: false,
      expires: false,
      wants(type) {
        if (type.dataType === "hash" || type.dataType === "json" || type.dataType === "string") return true;
        onOther(type.dataType);
        return false;
      },
    };
    [this.#rows, this.#columns, this.#byName] = this.#layout();
  }

  get length(): number {
    return this.#rows.length;
  }

  get bytes(): number {
    return this.#rows.bytes;
  }

  widened(found: Members, type: NativeType): Table | null {
    if (!this.#widens) return null;
    const members = this.#fields(found, type);
    const { columns } = this.#table;
    let more: Table["columns"] = columns;
    for (let piece = 0; piece < members.pieces; piece += 2) {
      const name = textOf(members.bytes.subarray(members.starts[piece], members.ends[piece]));
      if (this.#columns.has(name)) continue;
      const column = this.#expanded.column(name, type);
      if (!this.#expanded.isChosen(column.name)) continue;
      if (!more.some((known) => known.name === column.name)) more = [...more, column];
    }
    return more === columns ? null : { ...this.#table, columns: more };
  }

  widen(table: Table): void {
    this.#table = table;
    [this.#rows, this.#columns, this.#byName] = this.#layout();
  }

  append(keys: KeyBatch, index: number, type: NativeType, found: Members): void {
    const { parts } = this.#expanded;
    const positions = matchKey(parts, keys.bytes, keys.starts[index]!, keys.ends[index]!);
    if (positions === null) return;
    const members = this.#fields(found, type);
    const pieces = this.#place(members);
    const writer = this.#writer;
    writer.begin(type.bytes);
    for (const column of this.#byName) {
      const piece = pieces[column]!;
      if (piece < 0) continue;
      // Each length stands before its content, so that no two rows make the same bytes.
      const [start, end] = [members.starts[piece]!, members.ends[piece]!];
      writer.raw(Buffer.from(`${this.#table.columns[column]!.name}\0${end - start}\0`));
      writer.raw(members.bytes, start, end);
    }
    this.#write(keys, index, positions, members, pieces);
  }

  /** Fails the table: a key that can't be read has no row, and its row in the copy must not be deleted for that. */
  fail(keys: KeyBatch, index: number, message: string): void {
    throw new HeadwatersError(
      "VALUE_OUT_OF_RANGE",
      `table "${this.#table.id}": key "${textOf(keys.key(index))}" can't be read: ${message}`,
      {
        hint: "Raise max_value_bytes, or change the table's pattern so that this key is not in it.",
      },
    );
  }

  finish(): Rows {
    return this.#rows.finish();
  }

  /** The piece for each column; -1: none. If a field comes twice, the last one counts. */
  #place(members: Members): Int32Array {
    const pieces = new Int32Array(this.#table.columns.length).fill(-1);
    for (let piece = 0; piece < members.pieces; piece += 2) {
      const name = members.bytes.toString("utf8", members.starts[piece], members.ends[piece]);
      const column =
        this.#columns.get(name) ??
        this.#columns.get(textOf(members.bytes.subarray(members.starts[piece], members.ends[piece])));
      if (column !== undefined) pieces[column] = piece + 1;
    }
    return pieces;
  }

  #write(keys: KeyBatch, index: number, positions: readonly number[], members: Members, pieces: Int32Array): void {
    const { columns } = this.#table;
    const { builders } = this.#rows;
    let builder = 0;
    for (let column = 0; column < columns.length; column++) {
      const { name, type } = columns[column]!;
      const part = this.#expanded.keyColumns.indexOf(name);
      if (this.#onlyKeys && part < 0 && name !== versionColumn.name) continue;
      const target = builders[builder++]!;
      if (part >= 0) {
        const [start, end] = [positions[part * 2]!, positions[part * 2 + 1]!];
        const text = isText(keys.bytes, start, end) ? keys.bytes.subarray(start, end) : marked(keys.bytes, start, end);
        target.bytesOf(text, 0, text.length);
      } else if (name === versionColumn.name) {
        this.#version.write(this.#writer.digest(), "latin1");
        target.bytesOf(this.#version, 0, 16);
      } else if (pieces[column]! < 0) target.null();
      else {
        const piece = pieces[column]!;
        const [start, end] = [members.starts[piece]!, members.ends[piece]!];
        if (fieldTypes[type.kind]!(target, members.bytes, start, end)) continue;
        const value = textOf(members.bytes.subarray(start, Math.min(end, start + 40)));
        throw new HeadwatersError(
          "VALUE_OUT_OF_RANGE",
          `table "${this.#table.id}": column "${name}" of key "${textOf(keys.key(index))}" is no ${typeName(type)}: "${value}"`,
          {
            hint: `Make the type of the column STRING, or another that holds this value, under tables.${this.#table.id}.columns.`,
          },
        );
      }
    }
  }

  /** Fields and their values for every type of key: a string has one field `value`. */
  #fields(found: Members, type: NativeType): Members {
    if (type.dataType === "hash") return found;
    const members = this.#made;
    if (type.dataType === "json") documentMembers(found, this.#expanded, members);
    else {
      members.gather(2);
      members.copy(Buffer.from("value"), 0, 5);
      members.copy(found.bytes, found.starts[0]!, found.ends[0]!);
    }
    return members;
  }

  #layout(): [RowsBuilder, ReadonlyMap<string, number>, readonly number[]] {
    const { columns } = this.#table;
    const { keyColumns, fieldOf } = this.#expanded;
    const isKey = (name: string): boolean => keyColumns.includes(name) || name === versionColumn.name;
    const data = columns.flatMap(({ name }, index) => (isKey(name) ? [] : [index]));
    const byName = data.toSorted((a, b) => (columns[a]!.name < columns[b]!.name ? -1 : 1));
    const fields = new Map(data.map((index) => [fieldOf(columns[index]!.name), index]));
    const written = this.#onlyKeys ? columns.filter(({ name }) => isKey(name)) : columns;
    return [new RowsBuilder(written), fields, byName];
  }
}
