import { asBroken, ProtocolBroken } from "../../net/broken.ts";
import { BodyReader } from "./body-reader.ts";
import type { Frame } from "./frames.ts";
import type { CqlType } from "./types.ts";
import { readOption } from "./wire-types.ts";

const int = (value: number): Buffer => {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeInt32BE(value);
  return bytes;
};
const short = (value: number): Buffer => {
  const bytes = Buffer.allocUnsafe(2);
  bytes.writeUInt16BE(value);
  return bytes;
};
const string = (value: string): Buffer[] => [short(Buffer.byteLength(value)), Buffer.from(value)];
const longString = (value: string): Buffer[] => [int(Buffer.byteLength(value)), Buffer.from(value)];
const bytes = (value: Buffer | null): Buffer[] => (value === null ? [int(-1)] : [int(value.length), value]);

export const consistencies = {
  ONE: 0x01,
  TWO: 0x02,
  THREE: 0x03,
  QUORUM: 0x04,
  ALL: 0x05,
  LOCAL_QUORUM: 0x06,
  LOCAL_ONE: 0x0a,
} as const;

export type Consistency = keyof typeof consistencies;

/** How a statement is run. */
export interface QueryOptions {
  readonly consistency: Consistency;
  /** Bound values, as they go over the wire. */
  readonly values?: readonly (Buffer | null)[];
  /** The most rows of one page; absent: all rows in one answer. */
  readonly pageSize?: number;
  readonly pageState?: Buffer | null;
}

const queryFlags = { values: 0x01, pageSize: 0x04, pageState: 0x08 } as const;

function queryParameters({ consistency, values = [], pageSize, pageState = null }: QueryOptions): Buffer[] {
  const flags =
    (values.length > 0 ? queryFlags.values : 0) |
    (pageSize === undefined ? 0 : queryFlags.pageSize) |
    (pageState === null ? 0 : queryFlags.pageState);
  return [
    short(consistencies[consistency]),
    Buffer.from([flags]),
    ...(values.length > 0 ? [short(values.length), ...values.flatMap(bytes)] : []),
    ...(pageSize === undefined ? [] : [int(pageSize)]),
    ...(pageState === null ? [] : bytes(pageState)),
  ];
}

export function startupBody(options: Readonly<Record<string, string>>): Buffer {
  const entries = Object.entries(options);
  return Buffer.concat([
    short(entries.length),
    ...entries.flatMap(([key, value]) => [...string(key), ...string(value)]),
  ]);
}

/** SASL PLAIN, which every password authenticator accepts. */
export function authResponseBody(username: string, password: string): Buffer {
  return Buffer.concat(bytes(Buffer.from(`\0${username}\0${password}`)));
}

export function prepareBody(statement: string): Buffer {
  return Buffer.concat(longString(statement));
}

export function queryBody(statement: string, options: QueryOptions): Buffer {
  return Buffer.concat([...longString(statement), ...queryParameters(options)]);
}

export function executeBody(id: Buffer, options: QueryOptions): Buffer {
  return Buffer.concat([short(id.length), id, ...queryParameters(options)]);
}

/** One column of an answer. */
export interface ResultColumn {
  readonly name: string;
  readonly type: CqlType;
}

/** A page of rows: where they begin in the body, not the rows themselves. */
export interface Page {
  readonly body: Buffer;
  /** Where the first cell begins; each is an int length (−1: null) and its bytes. */
  readonly start: number;
  readonly rows: number;
  /** Where the next page continues; `null`: this is the last page. */
  readonly next: Buffer | null;
  /** The part of the body that describes the columns: equal bytes, equal columns. */
  readonly columns: Buffer;
  readonly columnCount: number;
  readonly flags: number;
}

const resultKinds = { rows: 0x0002, prepared: 0x0004 } as const;
const metadataFlags = { global: 0x01, more: 0x02, none: 0x04 } as const;
const frameFlags = { tracing: 0x02, payload: 0x04, warning: 0x08 } as const;

