import fc from "fast-check";
import protobuf from "protobufjs";
import { expect, test } from "vitest";
import type { Column, Table } from "../protocol/table.ts";
import type { Type } from "../protocol/types.ts";
import { type Cell, rowsOf } from "../toolkit/vectors.ts";
import { RecordEncoder } from "./encode-records.ts";
import { textOf } from "./text.ts";

const { root } = protobuf.loadSync(new URL("connector.proto", import.meta.url).pathname);
const response = root.lookupType("fivetran_sdk.v2.UpdateResponse");

interface Decoded {
  readonly schemaName: string;
  readonly tableName: string;
  readonly type: number;
  readonly data: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

/** What an independent decoder makes of the messages. */
function decode(messages: readonly Uint8Array[]): Decoded[] {
  return messages.flatMap((bytes) => {
    const message = response.toObject(response.decode(bytes), { longs: String, objects: true }) as {
      records: { records: Decoded[] };
    };
    return message.records.records;
  });
}

async function encode(
  columns: readonly Column[],
  cells: readonly (readonly Cell[])[],
  table?: Table,
): Promise<Decoded[]> {
  const messages: Uint8Array[] = [];
  const encoder = new RecordEncoder("schema é", (message) => {
    messages.push(message);
    return null;
  });
  await encoder.write(table ?? tableOf(columns), "upsert", rowsOf(columns, cells), null);
  return decode(messages);
}

function tableOf(columns: readonly Column[]): Table {
  const none = { identity: "", cursor: null, version: null, estimatedRows: null, notes: [] };
  return { id: "t", columns, key: [], ...none };
}

function timestamp(microseconds: bigint): object {
  const nanos = ((microseconds % 1_000_000n) + 1_000_000n) % 1_000_000n;
  const seconds = (microseconds - nanos) / 1_000_000n;
  // What has its default value is not on the wire.
  return {
    ...(seconds === 0n ? {} : { seconds: String(seconds) }),
    ...(nanos === 0n ? {} : { nanos: Number(nanos) * 1_000 }),
  };
}

/** The years 1 to 9999. */
const moment = fc.bigInt({ min: -62_135_596_800_000_000n, max: 253_402_300_799_999_999n });
const long = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const decimal = (precision: number): fc.Arbitrary<bigint> =>
  fc.bigInt({ min: -(10n ** BigInt(precision)) + 1n, max: 10n ** BigInt(precision) - 1n });

function decimalText(value: bigint, scale: number): string {
  const digits = String(value < 0n ? -value : value).padStart(scale + 1, "0");
  const text = scale === 0 ? digits : `${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
  return value < 0n ? `-${text}` : text;
}

const types: readonly (readonly [Type, fc.Arbitrary<Cell>, (cell: never) => object])[] = [
  [{ kind: "BOOLEAN" }, fc.boolean(), (bool: boolean) => ({ bool })],
  [{ kind: "SHORT" }, fc.integer({ min: -32_768, max: 32_767 }), (short: number) => ({ short })],
  [{ kind: "INT" }, fc.integer(), (int: number) => ({ int })],
  [{ kind: "LONG" }, long, (value: bigint) => ({ long: String(value) })],
  [{ kind: "FLOAT" }, fc.float(), (float: number) => ({ float })],
  [{ kind: "DOUBLE" }, fc.double(), (double: number) => ({ double })],
  [
    { kind: "NAIVE_DATE" },
    fc.integer({ min: -719_162, max: 2_932_896 }),
    (days: number) => ({ naiveDate: timestamp(BigInt(days) * 86_400_000_000n) }),
  ],
  [{ kind: "NAIVE_DATETIME" }, moment, (value: bigint) => ({ naiveDatetime: timestamp(value) })],
  [{ kind: "UTC_DATETIME" }, moment, (value: bigint) => ({ utcDatetime: timestamp(value) })],
  ...(
    [
      [3, 0],
      [8, 2],
      [18, 18],
      [38, 5],
    ] as const
  ).map(
    ([precision, scale]) =>
      [
        { kind: "DECIMAL", precision, scale },
        decimal(precision),
        (value: bigint) => ({ decimal: decimalText(value, scale) }),
      ] as const,
  ),
  [{ kind: "BINARY" }, fc.uint8Array(), (binary: Uint8Array) => ({ binary: Buffer.from(binary) })],
  [{ kind: "STRING" }, fc.string({ unit: "grapheme", maxLength: 400 }), (string: string) => ({ string })],
  [{ kind: "JSON" }, fc.json(), (json: string) => ({ json })],
  [{ kind: "XML" }, fc.string(), (xml: string) => ({ xml })],
];

test.each(types.map(([type, cells, message]) => [JSON.stringify(type), type, cells, message] as const))(
  "%s arrives as it was, and null as null",
  async (_, type, cells, message) => {
    const column: Column = { name: "a column with a name that is long é".repeat(4), type, nullable: true };
    await fc.assert(
      fc.asyncProperty(fc.array(fc.option(cells), { maxLength: 300 }), async (values) => {
        const records = await encode(
          [column],
          values.map((value) => [value]),
        );
        expect(records.map(({ data }) => data[column.name])).toEqual(
          values.map((value) => (value === null ? { null: true } : message(value as never))),
        );
      }),
      { numRuns: 60 },
    );
  },
);

test("a record names schema, table and type; a message has a hundred at most, and few large ones", async () => {
  const text = { name: "text", type: { kind: "STRING" }, nullable: true } as const;
  const sizes: number[] = [];
  const messages: Uint8Array[] = [];
  const encoder = new RecordEncoder("s", (message) => {
    messages.push(message);
    sizes.push(decode([message]).length);
    return Promise.resolve();
  });
  await encoder.write(
    tableOf([text]),
    "delete",
    rowsOf(
      [text],
      Array.from({ length: 250 }, () => ["x"]),
    ),
    null,
  );
  expect(sizes).toEqual([100, 100, 50]);
  expect(decode(messages)[0]).toMatchObject({ schemaName: "s", tableName: "t", type: 2 });
  sizes.length = 0;
  const large = "y".repeat(600_000);
  await encoder.write(
    tableOf([text]),
    "upsert",
    rowsOf(
      [text],
      Array.from({ length: 5 }, () => [large]),
    ),
    null,
  );
  expect(sizes).toEqual([2, 2, 1]);
  expect(decode(messages.slice(-1))[0]!.data["text"]).toEqual({ string: large });
});

test("what is not admitted is not sent; what changes by itself is not looked at", async () => {
  const columns: readonly Column[] = [
    { name: "ttl", type: { kind: "INT" }, nullable: false, volatile: true },
    { name: "id", type: { kind: "INT" }, nullable: false },
  ];
  const messages: Uint8Array[] = [];
  const encoder = new RecordEncoder("s", (message) => {
    messages.push(message);
    return null;
  });
  const seen: string[] = [];
  const rows = rowsOf(columns, [
    [1, 7],
    [2, 8],
    [3, 7],
  ]);
  const sent = await encoder.write(tableOf(columns), "upsert", rows, (row, bytes, start, end) => {
    seen.push(bytes.toString("hex", start, end));
    return row !== 1;
  });
  expect(sent).toBe(2);
  expect(decode(messages).map(({ data }) => data)).toEqual([
    { id: { int: 7 }, ttl: { int: 1 } },
    { id: { int: 7 }, ttl: { int: 3 } },
  ]);
  expect(seen[0]).toBe(seen[2]);
  expect(seen[0]).not.toBe(seen[1]);
});

test.each<[Type, Cell, Type, object]>([
  [{ kind: "SHORT" }, -5, { kind: "LONG" }, { long: "-5" }],
  [{ kind: "INT" }, 5, { kind: "DECIMAL", precision: 12, scale: 2 }, { decimal: "5" }],
  [{ kind: "INT" }, -5, { kind: "DOUBLE" }, { double: -5 }],
  [{ kind: "FLOAT" }, 0.5, { kind: "DOUBLE" }, { double: 0.5 }],
  [{ kind: "LONG" }, 2n ** 62n, { kind: "STRING" }, { string: "4611686018427387904" }],
  [{ kind: "NAIVE_DATE" }, 1, { kind: "NAIVE_DATETIME" }, { naiveDatetime: { seconds: "86400" } }],
  [{ kind: "NAIVE_DATE" }, -1, { kind: "STRING" }, { string: "1969-12-31" }],
  [{ kind: "UTC_DATETIME" }, 1n, { kind: "STRING" }, { string: "1970-01-01T00:00:00.000001Z" }],
  [{ kind: "NAIVE_TIME" }, 45_296_000_007n, { kind: "NAIVE_TIME" }, { string: "12:34:56.000007" }],
  [{ kind: "BOOLEAN" }, true, { kind: "STRING" }, { string: "true" }],
  [{ kind: "JSON" }, "{}", { kind: "STRING" }, { string: "{}" }],
])("a batch that has %j %s of a column that is %j by now", async (narrow, value, wide, message) => {
  const column: Column = { name: "c", type: narrow, nullable: true };
  const [record] = await encode([column], [[value]], tableOf([{ ...column, type: wide }]));
  expect(record!.data["c"]).toEqual(message);
});

test("an infinite moment is refused, by table and column; the rows before it are sent", async () => {
  const column: Column = { name: "at", type: { kind: "UTC_DATETIME" }, nullable: true };
  const messages: Uint8Array[] = [];
  const encoder = new RecordEncoder("s", (message) => {
    messages.push(message);
    return null;
  });
  const rows = rowsOf([column], [[1_000_000n], [2n ** 63n - 1n]]);
  await expect(encoder.write(tableOf([column]), "upsert", rows, null)).rejects.toMatchObject({
    code: "VALUE_OUT_OF_RANGE",
    message: expect.stringContaining('table "t": column "at"'),
  });
  expect(decode(messages).map(({ data }) => data)).toEqual([{ at: { utcDatetime: { seconds: "1" } } }]);
  expect(textOf(rows.values[0]!, 1)).toBe("infinity");
});

test("a row that no client takes is named with its table, key and size (case 49)", async () => {
  const columns: Column[] = [
    { name: "id", type: { kind: "LONG" }, nullable: false },
    { name: "blob", type: { kind: "BINARY" }, nullable: true },
  ];
  const table = { ...tableOf(columns), key: ["id"] };
  const rows: Cell[][] = [
    [1n, Buffer.from("small")],
    [2n, Buffer.alloc(127 << 20)],
  ];
  await expect(encode(columns, rows, table)).rejects.toMatchObject({
    code: "VALUE_OUT_OF_RANGE",
    message: expect.stringMatching(/table "t": the row with id="2" has 127 MiB/),
  });
});
