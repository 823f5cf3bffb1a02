import { expect, test } from "vitest";
import type { CqlColumn, CqlTable } from "../catalog.ts";
import type { Page } from "../../../wire/cql/messages.ts";
import { type Hint, Hints, momentOfUuid } from "./hints.ts";

function table(partition: readonly string[], clustering: readonly string[], statics: readonly string[] = []): CqlTable {
  const of = (names: readonly string[], kind: CqlColumn["kind"]): CqlColumn[] =>
    names.map((name, position) => ({ name, kind, position, type: { kind: "int" }, multiCell: false }));
  const columns = [...of(partition, "partition_key"), ...of(clustering, "clustering"), ...of(statics, "static")];
  return { keyspace: "k", name: "t", id: "1", isView: false, comment: "", columns, indexes: [] };
}

type Row = readonly [write: number, operation: number, key: readonly (number | null)[], ttl?: number];

const int = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};

/** Of 2026-01-01, which is 1767225600000 ms after 1970. */
function uuid(write: number): Buffer {
  const bytes = Buffer.from("a32a4000e6a211f08000000000000000", "hex");
  bytes[15] = write;
  return bytes;
}

function page(rows: readonly Row[]): Page {
  const cell = (bytes: Buffer | null): Buffer[] => (bytes === null ? [int(-1)] : [int(bytes.length), bytes]);
  const body = Buffer.concat(
    rows.flatMap(([write, operation, key, ttl], index) => {
      const seconds = Buffer.alloc(8);
      seconds.writeBigInt64BE(BigInt(ttl ?? 0));
      return [
        ...cell(Buffer.from("0102", "hex")),
        ...cell(uuid(write)),
        ...cell(int(index)),
        ...cell(Buffer.from([operation])),
        ...cell(ttl === undefined ? null : seconds),
        ...key.flatMap((value) => cell(value === null ? null : int(value))),
      ];
    }),
  );
  return { body, start: 0, rows: rows.length, next: null, columns: Buffer.alloc(0), columnCount: 0, flags: 0 };
}

/** The keys of the hints of pages, one after the other. */
function keysOf(native: CqlTable, ...pages: readonly (readonly Row[])[]): (number | null)[][] {
  const hints = new Hints(native);
  const entries = [...pages.flatMap((rows) => [...hints.entriesOf(page(rows))]), ...hints.rest()];
  const numbers = ({ cells }: Hint): (number | null)[] => cells.map((bytes) => bytes?.readInt32BE() ?? null);
  return entries.flatMap((entry) => entry.hints.map(numbers));
}

const plain = table(["p"], []);
const wide = table(["p"], ["a", "b"]);
const statics = table(["p"], ["a"], ["s"]);

test.each<[string, CqlTable, readonly Row[], (number | null)[][]]>([
  ["an update of a row", wide, [[1, 1, [1, 2, 3]]], [[1, 2, 3]]],
  ["an insert", wide, [[1, 2, [1, 2, 3]]], [[1, 2, 3]]],
  ["a delete", wide, [[1, 3, [1, 2, 3]]], [[1, 2, 3]]],
  ["an operation of a later release", wide, [[1, 10, [1, 2, 3]]], [[1, 2, 3]]],
  [
    "images",
    wide,
    [
      [1, 0, [1, 2, 3]],
      [2, 9, [1, 2, 3]],
    ],
    [],
  ],
  ["the delete of a partition", wide, [[1, 4, [1, null, null]]], [[1]]],
  ["the delete of a partition that is one row", plain, [[1, 4, [7]]], [[7]]],
  [
    "a range of the last column",
    wide,
    [
      [1, 6, [1, 2, 3]],
      [1, 8, [1, 2, 9]],
    ],
    [[1, 2]],
  ],
  [
    "a range of the first column",
    wide,
    [
      [1, 5, [1, 2, null]],
      [1, 7, [1, 3, null]],
    ],
    [[1]],
  ],
  [
    "a slice",
    wide,
    [
      [1, 5, [1, 2, null]],
      [1, 7, [1, 2, null]],
    ],
    [[1, 2]],
  ],
  [
    "a range with open ends",
    wide,
    [
      [1, 5, [1, 2, null]],
      [1, 7, [1, null, null]],
    ],
    [[1]],
  ],
  ["a left bound alone", wide, [[1, 6, [1, 2, 3]]], [[1]]],
  ["a right bound alone", wide, [[1, 8, [1, 2, 3]]], [[1]]],
  [
    "bounds of two writes",
    wide,
    [
      [1, 6, [1, 2, 3]],
      [2, 8, [1, 2, 9]],
    ],
    [[1], [1]],
  ],
  [
    "two ranges in one write",
    wide,
    [
      [1, 6, [1, 2, 3]],
      [1, 8, [1, 2, 9]],
      [1, 5, [1, 4, 1]],
      [1, 7, [1, 4, 1]],
    ],
    [
      [1, 2],
      [1, 4, 1],
    ],
  ],
  [
    "a bound before a row",
    wide,
    [
      [1, 6, [1, 2, 3]],
      [2, 2, [5, 5, 5]],
    ],
    [[1], [5, 5, 5]],
  ],
  ["a write of static columns", statics, [[1, 1, [1, null]]], [[1]]],
  [
    "a row beside static columns",
    statics,
    [[1, 1, [1, 2]]],
    [
      [1, 2],
      [1, null],
    ],
  ],
  [
    "a range beside static columns",
    statics,
    [
      [1, 5, [1, 2]],
      [1, 7, [1, 2]],
    ],
    [[1]],
  ],
])("%s", (_, native, rows, keys) => {
  expect(keysOf(native, rows)).toEqual(keys);
});

test("the bounds of a range may come in two pages", () => {
  expect(keysOf(wide, [[1, 6, [1, 2, 3]]], [[1, 8, [1, 2, 9]]])).toEqual([[1, 2]]);
});

test("an entry tells when it was written, and when its row expires", () => {
  const [entry] = new Hints(plain).entriesOf(page([[1, 2, [1], 60]]));
  expect(entry).toMatchObject({ at: momentOfUuid(uuid(1)), hints: [{ expires: entry!.at + 60_000 }] });
});

test("the moment of a UUID", () => {
  // By Python: uuid.UUID("b223c55e-6d07-11ea-7654-24e4fb3f20b9").time, as ScyllaDB's documents show it.
  expect(momentOfUuid(Buffer.from("b223c55e6d0711ea765424e4fb3f20b9", "hex"))).toBe(1_584_969_040_910);
});
