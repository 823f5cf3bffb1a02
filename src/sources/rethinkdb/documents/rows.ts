import { hash } from "node:crypto";
import { HeadwatersError } from "../../../protocol/errors.ts";
import type { Json } from "../../../protocol/json.ts";
import type { Rows } from "../../../protocol/rows.ts";
import type { SourceContext } from "../../../protocol/source.ts";
import type { Table } from "../../../protocol/table.ts";
import { canonicalJson, type Document, kinds } from "../../../wire/reql/document.ts";
import { byteWidth, typeName, widen } from "../../../toolkit/types.ts";
import { RowsBuilder, type VectorBuilder } from "../../../toolkit/vectors.ts";
import { FieldMatcher, type KnownField, nameOf, uninteresting, unknownField } from "./field-matcher.ts";
import { type FieldNames, fieldOf, versionColumn } from "./fields.ts";
import { MomentText } from "../timestamps/moment-text.ts";
import { formOf, madeFields, momentOf } from "../timestamps/timestamps.ts";
import { isKind, type Kind, type Rule, seenType, takenBy, takes, typeOfKind } from "../types.ts";
import { jsonText, jsonValue, writeMoment, writeNaturally } from "./write-value.ts";

/** The settings by which rows are made. */
export interface RowsShape {
  readonly names: FieldNames;
  /** `keys`: only key and version. */
  readonly what: "rows" | "keys";
  /** The field that the version is made from; `null`: the table has no version. */
  readonly timestamp: string | null;
  /** Whether the column of a field is not selected. */
  isSkipped(field: string): boolean;
  readonly context: Pick<SourceContext, "types" | "tables">;
  /** Called when this column holds whole numbers that RethinkDB has rounded. */
  onRounded(column: string): void;
}

/** All values fit their columns as they are. */
const allPlain = 1 << takes.plainly;

/** Batches that are kept for the next rows, besides the plain batch. */
const mostKept = 16;
/** Initial row capacity of such a batch. Each mixture of types has its own batch, often of a few rows. */
const roomApart = 16;
/** Approximate bytes of a column in such a batch, even without rows: room for 16 short texts, and its description. */
const columnBytes = 512;

/** Makes rows of documents, and detects documents that need columns that do not exist yet. */
export class DocumentRows {
  readonly #shape: RowsShape;
  readonly #moment = new MomentText();
  #table: Table;
  #fields!: FieldMatcher;
  /** For each written column except the version: the index of its known field. */
  #written: readonly number[] = [];
  #keyField = 0;
  #timestampField = -1;
  /** Batches, by the types of values in their text columns. */
  #builders = new Map<string, RowsBuilder>();
  #plain!: RowsBuilder;
  #rowBytes = 0;
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

