import { ProtocolBroken } from "../../../net/broken.ts";
import { HeadwatersError } from "../../../protocol/errors.ts";
import type { Column, Table } from "../../../protocol/table.ts";
import { type Replies, replyKind } from "../../../wire/resp/replies.ts";
import { type Cell, RowsBuilder, type VectorBuilder } from "../../../toolkit/vectors.ts";
import type { Configuration } from "../config.ts";
import { microsecondsOf } from "../values/moments.ts";
import { textOf } from "../values/text.ts";
import { ValueWriter } from "../values/value-writer.ts";
import { versionColumn } from "../values/version-column.ts";

/** Keys that hold many rows: the samples of a series, the entries of a stream. */
export interface EntryKind {
  readonly kind: "time series" | "streams";
  /** Appended to `table_name`. */
  readonly suffix: string;
  readonly setting: "time_series" | "streams";
  /** The commands that read a range forwards and backwards. */
  readonly command: string;
  readonly backwards: string;
  readonly columns: readonly Column[];
  readonly key: readonly string[];
  readonly version: string;
  readonly notes: readonly string[];
  /** The start of the range that has all entries since a moment; `null`: all entries. */
  first(from: number | null): string;
  /** The start of the range after the last entry of another range. */
  after(last: string): string;
  /** The range of a single row, from its key columns. */
  one(key: readonly Cell[]): string;
}

const key: Column = { name: "key", type: { kind: "STRING" }, nullable: false };
const late =
  "Each sync reads the rows since the last one, and as far back as late_seconds says. Sweeps find later ones and removed ones.";

export const entryKinds: readonly EntryKind[] = [
  {
    kind: "time series",
    suffix: "_timeseries",
    setting: "time_series",
    command: "TS.RANGE",
    backwards: "TS.REVRANGE",
    columns: [
      key,
      { name: "timestamp", type: { kind: "UTC_DATETIME" }, nullable: false },
      { name: "value", type: { kind: "DOUBLE" }, nullable: false },
    ],
    key: ["key", "timestamp"],
    version: "value",
    notes: [late],
    first: (from) => String(Math.max(0, from ?? 0)),
    after: (last) => String(BigInt(last) + 1n),
    one: ([, timestamp]) => String((timestamp as bigint) / 1_000n),
  },
  {
    kind: "streams",
    suffix: "_streams",
    setting: "streams",
    command: "XRANGE",
    backwards: "XREVRANGE",
    columns: [
      key,
      { name: "id", type: { kind: "STRING" }, nullable: false },
      { name: "timestamp", type: { kind: "UTC_DATETIME" }, nullable: true },
      { name: "fields", type: { kind: "JSON" }, nullable: false },
      versionColumn,
    ],
    key: ["key", "id"],
    version: versionColumn.name,
    notes: [late],
    first: (from) => (from === null ? "-" : `${Math.max(0, from)}-0`),
    after(last) {
      const [milliseconds, sequence] = last.split("-");
      return `${milliseconds}-${BigInt(sequence!) + 1n}`;
    },
    one: ([, id]) => id as string,
  },
];

export function entriesTable(kind: EntryKind, configuration: Configuration): Table {
  return {
    id: configuration.table_name + kind.suffix,
    columns: kind.columns,
    key: kind.key,
    identity: kind.kind,
    cursor: "timestamp",
    version: kind.version,
    estimatedRows: null,
    notes: kind.notes,
  };
}

const streamPrefix = Buffer.from("stream");

/** Makes rows of the entries of keys. */
export class EntryRows {
  readonly rows: RowsBuilder;
  readonly #kind: EntryKind;
  readonly #table: string;
  readonly #builders: Readonly<Record<string, VectorBuilder | undefined>>;
  readonly #writer = new ValueWriter();
  readonly #version = Buffer.alloc(16);

  constructor(table: Table, kind: EntryKind, columns: readonly Column[]) {
    this.rows = new RowsBuilder(columns);
    this.#kind = kind;
    this.#table = table.id;
    this.#builders = Object.fromEntries(columns.map(({ name }, index) => [name, this.rows.builders[index]!]));
  }

  /** Takes the next entry of a range's answer; returns its position. */
  take(replies: Replies, keyText: Buffer): string {
    const parts = replies.array("an entry");
    if (parts !== 2) throw new ProtocolBroken(`an entry of ${parts} parts`);
    return this.#kind.kind === "time series" ? this.#takeSample(replies, keyText) : this.#takeEntry(replies, keyText);
  }

  #takeSample(replies: Replies, keyText: Buffer): string {
    const builders = this.#builders;
    const milliseconds = replies.integer("the moment of a sample");
    replies.string("the value of a sample");
    builders["key"]?.bytesOf(keyText, 0, keyText.length);
    builders["timestamp"]?.bigint64(this.#microseconds(BigInt(milliseconds), keyText));
    builders["value"]?.float64(numberOf(replies.text()));
    return String(milliseconds);
  }

  #takeEntry(replies: Replies, keyText: Buffer): string {
    const builders = this.#builders;
    replies.string("the id of an entry");
    const id = replies.text();
    if (!/^\d{1,20}-\d{1,20}$/.test(id)) throw new ProtocolBroken("an entry without an id");
    builders["key"]?.bytesOf(keyText, 0, keyText.length);
    builders["id"]?.text(id);
    const microseconds = microsecondsOf(BigInt(id.slice(0, id.indexOf("-"))));
    // Ids are not always times.
    if (microseconds === null) builders["timestamp"]?.null();
    else builders["timestamp"]?.bigint64(microseconds);
    const fields: [string, string][] = [];
    if (replies.next() === replyKind.array) {
      for (let left = replies.value; left > 0; left -= 2) {
        replies.string("a field of an entry");
        const name = textOf(replies.bytes.subarray(replies.start, replies.end));
        replies.string("the value of a field");
        fields.push([name, textOf(replies.bytes.subarray(replies.start, replies.end))]);
      }
    }
    const json = Buffer.from(fieldsJson(fields));
    this.#writer.begin(streamPrefix);
    this.#writer.raw(json);
    builders["fields"]?.bytesOf(json, 0, json.length);
    this.#version.write(this.#writer.digest(), "latin1");
    builders[versionColumn.name]?.bytesOf(this.#version, 0, 16);
    return id;
  }

  #microseconds(milliseconds: bigint, keyText: Buffer): bigint {
    const microseconds = microsecondsOf(milliseconds);
    if (microseconds !== null) return microseconds;
    throw new HeadwatersError(
      "VALUE_OUT_OF_RANGE",
      `table "${this.#table}": a sample of "${keyText.toString()}" has the timestamp ${milliseconds}, which no date can hold`,
      {
        hint: "Timestamps are milliseconds since 1970; leave this key out with key_pattern, or set time_series to false.",
      },
    );
  }
}

/** `{"name":"value"}` in the entry's order. A name that comes twice has all its values, in an array. */
export function fieldsJson(fields: readonly (readonly [string, string])[]): string {
  const values = new Map<string, string[]>();
  for (const [name, value] of fields) values.set(name, [...(values.get(name) ?? []), value]);
  const members = [...values].map(
    ([name, all]) => `${JSON.stringify(name)}:${JSON.stringify(all.length === 1 ? all[0] : all)}`,
  );
  return `{${members.join(",")}}`;
}

/** A number in the server's notation. */
export function numberOf(text: string): number {
  const infinite = /^([+-]?)inf/i.exec(text);
  if (infinite !== null) return infinite[1] === "-" ? -Infinity : Infinity;
  return Number(text);
}
