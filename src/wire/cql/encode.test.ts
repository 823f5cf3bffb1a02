import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { bytesOfText } from "./encode.ts";
import { keyText, valueText } from "./text.ts";
import { parseDate, parseTime, parseTimestamp, dateText, timestampText, timeText } from "./time-text.ts";
import { type CqlType, fixedLength, isScalar } from "./types.ts";

interface Typed {
  readonly type: CqlType;
  readonly bytes: Buffer;
}

const sized = (length: number): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((bytes) => Buffer.from(bytes));

const minimal = fc
  .bigInt({ min: -(2n ** 150n), max: 2n ** 150n })
  .map((value) => bytesOfText({ kind: "varint" }, "partition_key", value.toString())!);

const scalars: Readonly<Record<string, fc.Arbitrary<Buffer>>> = {
  ascii: fc.string({ unit: "grapheme-ascii" }).map((text) => Buffer.from(text)),
  text: fc.string({ unit: "grapheme" }).map((text) => Buffer.from(text)),
  bigint: sized(8),
  blob: fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
  boolean: fc.boolean().map((value) => Buffer.from([Number(value)])),
  date: sized(4),
  decimal: fc.tuple(sized(4), minimal).map((parts) => Buffer.concat(parts)),
  double: fc.double({ noNaN: true }).map((value) => {
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleBE(value);
    return bytes;
  }),
  float: fc.float({ noNaN: true }).map((value) => {
    const bytes = Buffer.alloc(4);
    bytes.writeFloatBE(value);
    return bytes;
  }),
  inet: fc.oneof(sized(4), sized(16)),
  int: sized(4),
  smallint: sized(2),
  tinyint: sized(1),
  time: fc.bigInt({ min: 0n, max: 86_399_999_999_999n }).map((value) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64BE(value);
    return bytes;
  }),
  timestamp: sized(8),
  timeuuid: sized(16),
  uuid: sized(16),
  varint: minimal,
};

const scalar: fc.Arbitrary<CqlType> = fc.constantFrom(...Object.keys(scalars).map((kind) => ({ kind }) as CqlType));
const { type } = fc.letrec<{ type: CqlType }>((tie) => ({
  type: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    scalar,
    tie("type").map((of): CqlType => ({ kind: "list", of })),
    tie("type").map((of): CqlType => ({ kind: "set", of })),
    fc.tuple(tie("type"), tie("type")).map(([key, value]): CqlType => ({ kind: "map", key, value })),
    fc.array(tie("type"), { minLength: 1, maxLength: 3 }).map((of): CqlType => ({ kind: "tuple", of })),
    fc.tuple(tie("type"), fc.integer({ min: 1, max: 3 })).map(([of, size]): CqlType => ({ kind: "vector", of, size })),
    fc.array(tie("type"), { minLength: 1, maxLength: 3 }).map((of): CqlType => ({
      kind: "udt",
      name: "u",
      fields: of.map((field, index) => [['House "No"', "__proto__", "c"][index]!, field] as const),
    })),
  ),
}));

const counted = (bytes: Buffer | null): Buffer => {
  const length = Buffer.alloc(4);
  length.writeInt32BE(bytes?.length ?? -1);
  return Buffer.concat([length, bytes ?? Buffer.alloc(0)]);
};

/** The server's bytes of some value of a type, by the specification. */
function bytesOf(of: CqlType): fc.Arbitrary<Buffer> {
  const parts = (types: readonly CqlType[]): fc.Arbitrary<Buffer[]> =>
    types.length === 0
      ? fc.constant([])
      : fc.tuple(...types.map((part) => fc.option(bytesOf(part), { freq: 4 }))).map((values) => values.map(counted));
  switch (of.kind) {
    case "list":
    case "set":
      return fc
        .array(bytesOf(of.of), { maxLength: 3 })
        .map((items) => Buffer.concat([Buffer.from([0, 0, 0, items.length]), ...items.map(counted)]));
    case "map":
      return fc
        .array(fc.tuple(bytesOf(of.key), bytesOf(of.value)), { maxLength: 3 })
        .map((items) => Buffer.concat([Buffer.from([0, 0, 0, items.length]), ...items.flat().map(counted)]));
    case "tuple":
      // The last parts may be missing, as where they were added after the value was written.
      return fc
        .tuple(parts(of.of), fc.nat(1))
        .map(([all, less]) => Buffer.concat(all.slice(0, all.length - less || 1)));
    case "udt":
      return bytesOf({ kind: "tuple", of: of.fields.map(([, field]) => field) });
    case "vector":
      return fc.tuple(...Array.from({ length: of.size }, () => bytesOf(of.of))).map((items) =>
        Buffer.concat(
          items.flatMap((item) => {
            if (fixedLength(of.of) !== null) return [item];
            return [
              item.length < 128
                ? Buffer.from([item.length])
                : Buffer.from([0x80 | (item.length >> 8), item.length & 0xff]),
              item,
            ];
          }),
        ),
      );
    default:
      return scalars[of.kind]!;
  }
}

