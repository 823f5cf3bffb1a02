import { hash } from "node:crypto";
import { HeadwatersError } from "../../protocol/errors.ts";
import type { Json } from "../../protocol/json.ts";
import type { Rows } from "../../protocol/rows.ts";
import type { SourceContext } from "../../protocol/source.ts";
import type { Column, Table } from "../../protocol/table.ts";
import { canonicalJson, type Document, kinds } from "../../toolkit/reql/document.ts";
import { byteWidth, typeName, widen } from "../../toolkit/types.ts";
import { RowsBuilder, type VectorBuilder } from "../../toolkit/vectors.ts";
import { type FieldNames, fieldOf, versionColumn } from "./fields.ts";
import { MomentText } from "./moment-text.ts";
import { madeFields, momentOf } from "./timestamps.ts";
import { isKind, isRounded, type Kind, type Rule, seenType, takenBy, takes, typeOfKind } from "./types.ts";
import { jsonText, jsonValue, writeMoment, writeNaturally } from "./write-value.ts";

/** What rows are made for. */
export interface RowsShape {
  readonly names: FieldNames;
  /** `keys`: key and version alone. */
  readonly what: "rows" | "keys";
  /** The field that the version goes by; `null`: the table has no version. */
  readonly timestamp: string | null;
  /** Fields whose columns are not selected. */
  readonly skipped: ReadonlySet<string>;
  readonly context: Pick<SourceContext, "types" | "tables">;
  /** Whole numbers that RethinkDB has rounded were seen in this column. */
  onRounded(column: string): void;
}

/** A field that is looked for in each document. */
interface Wanted {
  readonly field: string;
  /** What the field's name looks like in a document; `null`: it needs escapes, and is not compared byte by byte. */
  readonly bytes: Buffer | null;
  /** `null`: it is only looked at. */
  readonly column: Column | null;
  readonly taken: Uint8Array;
}

const ignored = -1;
const unknown = -2;

/** Makes rows of documents, and finds out when they need columns that are not there. */
export class DocumentRows {
  readonly #shape: RowsShape;
  readonly #moment = new MomentText();
  #table: Table;
  #wanted: Wanted[] = [];
  #index = new Map<string, number>();
  /** By what came before it: the index that came after it last. Documents of a table are much alike. */
  #after: Int32Array = new Int32Array(0);
  /** By field of the document: the index of what is wanted. By index: the field. */
  #targets = new Int32Array(32);
  #found: Int32Array = new Int32Array(0);
  #keyIndex = 0;
  #timestampIndex = -1;
  #builders = new Map<string, RowsBuilder>();
  #plain!: RowsBuilder;
  #rowBytes = 0;
  #length = 0;
  #bytes = 0;

  constructor(table: Table, shape: RowsShape) {
    this.#shape = shape;
    this.#table = table;
    shape.names.add(table.columns);
    this.#layOut();
  }

  get table(): Table {
    return this.#table;
  }

  get length(): number {
    return this.#length;
  }

  /** About how many bytes the rows take. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Takes a document; or gives the table that it needs, and takes nothing. */
  append(document: Document): Table | null {
    const wider = this.#match(document);
    if (wider !== null) return wider;
    const builder = this.#builderFor(document);
    const { builders } = builder;
    const wanted = this.#wanted;
    let column = 0;
    for (let index = 0; index < wanted.length; index++) {
      if (wanted[index]!.column === null) continue;
      const target = builders[column++]!;
      const field = this.#found[index]!;
      if (field < 0) target.null();
      else this.#write(target, wanted[index]!, document, field);
    }
    if (column < builders.length) this.#writeVersion(builders[column]!, document);
    this.#length++;
    this.#bytes += document.end - document.start + this.#rowBytes;
    return null;
  }

  /** The columns of `table` from here on. Nothing may be held. */
  widen(table: Table): void {
    this.#table = table;
    this.#shape.names.add(table.columns);
    this.#layOut();
  }

