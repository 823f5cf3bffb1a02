import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Type } from "../../protocol/types.ts";
import { type Cell, cell, rowsOf, RowsBuilder } from "../../toolkit/vectors.ts";
import type { Codec } from "./codecs.ts";
import { BinaryRows } from "./copy-binary.ts";
import { booleanField, copyHeader, copyTrailer, encodeRows, type NulPolicy, type RowTail } from "./copy-encode.ts";

const codecs: Readonly<Record<Type["kind"], Codec>> = {
  BOOLEAN: "boolean",
  SHORT: "int2",
  INT: "int4",
  LONG: "int8",
  DECIMAL: "numeric",
  FLOAT: "float4",
  DOUBLE: "float8",
  NAIVE_DATE: "date",
  NAIVE_TIME: "time",
  NAIVE_DATETIME: "timestamp",
  UTC_DATETIME: "timestamp",
  BINARY: "bytea",
  UUID: "uuid",
  XML: "text",
  STRING: "text",
  JSON: "text",
};

const noTail: RowTail = { bytes: new Uint8Array(), fields: 0, ordinal: null };

function encoded(types: readonly Type[], cells: readonly (readonly Cell[])[], tail = noTail, nul: NulPolicy = "error") {
  const columns = types.map((type, index) => ({ name: `c${index}`, type }));
  const { values, length } = rowsOf(columns, cells);
  const named = values.map((vector, index) => ({ name: `c${index}`, vector }));
  return [...encodeRows("t", named, length, tail, nul)];
}

/** What was encoded, by the decoder of the source, which knows nothing of the encoder. */
function decoded(types: readonly Type[], messages: readonly Uint8Array[]): Cell[][] {
  const builder = new RowsBuilder(types.map((type, index) => ({ name: `c${index}`, type })));
  const columns = types.map((type, index) => ({
    name: `c${index}`,
    codec: codecs[type.kind],
    builder: builder.builders[index]!,
  }));
  const decoder = new BinaryRows("t", columns);
  for (const message of [copyHeader, ...messages.map((bytes) => Buffer.from(bytes)), copyTrailer])
    decoder.decode(message, 0, message.length);
  const { values, length } = builder.finish();
  return Array.from({ length }, (_, row) => values.map((vector) => cell(vector, row)));
}

const day = 86_400_000_000n;
const infinity = 2n ** 63n - 1n;
const first = -210_866_803_200_000_000n;

const valueOf: Readonly<Record<Exclude<Type["kind"], "DECIMAL">, fc.Arbitrary<Cell>>> = {
  BOOLEAN: fc.boolean(),
  SHORT: fc.integer({ min: -32_768, max: 32_767 }),
  INT: fc.integer(),
  LONG: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  FLOAT: fc.float(),
  DOUBLE: fc.double(),
  NAIVE_DATE: fc.oneof(
    fc.integer({ min: -2_440_588, max: 2_145_042_905 }),
    fc.constantFrom(2_147_483_647, -2_147_483_647),
  ),
  NAIVE_TIME: fc.bigInt({ min: 0n, max: day }),
  NAIVE_DATETIME: fc.oneof(fc.bigInt({ min: first, max: infinity - 1n }), fc.constantFrom(infinity, -infinity)),
  UTC_DATETIME: fc.oneof(fc.bigInt({ min: first, max: infinity - 1n }), fc.constantFrom(infinity, -infinity)),
  BINARY: fc.uint8Array({ maxLength: 400 }),
  UUID: fc.uuid(),
  XML: fc.constant("<a/>"),
  STRING: fc.string({ unit: "grapheme", maxLength: 200 }).map((text) => text.replaceAll("\0", "")),
  JSON: fc.json(),
};

const decimal = fc
  .record({ precision: fc.integer({ min: 1, max: 38 }), share: fc.double({ min: 0, max: 1, noNaN: true }) })
  .map(({ precision, share }): Type => ({ kind: "DECIMAL", precision, scale: Math.round(precision * share) }));

const column = fc.oneof(
  fc
    .constantFrom(...(Object.keys(valueOf) as (keyof typeof valueOf)[]))
    .map((kind): { type: Type; value: fc.Arbitrary<Cell> } => ({ type: { kind }, value: valueOf[kind] })),
  decimal.map((type): { type: Type; value: fc.Arbitrary<Cell> } => {
    const most = 10n ** BigInt(type.kind === "DECIMAL" ? type.precision : 0) - 1n;
    const few = most < 99_999n ? most : 99_999n;
    return { type, value: fc.oneof(fc.bigInt({ min: -most, max: most }), fc.bigInt({ min: -few, max: few })) };
  }),
);

const batch = fc.array(column, { minLength: 1, maxLength: 6 }).chain((columns) =>
  fc.record({
    types: fc.constant(columns.map(({ type }) => type)),
    cells: fc.array(fc.tuple(...columns.map(({ value }) => fc.option(value))), { minLength: 1, maxLength: 40 }),
  }),
);

describe("rows for a binary COPY", () => {
  test("are what they were, whatever their types", () => {
    fc.assert(
      fc.property(batch, ({ types, cells }) => {
        expect(decoded(types, encoded(types, cells))).toEqual(cells);
      }),
      { numRuns: 500 },
    );
  });

  test("come in messages of bounded size, also where one value is larger than a message", () => {
    const types: Type[] = [{ kind: "LONG" }, { kind: "STRING" }];
    const cells = Array.from({ length: 3_000 }, (_, id) => [BigInt(id), "x".repeat(id % 700 === 0 ? 700_000 : 300)]);
    const messages = encoded(types, cells);
    expect(messages.length).toBeGreaterThan(3);
    expect(Math.max(...messages.map((message) => message.length))).toBeLessThan(1_200_000);
    expect(decoded(types, messages)).toEqual(cells);
  });

  test("end with fields that are the same in each, and a number that is not", () => {
    const tail = { bytes: booleanField(true), fields: 1, ordinal: 2 ** 32 - 1 };
    const messages = encoded([{ kind: "INT" }], [[7], [null]], tail);
    const types: Type[] = [{ kind: "INT" }, { kind: "BOOLEAN" }, { kind: "LONG" }];
    expect(decoded(types, messages)).toEqual([
      [7, true, 2n ** 32n - 1n],
      [null, true, 2n ** 32n],
    ]);
  });

  test.each([
    [{ kind: "NAIVE_DATE" }, -2_440_589, "a date is outside the range"],
    [{ kind: "NAIVE_DATE" }, 2_145_042_906, "a date is outside the range"],
    [{ kind: "UTC_DATETIME" }, first - 1n, "a timestamp is before"],
    [{ kind: "NAIVE_DATETIME" }, -infinity + 1n, "a timestamp is before"],
    [{ kind: "STRING" }, "a\0b", "a text holds the character U+0000"],
  ] as const)("%j %s is out of PostgreSQL's range", (type, value, message) => {
    expect(() => encoded([type], [[value]])).toThrow(`table "t", column "c0": ${message}`);
  });

  test("leave U+0000 out of texts, where that is wished, and of texts alone", () => {
    const types: Type[] = [{ kind: "STRING" }, { kind: "BINARY" }];
    const bytes = new Uint8Array([0, 1]);
    const messages = encoded(
      types,
      [
        ["\0a\0\0b", bytes],
        ["\0", bytes],
        [null, bytes],
        ["c", bytes],
      ],
      noTail,
      "remove",
    );
    expect(decoded(types, messages).map(([text]) => text)).toEqual(["ab", "", null, "c"]);
    expect(decoded(types, messages)[0]![1]).toEqual(bytes);
  });
});
