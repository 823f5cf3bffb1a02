import { isUtf8 } from "node:buffer";
import { asBroken, ProtocolBroken } from "../../net/broken.ts";
import type { Rows } from "../../protocol/rows.ts";
import type { Column } from "../../protocol/table.ts";
import type { Type } from "../../protocol/types.ts";
import { nilUuid } from "../../toolkit/uuid.ts";
import { appendCell, type Cell, RowsBuilder } from "../../toolkit/vectors.ts";
import { type Decoder, decoderFor, Unfit } from "./decode.ts";
import { keyDecoderFor } from "./keys.ts";
import type { Page, ResultColumn } from "./messages.ts";
import { Digest } from "./digest.ts";
import { isAbsent, jsonText, type KeyPlace } from "./text.ts";
import { cqlTypeName, isScalar, maySize } from "./types.ts";

/** The column that holds a digest of write times. */
export const versionColumn = "_headwaters_version";

/** The name of a cell that is selected only to see whether it exists. It is not part of the row or its version. */
export const unreadCell = "_headwaters_unread";

/**
 * The value of a clustering column for a partition with static columns only, since keys have no NULL.
 * If the partition has a row with that key, another value is used.
 */
export function emptyKey(type: Type): Cell {
  switch (type.kind) {
    case "BOOLEAN":
      return false;
    case "JSON":
      return "null";
    case "STRING":
    case "XML":
      return "";
    case "BINARY":
      return new Uint8Array(0);
    case "UUID":
      return nilUuid;
    default:
      return 0;
  }
}

/** A value of one column does not fit. `cause`: an {@link Unfit}, if the type is the reason. */
export class UnfitColumn extends Error {
  readonly column: string;
  readonly native: string;

  constructor(column: string, native: string, reason: string, cause?: Unfit) {
    super(reason, { cause });
    this.column = column;
    this.native = native;
  }
}

/** The native type of a column is not the one that the table was planned with. */
export class TypeChanged extends Error {}

/**
 * Decodes pages straight into vectors. The first cells of a row are the columns in their order, without the version
 * column; the cells after them are hashed into it, if the table has one.
 */
export class PageDecoder {
  readonly #builder: RowsBuilder;
  readonly #decoders: readonly Decoder[];
  /** Where the decoded columns go in the builder. */
  readonly #targets: readonly number[];
  readonly #isKey: readonly boolean[];
  readonly #mayBeEmpty: readonly boolean[];
  readonly #natives: readonly string[];
  readonly #version: number;
  readonly #cells: readonly ResultColumn[];
  /** How many of the cells, from the first on, belong to the row or its version. */
  readonly #hashed: number;
  readonly #digestOf = new Digest();
  readonly #columns: readonly Column[];
  /** The position of the last decoded row in the body of its page. */
  lastRow = 0;