const typed: fc.Arbitrary<Typed> = type.chain((of) =>
  bytesOf(of)
    // A vint of two bytes is all that the test writes.
    .filter((bytes) => bytes.length < 4_000)
    .map((bytes) => ({ type: of, bytes })),
);

describe("the server's bytes of a key's text", () => {
  test("are those that the text was made of, for any type (case 9)", () => {
    fc.assert(
      fc.property(typed, ({ type: of, bytes }) => {
        const text = isScalar(of)
          ? valueText(of, bytes, 0, bytes.length)
          : keyText(of, "partition_key", bytes, 0, bytes.length);
        expect(bytesOfText(of, "partition_key", text)?.toString("hex")).toBe(bytes.toString("hex"));
      }),
      { numRuns: 2_000 },
    );
  });

  test.each<[string, CqlType, string, string]>([
    [
      "an empty int beside NULL",
      { kind: "list", of: { kind: "int" } },
      '[1,"",null]',
      "00000003000000040000000100000000ffffffff",
    ],
    ["an empty int", { kind: "int" }, "", ""],
    ["an empty list", { kind: "list", of: { kind: "int" } }, '""', ""],
    [
      "spaces, as another writer of JSON may put them",
      { kind: "tuple", of: [{ kind: "int" }] },
      " [ 1 ] ",
      "0000000400000001",
    ],
  ])("%s (case 10)", (_, of, text, hex) => {
    expect(bytesOfText(of, "partition_key", text)?.toString("hex")).toBe(hex);
  });

  test.each<[CqlType, string]>([
    [{ kind: "int" }, "2147483648"],
    [{ kind: "int" }, "1.0"],
    [{ kind: "uuid" }, "x"],
    [{ kind: "timestamp" }, "2024-05-17"],
    [{ kind: "list", of: { kind: "int" } }, "null"],
    [{ kind: "list", of: { kind: "int" } }, "[1"],
    [{ kind: "list", of: { kind: "int" } }, "[1] 2"],
    [{ kind: "udt", name: "u", fields: [["a", { kind: "int" }]] }, '{"gone":1}'],
  ])("no %o has the text %s", (of, text) => {
    expect(bytesOfText(of, "partition_key", text)).toBeNull();
  });

  test("equal clustering keys have one text, and are bound with all fields (case 28)", () => {
    const udt: CqlType = {
      kind: "udt",
      name: "u",
      fields: [
        ["a", { kind: "decimal" }],
        ["b", { kind: "int" }],
      ],
    };
    const full = bytesOfText(udt, "clustering", '{"a":1.5}')!;
    expect(full.toString("hex")).toBe("00000005000000010fffffffff");
    for (const text of ['{"a":1.5}', '{"a":1.50}', '{"a":1.5,"b":null}']) {
      const bytes = bytesOfText(udt, "partition_key", text)!;
      expect(keyText(udt, "partition_key", bytes, 0, bytes.length)).toBe(text);
      expect(keyText(udt, "clustering", bytes, 0, bytes.length)).toBe('{"a":1.5}');
    }
  });

  test("dates, times and timestamps are read back from their text", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
        fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
        fc.bigInt({ min: 0n, max: 86_399_999_999_999n }),
        (days, milliseconds, nanoseconds) => {
          expect(parseDate(dateText(days))).toBe(days);
          expect(parseTimestamp(timestampText(milliseconds))).toBe(milliseconds);
          expect(parseTime(timeText(nanoseconds))).toBe(nanoseconds);
        },
      ),
    );
  });
});