  /** Approximate bytes of the rows. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Takes a document and returns `null`; or takes nothing and returns the table that the document needs. */
  append(document: Document): Table | null {
    const ways = this.#fields.match(document);
    const { found, fields } = this.#fields;
    if (found[this.#keyField]! < 0) throw this.#withoutKey();
    if (ways & (1 << takes.no)) return this.#wider(document);
    const { builders } = ways & (1 << takes.apart) ? this.#builderApart(document) : this.#plain;
    const written = this.#written;
    for (let column = 0; column < written.length; column++) {
      const field = found[written[column]!]!;
      if (field < 0) builders[column]!.null();
      else if (ways === allPlain) writeNaturally(builders[column]!, document, field);
      else this.#write(builders[column]!, fields[written[column]!]!, document, field);
    }
    if (written.length < builders.length) this.#writeVersion(builders[written.length]!, document);
    this.#bytes += document.end - document.start + this.#rowBytes;
    return null;
  }

  /** Uses the columns of `table` from now on. No rows may be held at this time. */
  widen(table: Table): void {
    this.#table = table;
    this.#shape.names.add(table.columns);
    this.#layOut();
  }

  /** The rows so far: one batch, or one per mixture of types if a column holds values of several types. */
  finish(): Rows[] {
    const batches: Rows[] = [];
    for (const builder of this.#builders.values()) if (builder.length > 0) batches.push(builder.finish());
    if (this.#builders.size > mostKept) this.#builders = new Map([["", this.#plain]]);
    this.#bytes = 0;
    return batches;
  }

  /** The key of the last document. */
  keyOf(document: Document): Json {
    return jsonValue(document, this.#fields.found[this.#keyField]!);
  }

  #layOut(): void {
    const { what, timestamp } = this.#shape;
    const { key, version, columns } = this.#table;
    const written = columns.filter(
      ({ name }) => name !== versionColumn.name && (what === "rows" || key.includes(name)),
    );
    const fields = written.map((column) => this.#knownField(column));
    this.#written = fields.map((_, index) => index);
    this.#keyField = written.findIndex(({ name }) => name === key[0]);
    const versioned = version === versionColumn.name;
    this.#timestampField = versioned ? fields.findIndex(({ name }) => name === timestamp) : -1;
    if (versioned && timestamp !== null && this.#timestampField < 0) {
      this.#timestampField = fields.push({ name: timestamp, column: null, taken: uninteresting }) - 1;
    }
    this.#fields = new FieldMatcher(fields, (name) => what === "keys" || this.#shape.isSkipped(name));
    const all = versioned ? [...written, versionColumn] : written;
    this.#plain = new RowsBuilder(all);
    this.#builders = new Map([["", this.#plain]]);
    this.#rowBytes = all.reduce((sum, { type }) => sum + (byteWidth(type) ?? 4), 0);
  }

  #knownField(column: Table["columns"][number]): KnownField {
    const { key, id } = this.#table;
    const { kind } = column.type;
    if (!isKind(kind)) throw new HeadwatersError("DEFECT", `column "${column.name}" can't be ${kind}`);
    const isSet = this.#shape.context.tables[id]?.types?.[column.name] !== undefined;
    const rule: Rule = key.includes(column.name) ? "key" : isSet ? "set" : "seen";
    const taken = takenBy(kind, kind === "JSON" && rule !== "seen" ? "json" : rule);
    return { name: fieldOf(column.name), column, taken };
  }

  /** The table with the columns and types that this document needs. */
  #wider(document: Document): Table {
    const { names, context } = this.#shape;
    const { targets, fields } = this.#fields;
    const columns = [...this.#table.columns];
    const types = context.tables[this.#table.id]?.types;
    for (let field = 0; field < document.fields; field++) {
      const target = targets[field]!;
      const kind = document.kinds[field]!;
      const known = target < 0 ? null : fields[target]!;
      if (known === null ? target !== unknownField : known.taken[kind] !== takes.no) continue;
      const seen = seenType(typeOfKind[kind]!, context);
      const column = known?.column ?? null;
      if (column === null) {
        const name = names.columnOf(nameOf(document, field));
        columns.push({ name, type: types?.[name] ?? seen, nullable: true });
      } else {
        const type = widen(column.type, seen);
        if (target === this.#keyField && type.kind === "STRING") throw this.#keyChanged();
        columns[columns.indexOf(column)] = { ...column, type };
      }
    }
    return { ...this.#table, columns };
  }

  /**
   * The batch for rows whose values in text columns have the same types as in this document. The destination turns such
   * values into text, in the same way as when a column changes to text.
   */
  #builderApart(document: Document): RowsBuilder {
    const { found, fields } = this.#fields;
    const replaced = new Map<string, Kind>();
    for (const index of this.#written) {
      const field = found[index]!;
      const { column, taken } = fields[index]!;
      const kind = field < 0 ? kinds.null : document.kinds[field]!;
      if (taken[kind] === takes.apart) replaced.set(column!.name, typeOfKind[kind]!);
    }
    const id = JSON.stringify([...replaced]);
    const known = this.#builders.get(id);
    if (known !== undefined) return known;
    const columns = this.#written.map((index) => {
      const column = fields[index]!.column!;
      const kind = replaced.get(column.name);
      return kind === undefined ? column : { ...column, type: { kind } };
    });
    const versioned = this.#plain.columns.length > columns.length;
    const builder = new RowsBuilder(versioned ? [...columns, versionColumn] : columns, roomApart);
    this.#builders.set(id, builder);
    this.#bytes += builder.columns.length * columnBytes;
    return builder;
  }

  #write(target: VectorBuilder, { taken, column }: KnownField, document: Document, field: number): void {
    switch (taken[document.kinds[field]!]) {
      case takes.asJson:
        return target.text(jsonText(document, field));
      case takes.rounded:
        this.#shape.onRounded(column!.name);
        return writeNaturally(target, document, field);
      case takes.asMoment: {
        const microseconds = momentOf(document, field);
        if (microseconds === null) throw this.#misfit(column!.name, document, field);
        return writeMoment(target, microseconds);
      }
      case takes.wrongly:
        throw this.#misfit(column!.name, document, field);
      default:
        return writeNaturally(target, document, field);
    }
  }

  /** Writes the moment of the last change and its written form, if a field has it; else a digest of the document. */
  #writeVersion(target: VectorBuilder, document: Document): void {
    const { timestamp } = this.#shape;
    const told = this.#timestampField >= 0 && !madeFields.has(timestamp!);
    const field = told ? this.#fields.found[this.#timestampField]! : -1;
    const microseconds = field < 0 ? null : momentOf(document, field);
    if (microseconds !== null) {
      this.#moment.write(microseconds);
      const form = formOf(document, field);
      if (form !== null) this.#moment.add(form);
      return target.bytesOf(this.#moment.bytes, 0, this.#moment.length);
    }
    const { bytes, start, end, loose } = document;
    const whole = loose ? Buffer.from(canonicalJson(bytes.toString("utf8", start, end))) : bytes.subarray(start, end);
    target.text(`md5 ${hash("md5", whole)}`);
  }

  #misfit(column: string, document: Document, field: number): HeadwatersError {
    const type = this.#table.columns.find(({ name }) => name === column)!.type;
    const key = jsonText(document, this.#fields.found[this.#keyField]!);
    return new HeadwatersError(
      "VALUE_OUT_OF_RANGE",
      `table "${this.#table.id}": column "${column}" of key ${key} is no ${typeName(type)}: ${jsonText(document, field).slice(0, 60)}`,
      { hint: "Set another type for this column, or none: STRING and JSON take every value." },
    );
  }

  #withoutKey(): HeadwatersError {
    return new HeadwatersError(
      "VALUE_OUT_OF_RANGE",
      `table "${this.#table.id}": a document has no "${this.#table.key[0]}", which was assumed to be the primary key`,
      {
        hint: "Let the user read the table's description (info), so that its real key is known; or leave the table out.",
      },
    );
  }

  #keyChanged(): HeadwatersError {
    return new HeadwatersError(
      "TABLE_CHANGED",
      `table "${this.#table.id}": a primary key is of another type than earlier keys`,
      { hint: "It is planned again." },
    );
  }
}