  /** What was taken, in one batch or, where a column holds values of several types, in one for each. */
  finish(): Rows[] {
    const batches: Rows[] = [];
    for (const builder of this.#builders.values()) if (builder.length > 0) batches.push(builder.finish());
    this.#length = 0;
    this.#bytes = 0;
    return batches;
  }

  /** The key of the document that was taken last. */
  keyOf(document: Document): Json {
    return jsonValue(document, this.#found[this.#keyIndex]!);
  }

  #layOut(): void {
    const { what, timestamp, context } = this.#shape;
    const { key, version, columns, id } = this.#table;
    const types = context.tables[id]?.types;
    const written = columns.filter(
      ({ name }) => name !== versionColumn.name && (what === "rows" || key.includes(name)),
    );
    this.#wanted = written.map((column) => {
      const isKey = key.includes(column.name);
      const rule: Rule = isKey ? "key" : types?.[column.name] === undefined ? "seen" : "set";
      const field = fieldOf(column.name);
      return wantedOf(field, column, column.type.kind === "JSON" && rule !== "seen" ? "json" : rule);
    });
    this.#keyIndex = written.findIndex(({ name }) => name === key[0]);
    const versioned = version === versionColumn.name;
    this.#timestampIndex = versioned ? this.#wanted.findIndex(({ field }) => field === timestamp) : -1;
    if (versioned && timestamp !== null && this.#timestampIndex < 0) {
      this.#timestampIndex = this.#wanted.push(wantedOf(timestamp, null, "seen")) - 1;
    }
    const all = versioned ? [...written, versionColumn] : written;
    this.#plain = new RowsBuilder(all);
    this.#builders = new Map([["", this.#plain]]);
    this.#rowBytes = all.reduce((sum, { type }) => sum + (byteWidth(type) ?? 4), 0);
    this.#index = new Map(this.#wanted.map(({ field }, index) => [field, index]));
    this.#after = new Int32Array(this.#wanted.length + 1).fill(ignored);
    this.#found = new Int32Array(this.#wanted.length);
  }

  /** Finds the wanted fields of a document; gives the table that it needs where that is another. */
  #match(document: Document): Table | null {
    const { fields, names, bytes } = document;
    if (fields > this.#targets.length) this.#targets = new Int32Array(fields * 2);
    const [targets, found, after, wanted] = [this.#targets, this.#found, this.#after, this.#wanted];
    found.fill(-1);
    let previous = 0;
    let fits = true;
    for (let field = 0; field < fields; field++) {
      const guess = after[previous]!;
      let index = guess;
      if (guess < 0 || !isNamed(bytes, names[field * 2]!, names[field * 2 + 1]!, wanted[guess]!.bytes)) {
        index = this.#lookUp(document, field);
        if (index >= 0) after[previous] = index;
      }
      targets[field] = index;
      if (index >= 0) {
        found[index] = field;
        previous = index + 1;
        fits &&= wanted[index]!.taken[document.kinds[field]!] !== takes.no;
      } else fits &&= index === ignored;
    }
    if (found[this.#keyIndex]! < 0) throw this.#withoutKey();
    return fits ? null : this.#wider(document);
  }

  #lookUp(document: Document, field: number): number {
    const name = nameOf(document, field);
    const known = this.#index.get(name);
    if (known !== undefined) return known;
    const { what, skipped } = this.#shape;
    // A null needs no column: its place would be empty all the same.
    return what === "keys" || skipped.has(name) || document.kinds[field] === kinds.null ? ignored : unknown;
  }

  /** The table with what this document needs beyond it. */
  #wider(document: Document): Table {
    const { names, context } = this.#shape;
    const columns = [...this.#table.columns];
    const types = context.tables[this.#table.id]?.types;
    for (let field = 0; field < document.fields; field++) {
      const target = this.#targets[field]!;
      const kind = document.kinds[field]!;
      if (target === ignored || kind === kinds.null) continue;
      const seen = seenType(typeOfKind[kind]!, context);
      if (target === unknown) {
        const name = names.columnOf(nameOf(document, field));
        columns.push({ name, type: types?.[name] ?? seen, nullable: true });
      } else if (this.#wanted[target]!.taken[kind] === takes.no) {
        const { column } = this.#wanted[target]!;
        const type = widen(column!.type, seen);
        if (target === this.#keyIndex && type.kind === "STRING") throw this.#keyChanged();
        columns[columns.indexOf(column!)] = { ...column!, type };
      }
    }
    return { ...this.#table, columns };
  }

  /** The batch that a document's row goes to: one of its own where a column of text gets something else. */
  #builderFor(document: Document): RowsBuilder {
    const [found, wanted] = [this.#found, this.#wanted];
    let apart = false;
    for (let index = 0; index < wanted.length; index++) {
      const field = found[index]!;
      if (field < 0 || wanted[index]!.column === null) continue;
      const taken = wanted[index]!.taken[document.kinds[field]!];
      if (taken === takes.apart) apart = true;
      else if (taken === takes.wrongly) throw this.#misfit(wanted[index]!, document, field);
    }
    return apart ? this.#builderApart(document) : this.#plain;
  }

  #builderApart(document: Document): RowsBuilder {
    const replaced = new Map<string, Kind>();
    for (const [index, { column, taken }] of this.#wanted.entries()) {
      const field = this.#found[index]!;
      if (field < 0 || column === null) continue;
      const kind = document.kinds[field]!;
      if (taken[kind] === takes.apart) replaced.set(column.name, typeOfKind[kind]!);
    }
    const id = JSON.stringify([...replaced]);
    const known = this.#builders.get(id);
    if (known !== undefined) return known;
    const columns = this.#wanted.flatMap(({ column }) => {
      if (column === null) return [];
      const kind = replaced.get(column.name);
      return [kind === undefined ? column : { ...column, type: { kind } }];
    });
    const versioned = this.#plain.columns.length > columns.length;
    const builder = new RowsBuilder(versioned ? [...columns, versionColumn] : columns);
    this.#builders.set(id, builder);
    return builder;
  }

  #write(target: VectorBuilder, wanted: Wanted, document: Document, field: number): void {
    switch (wanted.taken[document.kinds[field]!]) {
      case takes.asJson:
        return target.text(jsonText(document, field));
      case takes.asMoment: {
        const microseconds = momentOf(document, field);
        if (microseconds === null) throw this.#misfit(wanted, document, field);
        return writeMoment(target, microseconds);
      }
      default:
        if (document.kinds[field] === kinds.number) this.#noteRounded(wanted, document.numbers[field]!);
        return writeNaturally(target, document, field);
    }
  }

  #noteRounded({ column }: Wanted, value: number): void {
    if (isRounded(value)) this.#shape.onRounded(column!.name);
  }

  /** The moment of the last change where a field tells it, else a digest of the whole document. */
  #writeVersion(target: VectorBuilder, document: Document): void {
    const { timestamp } = this.#shape;
    const field = this.#timestampIndex < 0 || madeFields.has(timestamp!) ? -1 : this.#found[this.#timestampIndex]!;
    const microseconds = field < 0 ? null : momentOf(document, field);
    if (microseconds !== null) {
      this.#moment.write(microseconds);
      return target.bytesOf(this.#moment.bytes, 0, this.#moment.length);
    }
    const { bytes, start, end, loose } = document;
    const whole = loose ? Buffer.from(canonicalJson(bytes.toString("utf8", start, end))) : bytes.subarray(start, end);
    target.text(`md5 ${hash("md5", whole)}`);
  }

  #misfit({ column }: Wanted, document: Document, field: number): HeadwatersError {
    const value = jsonText(document, field);
    return new HeadwatersError(
      "VALUE_OUT_OF_RANGE",
      `table "${this.#table.id}": column "${column!.name}" of key ${jsonText(document, this.#found[this.#keyIndex]!)} is no ${typeName(column!.type)}: ${value.slice(0, 60)}`,
      { hint: "Set another type for this column, or none: STRING and JSON take every value." },
    );
  }

  #withoutKey(): HeadwatersError {
    return new HeadwatersError(
      "VALUE_OUT_OF_RANGE",
      `table "${this.#table.id}": a document has no "${this.#table.key[0]}", which was taken for the primary key`,
      {
        hint: "Let the user read the table's description (info), so that its real key is known; or leave the table out.",
      },
    );
  }

  #keyChanged(): HeadwatersError {
    return new HeadwatersError(
      "TABLE_CHANGED",
      `table "${this.#table.id}": a primary key is of another type than those that were there before`,
      { hint: "It is planned anew." },
    );
  }
}

function wantedOf(field: string, column: Column | null, rule: Rule): Wanted {
  const bytes = field.includes("\\") ? null : Buffer.from(field);
  const kind = column?.type.kind ?? "JSON";
  if (!isKind(kind)) throw new HeadwatersError("DEFECT", `column "${column!.name}" can't be ${kind}`);
  const taken = column === null ? new Uint8Array(11).fill(takes.plainly) : takenBy(kind, rule);
  return { field, bytes, column, taken };
}

function nameOf({ bytes, names }: Document, field: number): string {
  const name = bytes.toString("utf8", names[field * 2], names[field * 2 + 1]);
  return name.includes("\\") ? (JSON.parse(`"${name}"`) as string) : name;
}

function isNamed(bytes: Buffer, start: number, end: number, name: Buffer | null): boolean {
  if (name === null || end - start !== name.length) return false;
  for (let index = 0; index < name.length; index++) if (bytes[start + index] !== name[index]) return false;
  return true;
}
