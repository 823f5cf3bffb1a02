import { HeadwatersError } from "../protocol/errors.ts";
import type { Rows } from "../protocol/rows.ts";
import type { Table } from "../protocol/table.ts";
import { cell } from "../toolkit/vectors.ts";
import { type ValueEncoder, valueEncoder } from "./encode-value.ts";
import { Frame, varintSize } from "./frame.ts";
import { sentColumns } from "./types.ts";

/** The numbers of `RecordType`. */
export const recordTypes = { upsert: 0, update: 1, delete: 2, truncate: 3 } as const;

/** The largest number of records in one message that the protocol allows, and about the largest size that we send. */
const [mostRecords, mostBytes] = [100, 1 << 20];

/**
 * The largest row. Fivetran's client takes messages of up to 128 MiB, and a message may begin with smaller rows.
 */
const mostRowBytes = 126 << 20;

/** Room before a message for its header, which is known last. */
const headroom = 8;

/** Sends a message. If it returns a promise, wait for it before sending more. */
export type Send = (message: Uint8Array) => Promise<void> | null;

/**
 * Whether a row is to be sent. `bytes` has the values of its compared columns, from `start` to `end`.
 */
export type Admit = (row: number, bytes: Buffer, start: number, end: number) => boolean;

interface ColumnEncoder {
  /** The first part of a map entry: the column's name. */
  readonly name: Uint8Array;
  readonly encode: ValueEncoder;
}

/**
 * Writes rows as `UpdateResponse { records }` messages directly from the columns' memory, without an object per row or
 * value.
 */
export class RecordEncoder {
  readonly #frame = new Frame();
  readonly #schema: string;
  readonly #send: Send;
  #records = 0;
  /** How many bytes the length of the last record took: the next one probably takes as many. */
  #lengthBytes = 2;

  constructor(schema: string, send: Send) {
    this.#schema = schema;
    this.#send = send;
    this.#frame.position = headroom;
  }

  /** Sends the rows that `admit` accepts; resolves to their number. */
  async write(table: Table, type: keyof typeof recordTypes, rows: Rows, admit: Admit | null): Promise<number> {
    const head = this.#head(table.id, type);
    const { compared, volatile } = columnEncoders(table, rows);
    let sent = 0;
    let whole = this.#frame.position;
    try {
      for (let row = 0; row < rows.length; row++) {
        if (!this.#record(head, compared, volatile, row, admit)) continue;
        const bytes = this.#frame.position - whole;
        if (bytes > mostRowBytes) throw rowTooLarge(table, rows, row, bytes);
        sent += 1;
        if (this.#records === mostRecords || this.#frame.position > mostBytes) {
          const wait = this.#flush();
          if (wait !== null) await wait;
        }
        whole = this.#frame.position;
      }
    } finally {
      // Rows that were accepted before a value that can't be sent count as sent.
      this.#frame.position = whole;
      if (this.#records > 0) await this.#flush();
    }
    return sent;
  }

  /** Sends a truncate record: all rows of the table so far are gone. */
  async truncate(table: string): Promise<void> {
    this.#record(this.#head(table, "truncate"), [], [], 0, null);
    await this.#flush();
  }

  /** The part that all records have in common: schema, table, kind. */
  #head(table: string, type: keyof typeof recordTypes): Uint8Array {
    return Buffer.concat([tagged(1, this.#schema), tagged(2, table), Buffer.of(3 << 3, recordTypes[type])]);
  }

  #record(
    head: Uint8Array,
    compared: readonly ColumnEncoder[],
    volatile: readonly ColumnEncoder[],
    row: number,
    admit: Admit | null,
  ): boolean {
    const frame = this.#frame;
    const start = frame.position;
    frame.reserve(head.length + 16);
    frame.byte((1 << 3) | 2);
    const lengthAt = frame.position;
    frame.position += this.#lengthBytes;
    frame.copy(head, 0, head.length);
    const valuesAt = frame.position;
    for (const column of compared) entry(frame, column, row);
    if (admit !== null && !admit(row, frame.bytes, valuesAt, frame.position)) {
      frame.position = start;
      return false;
    }
    for (const column of volatile) entry(frame, column, row);
    this.#lengthBytes = writeLength(frame, lengthAt, this.#lengthBytes);
    this.#records += 1;
    return true;
  }

  #flush(): Promise<void> | null {
    const frame = this.#frame;
    const length = frame.position - headroom;
    const start = headroom - 1 - varintSize(length);
    const end = frame.position;
    frame.position = start;
    frame.byte((6 << 3) | 2);
    frame.varint(length);
    const message = Buffer.from(frame.bytes.subarray(start, end));
    frame.shrink(mostBytes * 2);
    frame.position = headroom;
    this.#records = 0;
    return this.#send(message);
  }
}

function rowTooLarge(table: Table, rows: Rows, row: number, bytes: number): HeadwatersError {
  const key = table.key.map((name) => {
    const value = cell(rows.values[rows.columns.indexOf(name)]!, row);
    return `${name}=${JSON.stringify(value instanceof Uint8Array ? Buffer.from(value).toString("base64") : String(value))}`;
  });
  const which = key.length === 0 ? "a row" : `the row with ${key.join(", ").slice(0, 500)}`;
  return new HeadwatersError(
    "VALUE_OUT_OF_RANGE",
    `table "${table.id}": ${which} has ${(bytes / 2 ** 20).toFixed(0)} MiB, but Fivetran accepts messages of up to 128 MiB`,
    { hint: "Deselect its largest column in Fivetran, or make the row smaller in the source." },
  );
}

/** One entry of the map `data`. */
function entry(frame: Frame, { name, encode }: ColumnEncoder, row: number): void {
  frame.reserve(name.length + 16);
  frame.byte((4 << 3) | 2);
  const lengthAt = frame.position++;
  frame.copy(name, 0, name.length);
  encode(frame, row);
  const length = frame.position - lengthAt - 1;
  if (length < 0x80) frame.bytes[lengthAt] = length;
  else writeLength(frame, lengthAt, 1);
}

/** Writes the length of the bytes after `at`, where `room` bytes were left for it; moves the bytes if it needs others. */
function writeLength(frame: Frame, at: number, room: number): number {
  const { position } = frame;
  const length = position - at - room;
  const size = varintSize(length);
  if (size !== room) {
    frame.reserve(size);
    frame.bytes.copyWithin(at + size, at + room, position);
  }
  frame.position = at;
  frame.varint(length);
  frame.position = position + size - room;
  return size;
}

/** The sent columns of a batch: those that are compared, and those that change by themselves. */
function columnEncoders(table: Table, rows: Rows): Record<"compared" | "volatile", readonly ColumnEncoder[]> {
  const columns = sentColumns(table).flatMap((column) => {
    const vector = rows.values[rows.columns.indexOf(column.name)];
    return vector === undefined ? [] : [{ column, vector }];
  });
  const encoders = (isVolatile: boolean): readonly ColumnEncoder[] =>
    columns
      .filter(({ column }) => (column.volatile === true) === isVolatile)
      .map(({ column, vector }) => ({
        name: tagged(1, column.name),
        encode: valueEncoder(vector, column, table.id),
      }));
  return { compared: encoders(false), volatile: encoders(true) };
}

/** A text as a field of a message. */
function tagged(field: number, text: string): Buffer {
  const bytes = Buffer.from(text);
  const frame = new Frame(bytes.length + 8);
  frame.byte((field << 3) | 2);
  frame.varint(bytes.length);
  frame.copy(bytes, 0, bytes.length);
  return Buffer.from(frame.bytes.subarray(0, frame.position));
}
