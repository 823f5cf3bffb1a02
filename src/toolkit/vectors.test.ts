import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Type } from "../protocol/types.ts";
import {
  appendCell,
  type Cell,
  cell,
  project,
  reservedBytes,
  RowsBuilder,
  rowsBytes,
  rowsOf,
  VectorBuilder,
} from "./vectors.ts";

const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const int128 = fc.bigInt({ min: -(10n ** 38n) + 1n, max: 10n ** 38n - 1n });
const values: readonly [Type, fc.Arbitrary<Cell>][] = [
  [{ kind: "BOOLEAN" }, fc.boolean()],
  [{ kind: "SHORT" }, fc.integer({ min: -32768, max: 32767 })],
  [{ kind: "INT" }, fc.integer()],
  [{ kind: "LONG" }, int64],
  [{ kind: "DECIMAL", precision: 18, scale: 4 }, fc.bigInt({ min: -(10n ** 18n) + 1n, max: 10n ** 18n - 1n })],
  [{ kind: "DECIMAL", precision: 38, scale: 10 }, int128],
  [{ kind: "FLOAT" }, fc.float()],
  [{ kind: "DOUBLE" }, fc.double()],
  [{ kind: "NAIVE_DATE" }, fc.integer()],
  [{ kind: "NAIVE_TIME" }, int64],
  [{ kind: "NAIVE_DATETIME" }, int64],
  [{ kind: "UTC_DATETIME" }, int64],
  [{ kind: "BINARY" }, fc.uint8Array({ maxLength: 100 })],
  [{ kind: "STRING" }, fc.string({ unit: "grapheme", maxLength: 60 })],
];

describe("vectors", () => {
  test.each(values)("a column of %j gives back what was put in, in every batch", (type, value) => {
    const column = fc.array(fc.option(value, { freq: 4 }), { maxLength: 3_000, size: "large" });
    fc.assert(
      fc.property(column, column, (first, second) => {
        const builder = new VectorBuilder(type);
        for (const cells of [first, second]) {
          for (const one of cells) appendCell(builder, one);
          const vector = builder.finish();
          expect(vector.values.byteOffset % 8).toBe(0);
          expect(cells.map((_, row) => cell(vector, row))).toEqual(cells);
          if (!cells.includes(null)) expect(vector.validity).toBeNull();
        }
      }),
      { numRuns: 30 },
    );
  });

  test("text that is longer than the builder has room for", () => {
    const builder = new VectorBuilder({ kind: "STRING" });
    const long = "é".repeat(1 << 20);
    for (const text of ["", long, "a", long]) builder.text(text);
    const vector = builder.finish();
    expect([0, 1, 2, 3].map((row) => cell(vector, row))).toEqual(["", long, "a", long]);
  });

  test("a batch of few rows holds little, whatever its builder has room for (case 43)", () => {
    for (const type of [{ kind: "LONG" }, { kind: "STRING" }, { kind: "BOOLEAN" }] as const) {
      const builder = new RowsBuilder([{ name: "a", type }]);
      const of = (): Cell => (type.kind === "LONG" ? 1n : type.kind === "STRING" ? "one" : true);
      for (const count of [1, 3_000, 1]) {
        for (let row = 0; row < count; row++) appendCell(builder.builders[0]!, row % 7 === 3 ? null : of());
        const rows = builder.finish();
        const held = reservedBytes(rows);
        expect(held).toBeGreaterThan(rowsBytes(rows));
        // Buffers that are at least half full are handed over as they are.
        expect(held).toBeLessThan(2_000 + 4 * rowsBytes(rows));
        expect(Array.from({ length: count }, (_, row) => cell(rows.values[0]!, row))).toEqual(
          Array.from({ length: count }, (_, row) => (row % 7 === 3 ? null : of())),
        );
      }
    }
  });

  test("thousands of columns reserve room for few rows, and a huge value only its own (case 43)", () => {
    const columns = Array.from({ length: 3_000 }, (_, place) => ({
      name: `c${place}`,
      type: { kind: "LONG" } as const,
    }));
    const wide = new RowsBuilder(columns);
    for (const builder of wide.builders) builder.null();
    expect(reservedBytes(wide.finish())).toBeLessThan(3_000 * 700);
    const text = new RowsBuilder([{ name: "t", type: { kind: "STRING" } }]);
    text.builders[0]!.text("x".repeat(50 << 20));
    expect(reservedBytes(text.finish())).toBeLessThan(51 << 20);
    text.builders[0]!.text("x");
    expect(reservedBytes(text.finish())).toBeLessThan(3 << 20);
  });

  test("a batch counts its rows and bytes, and gives out columns by name", () => {
    const columns = [
      { name: "id", type: { kind: "LONG" } },
      { name: "name", type: { kind: "STRING" } },
    ] as const;
    const builder = new RowsBuilder(columns);
    expect([builder.length, builder.bytes]).toEqual([0, 0]);
    const rows = rowsOf(columns, [
      [1n, "one"],
      [2n, null],
    ]);
    expect(rows.length).toBe(2);
    const names = project(rows, ["name"]);
    expect([names.columns, cell(names.values[0]!, 0), cell(names.values[0]!, 1)]).toEqual([["name"], "one", null]);
    expect(() => project(rows, ["nam"])).toThrow('no column "nam"');
  });
});