  /** `result` describes the cells, as the server prepared them. Throws {@link TypeChanged}. */
  constructor(columns: readonly Column[], key: ReadonlyMap<string, KeyPlace>, result: readonly ResultColumn[]) {
    const data = columns.filter((column) => column.name !== versionColumn);
    this.#columns = columns;
    this.#builder = new RowsBuilder(columns);
    this.#version = columns.findIndex((column) => column.name === versionColumn);
    this.#targets = data.map((column) => columns.indexOf(column));
    this.#cells = result;
    this.#hashed = result.filter(({ name }) => name !== unreadCell).length;
    this.#isKey = data.map((column) => key.has(column.name));
    this.#natives = data.map((_, index) => cqlTypeName(result[index]!.type));
    this.#mayBeEmpty = data.map((_, index) => this.#isKey[index]! || !isAbsent(result[index]!.type, 0, 0));
    this.#decoders = data.map((column, index) => {
      const { type } = result[index]!;
      const place = key.get(column.name);
      const decoder = place === undefined ? decoderFor(type, column.type) : keyDecoderFor(type, place, column.type);
      if (decoder === null) throw new TypeChanged(`column "${column.name}" now has the type ${this.#natives[index]}`);
      return decoder;
    });
  }

  /** Batches of about `batchBytes` on the wire. Throws {@link UnfitColumn}. */
  *decode(page: Page, batchBytes: number): Generator<Rows> {
    const { body } = page;
    const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
    let at = page.start;
    let batchStart = at;
    for (let row = 0; row < page.rows; row++) {
      at = this.#row(body, view, at);
      if (at - batchStart < batchBytes) continue;
      batchStart = at;
      yield this.finish();
    }
    if (this.length > 0) yield this.finish();
  }

  /** Adds all rows of a page to those that {@link finish} gives. */
  append({ body, start, rows }: Page): void {
    const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
    let at = start;
    for (let row = 0; row < rows; row++) at = this.#row(body, view, at);
  }

  get length(): number {
    return this.#builder.length;
  }

  get bytes(): number {
    return this.#builder.bytes;
  }

  #row(body: Buffer, view: DataView, from: number): number {
    try {
      return this.#cellsOf(body, view, from);
    } catch (thrown) {
      throw asBroken(thrown, "a row that can't be read");
    }
  }

  #cellsOf(body: Buffer, view: DataView, from: number): number {
    const builders = this.#builder.builders;
    this.lastRow = from;
    let at = from;
    const data = this.#decoders.length;
    for (let index = 0; index < data; index++) {
      const length = view.getInt32(at);
      at += 4;
      const builder = builders[this.#targets[index]!]!;
      if (length < 0 || (length === 0 && !this.#mayBeEmpty[index]!)) {
        if (this.#isKey[index]!) appendCell(builder, emptyKey(builder.type));
        else builder.null();
        continue;
      }
      if (length > body.length - at || !maySize(this.#cells[index]!.type, length)) {
        throw new ProtocolBroken(`a value of type ${this.#natives[index]!} in ${length} bytes`);
      }
      try {
        this.#decoders[index]!(builder, body, view, at, at + length);
      } catch (thrown) {
        if (!(thrown instanceof Unfit)) throw thrown;
        throw new UnfitColumn(
          this.#columns[this.#targets[index]!]!.name,
          this.#natives[index]!,
          thrown.message,
          thrown,
        );
      }
      at += length;
    }
    return this.#version < 0 ? this.#skip(view, at, data) : this.#digest(body, view, at, data);
  }

  #skip(view: DataView, from: number, index: number): number {
    let at = from;
    for (let cell = index; cell < this.#cells.length; cell++) at += 4 + Math.max(0, view.getInt32(at));
    return at;
  }

  /** Structures are hashed as JSON, which any reader can make; scalars as their bytes. */
  #digest(body: Buffer, view: DataView, from: number, index: number): number {
    const digest = this.#digestOf;
    let at = from;
    digest.reset();
    for (let cell = index; cell < this.#hashed; cell++) {
      const length = view.getInt32(at);
      at += 4;
      const type = this.#cells[cell]!.type;
      if (length > body.length - at) throw new ProtocolBroken("a value that ends after its page");
      if (length < 0 || isScalar(type)) digest.cell(view, at, length);
      else digest.bytes(Buffer.from(jsonText(type, body, at, at + length)));
      at += Math.max(0, length);
    }
    this.#builder.builders[this.#version]!.int64(digest.low, digest.high);
    return this.#skip(view, at, this.#hashed);
  }

  finish(): Rows {
    const rows = this.#builder.finish();
    for (const [index, target] of this.#targets.entries()) {
      if (this.#natives[index] !== "text" && this.#natives[index] !== "ascii") continue;
      if (!isUtf8(rows.values[target]!.values)) {
        throw new UnfitColumn(this.#columns[target]!.name, this.#natives[index], "a value is not valid UTF-8");
      }
    }
    return rows;
  }
}