/** Reads a frame's message, which follows the parts that the header's flags announce. Throws {@link ProtocolBroken}. */
export function readBody<Result>({ body, flags }: Frame, read: (reader: BodyReader) => Result): Result {
  try {
    const reader = new BodyReader(body);
    if ((flags & frameFlags.tracing) !== 0) reader.skip(16);
    if ((flags & frameFlags.warning) !== 0) reader.stringList();
    if ((flags & frameFlags.payload) !== 0) {
      for (let left = reader.short(); left > 0; left--) {
        reader.string();
        reader.bytes();
      }
    }
    return read(reader);
  } catch (thrown) {
    throw asBroken(thrown, "an answer that can't be read");
  }
}

/** A RESULT with rows, the answer to a SELECT. */
export function readPage(reader: BodyReader): Page {
  const kind = reader.int();
  if (kind !== resultKinds.rows) throw new ProtocolBroken(`a SELECT is answered by a result of kind ${kind}`);
  const flags = reader.int();
  const columnCount = reader.count(0);
  const state = (flags & metadataFlags.more) === 0 ? null : reader.bytes();
  // Without a state, the next page would be the first one again.
  if ((flags & metadataFlags.more) !== 0 && (state === null || state.length === 0)) {
    throw new ProtocolBroken("a page that is not the last but does not say where the next one begins");
  }
  const next = state === null ? null : Buffer.from(state);
  const from = reader.at;
  readColumns(reader, flags, columnCount);
  const columns = reader.body.subarray(from, reader.at);
  const rows = reader.count(4 * columnCount);
  if (rows > 0 && columnCount === 0) throw new ProtocolBroken("rows without columns");
  return { body: reader.body, start: reader.at, rows, next, columns, columnCount, flags };
}

/** One cell of a page's first row. */
export function readPageCell({ body, start }: Page, index: number): Buffer | null {
  const reader = new BodyReader(body, start);
  for (let skipped = 0; skipped < index; skipped++) reader.bytes();
  return reader.bytes();
}

/** A statement as the server has prepared it. */
export interface Prepared {
  readonly id: Buffer;
  /** The types of the bound values. */
  readonly variables: readonly ResultColumn[];
  readonly columns: readonly ResultColumn[];
  /** As in {@link Page}. */
  readonly columnBytes: Buffer;
}

export function readPrepared(reader: BodyReader): Prepared {
  const kind = reader.int();
  if (kind !== resultKinds.prepared) throw new ProtocolBroken(`PREPARE is answered by a result of kind ${kind}`);
  const id = Buffer.from(reader.shortBytes());
  const flags = reader.int();
  const count = reader.count(0);
  for (let left = reader.count(2); left > 0; left--) reader.short();
  const variables = readColumns(reader, flags, count);
  const resultFlags = reader.int();
  const resultCount = reader.count(0);
  const from = reader.at;
  const columns = readColumns(reader, resultFlags, resultCount);
  return { id, variables, columns, columnBytes: Buffer.from(reader.body.subarray(from, reader.at)) };
}

/** The columns of a page, from its own description. */
export function pageColumns(page: Page): readonly ResultColumn[] {
  return readColumns(new BodyReader(page.columns), page.flags, page.columnCount);
}

function readColumns(reader: BodyReader, flags: number, count: number): ResultColumn[] {
  if ((flags & metadataFlags.none) !== 0) return [];
  // A column has two lengths and a type at least.
  if (count * 4 > reader.body.length - reader.at) throw new ProtocolBroken(`a count of ${count} columns`);
  const global = (flags & metadataFlags.global) !== 0;
  if (global && count > 0) {
    reader.string();
    reader.string();
  }
  return Array.from({ length: count }, () => {
    if (!global) {
      reader.string();
      reader.string();
    }
    return { name: reader.string(), type: readOption(reader) };
  });
}
