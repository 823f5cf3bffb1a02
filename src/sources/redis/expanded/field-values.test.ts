import { describe, expect, test } from "vitest";
import type { Type } from "../../../protocol/types.ts";
import { type Cell, cell, VectorBuilder } from "../../../toolkit/vectors.ts";
import { fieldTypes } from "./field-values.ts";

/** `undefined`: not a value of the type. */
const cases: readonly (readonly [Type, string, Cell | undefined])[] = [
  [{ kind: "STRING" }, "zwölf", "zwölf"],
  [{ kind: "BOOLEAN" }, "True", true],
  [{ kind: "BOOLEAN" }, "0", false],
  [{ kind: "BOOLEAN" }, "2", undefined],
  [{ kind: "SHORT" }, "-32768", -32768],
  [{ kind: "SHORT" }, "32768", undefined],
  [{ kind: "INT" }, "+7", 7],
  [{ kind: "INT" }, "7.0", undefined],
  [{ kind: "LONG" }, "9223372036854775807", 2n ** 63n - 1n],
  [{ kind: "LONG" }, "9223372036854775808", undefined],
  [{ kind: "LONG" }, "", undefined],
  [{ kind: "DOUBLE" }, "1.5e3", 1500],
  [{ kind: "DOUBLE" }, "-inf", -Infinity],
  [{ kind: "DOUBLE" }, "NaN", NaN],
  [{ kind: "DOUBLE" }, "1,5", undefined],
  [{ kind: "DOUBLE" }, "1.7976931348623157e308", Number.MAX_VALUE],
  [{ kind: "DOUBLE" }, "1e999", undefined],
  [{ kind: "DECIMAL", precision: 5, scale: 2 }, "-123.45", -12345n],
  [{ kind: "DECIMAL", precision: 5, scale: 2 }, "1.5e1", 1500n],
  [{ kind: "DECIMAL", precision: 5, scale: 2 }, "1.500", 150n],
  [{ kind: "DECIMAL", precision: 5, scale: 2 }, "1.505", undefined],
  [{ kind: "DECIMAL", precision: 5, scale: 2 }, "1234.5", undefined],
  [{ kind: "DECIMAL", precision: 5, scale: 2 }, ".", undefined],
  [{ kind: "UTC_DATETIME" }, "2024-05-17T10:00:00.123456Z", 1715940000123456n],
  [{ kind: "UTC_DATETIME" }, "2024-05-17 12:00:00+02:00", 1715940000000000n],
  [{ kind: "UTC_DATETIME" }, "2024-05-17T10:00", 1715940000000000n],
  [{ kind: "UTC_DATETIME" }, "2024-05-17", 1715904000000000n],
  [{ kind: "UTC_DATETIME" }, "17.5.2024", undefined],
  [{ kind: "UTC_DATETIME" }, "2024-02-29T23:30:00-02:00", 1709256600000000n],
  [{ kind: "UTC_DATETIME" }, "2024-02-30", undefined],
  [{ kind: "UTC_DATETIME" }, "2023-02-29 10:00:00+02", undefined],
  [{ kind: "UTC_DATETIME" }, "2023-02-29T10:00:00Z", undefined],
  [{ kind: "UTC_DATETIME" }, "2024-05-17T10:00:00.1234567Z", undefined],
  [{ kind: "UUID" }, "0190C5A2-7d4e-7b1a-9f3c-2a6b8c0d1e2f", "0190c5a2-7d4e-7b1a-9f3c-2a6b8c0d1e2f"],
  [{ kind: "UUID" }, "0190c5a27d4e7b1a9f3c2a6b8c0d1e2f", undefined],
  [{ kind: "JSON" }, '{"a": 1}', '{"a": 1}'],
  [{ kind: "JSON" }, "{a}", undefined],
];

describe("a field's text as a column's value", () => {
  test.each(cases)("%j: %s", (type, text, expected) => {
    const builder = new VectorBuilder(type);
    const bytes = Buffer.from(text);
    const taken = fieldTypes[type.kind]!(builder, bytes, 0, bytes.length);
    expect(taken ? cell(builder.finish(), 0) : undefined).toEqual(expected);
  });

  test("bytes as they are", () => {
    const builder = new VectorBuilder({ kind: "BINARY" });
    expect(fieldTypes.BINARY!(builder, Buffer.from([0, 255]), 0, 2)).toBe(true);
    expect(cell(builder.finish(), 0)).toEqual(Uint8Array.of(0, 255));
  });
});
