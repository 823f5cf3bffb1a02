import { BodyReader } from "../../../wire/cql/body-reader.ts";
import { quoted } from "../../../wire/cql/errors.ts";
import type { Page } from "../../../wire/cql/messages.ts";
import { columnNames, type CqlTable } from "../catalog.ts";

/** The values of `cdc$operation`. Every other number is a change, including those that a later release may add. */
const operations = { preImage: 0, partitionDelete: 4, firstBound: 5, lastBound: 8, postImage: 9 } as const;
/** Smaller numbers are left bounds. */
const rightBound = 7;

/** Milliseconds from 1582-10-15, where UUIDs begin to count, to 1970. */
const uuidEpoch = 12_219_292_800_000;

/**
 * What may have changed: the row with this key or, if only the first columns of the key are given, every row with
 * these. If a clustering column is `null`, the hint is for the row of a partition that holds only static columns.
 */
export interface Hint {
  readonly cells: readonly (Buffer | null)[];
  /** When it was written, in milliseconds since 1970. */
  readonly at: number;
  /** When the row expires; `null`: never, or unknown. */
  readonly expires: number | null;
}

/** An entry of the log, with what it hints at. */
export interface Entry {
  /** Unique among the entries of the log. */
  readonly id: Buffer;
  readonly at: number;
  readonly hints: readonly Hint[];
}

/** The columns of a log that are read, in the order in which {@link entriesOf} takes them. */
export function logColumns(table: CqlTable): readonly string[] {
  const own = ["stream_id", "time", "batch_seq_no", "operation", "ttl"].map((name) => quoted(`cdc$${name}`));
  return [...own, ...keyColumns(table).map(quoted)];
}

function keyColumns(table: CqlTable): readonly string[] {
  return [...columnNames(table, "partition_key"), ...columnNames(table, "clustering")];
}

/** When a version 1 UUID was made, in milliseconds since 1970. */
export function momentOfUuid(uuid: Buffer): number {
  const high = ((uuid.readUInt16BE(6) & 0x0fff) << 16) | uuid.readUInt16BE(4);
  return Math.floor((high * 2 ** 32 + uuid.readUInt32BE(0)) / 10_000) - uuidEpoch;
}

/** A row of the log. */
interface LogRow {
  readonly id: Buffer;
  /** The same for all rows of one write. */
  readonly write: Buffer;
  readonly operation: number;
  readonly at: number;
  readonly expires: number | null;
  readonly cells: Hint["cells"];
}

/** Makes hints from the rows of some streams, in the order of the log. */
export class Hints {
  readonly #partition: number;
  readonly #key: number;
  readonly #hasStatics: boolean;
  /** The left bound of a range delete, whose right bound may come next. */
  #left: LogRow | null = null;

  constructor(table: CqlTable) {
    this.#partition = columnNames(table, "partition_key").length;
    this.#key = keyColumns(table).length;
    this.#hasStatics = columnNames(table, "static").length > 0 && this.#key > this.#partition;
  }

  *entriesOf(page: Page): Generator<Entry> {
    const { body, start, rows } = page;
    const reader = new BodyReader(body, start);
    for (let left = rows; left > 0; left--) yield* this.#next(this.#read(reader));
  }

  /** The remaining hints after the last page. */
  *rest(): Generator<Entry> {
    if (this.#left !== null) yield entryOf(this.#left, [this.#left.cells.slice(0, this.#partition)]);
    this.#left = null;
  }

  #read(reader: BodyReader): LogRow {
    const stream = reader.bytes()!;
    const time = reader.bytes()!;
    const place = reader.bytes()!;
    const operation = reader.bytes()?.readInt8() ?? -1;
    const ttl = reader.bytes();
    const cells = Array.from({ length: this.#key }, () => {
      const bytes = reader.bytes();
      // The page's memory is released long before some hints are used.
      return bytes === null ? null : Buffer.from(bytes);
    });
    const at = momentOfUuid(time);
    const expires = ttl === null ? null : at + Number(ttl.readBigInt64BE()) * 1_000;
    const write = Buffer.concat([stream, time]);
    return { id: Buffer.concat([write, place]), write, operation, at, expires, cells };
  }

  *#next(row: LogRow): Generator<Entry> {
    const isBound = row.operation >= operations.firstBound && row.operation <= operations.lastBound;
    const isRight = isBound && row.operation >= rightBound;
    const left = this.#left;
    if (isRight && left !== null && left.write.equals(row.write)) {
      this.#left = null;
      yield entryOf(left, []);
      yield entryOf(row, [this.#common(left.cells, row.cells)]);
      return;
    }
    yield* this.rest();
    if (isBound && !isRight) this.#left = row;
    else yield entryOf(row, this.#changed(row));
  }

  #changed({ operation, cells }: LogRow): readonly Hint["cells"][] {
    if (operation === operations.preImage || operation === operations.postImage) return [];
    const partition = cells.slice(0, this.#partition);
    if (this.#key === this.#partition) return [partition];
    // A bound without the other one, or a write of static columns, which are in every row of the partition.
    const isWide = operation >= operations.partitionDelete && operation <= operations.lastBound;
    if (isWide || cells.includes(null)) return [partition];
    const nothing = Array.from({ length: this.#key - this.#partition }, () => null);
    return this.#hasStatics ? [cells, [...partition, ...nothing]] : [cells];
  }

  /** The columns that both bounds have, up to the first in which they differ. */
  #common(left: Hint["cells"], right: Hint["cells"]): Hint["cells"] {
    const differs = (cell: Buffer | null, index: number): boolean => {
      const other = right[index]!;
      return cell === null || other === null || !cell.equals(other);
    };
    // Only the whole partition shows whether it has only static columns left.
    if (this.#hasStatics) return left.slice(0, this.#partition);
    const at = left.findIndex(differs);
    return left.slice(0, Math.max(this.#partition, at < 0 ? this.#key : at));
  }
}

function entryOf({ id, at, expires }: LogRow, keys: readonly Hint["cells"][]): Entry {
  return { id, at, hints: keys.map((cells) => ({ cells, at, expires })) };
}
