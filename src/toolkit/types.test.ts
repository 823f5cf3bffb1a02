import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Kind, Type } from "../protocol/types.ts";
import { parseType, sameType, typeName, widen } from "./types.ts";

const kinds: readonly Exclude<Kind, "DECIMAL">[] = ["BOOLEAN", "SHORT", "INT", "LONG", "FLOAT", "DOUBLE", "NAIVE_DATE"];
const rest: readonly Exclude<Kind, "DECIMAL">[] = [
  "NAIVE_TIME",
  "NAIVE_DATETIME",
  "UTC_DATETIME",
  "BINARY",
  "XML",
  "STRING",
  "JSON",
];
const anyType: fc.Arbitrary<Type> = fc.oneof(
  fc.constantFrom(...kinds, ...rest).map((kind): Type => ({ kind })),
  fc
    .tuple(fc.integer({ min: 1, max: 38 }), fc.nat(38))
    .map(([precision, scale]): Type => ({ kind: "DECIMAL", precision, scale: Math.min(precision, scale) })),
);

describe("types", () => {
  test("a name is read back as the type that wrote it", () => {
    fc.assert(
      fc.property(anyType, (type) => {
        expect(parseType(typeName(type))).toEqual(type);
      }),
    );
  });

  test.each(["NUMBER", "DECIMAL(39,2)", "DECIMAL(4,5)", "LONG(3)", ""])("%j is no type", (name) => {
    expect(parseType(name)).toBeNull();
  });

  test.each([
    ["SHORT", "LONG", "LONG"],
    ["INT", "DECIMAL(5,2)", "DECIMAL(12,2)"],
    ["LONG", "DECIMAL(38,0)", "DECIMAL(38,0)"],
    ["LONG", "DECIMAL(38,30)", "STRING"],
    ["DECIMAL(10,2)", "DECIMAL(8,6)", "DECIMAL(14,6)"],
    ["DECIMAL(38,0)", "DECIMAL(38,1)", "STRING"],
    ["SHORT", "FLOAT", "FLOAT"],
    ["INT", "FLOAT", "DOUBLE"],
    ["LONG", "DOUBLE", "STRING"],
    ["FLOAT", "DOUBLE", "DOUBLE"],
    ["NAIVE_DATE", "NAIVE_DATETIME", "NAIVE_DATETIME"],
    ["NAIVE_DATE", "UTC_DATETIME", "UTC_DATETIME"],
    ["UTC_DATETIME", "NAIVE_DATE", "UTC_DATETIME"],
    ["LONG", "UTC_DATETIME", "STRING"],
    ["NAIVE_TIME", "UTC_DATETIME", "STRING"],
    ["UUID", "STRING", "STRING"],
    ["UUID", "LONG", "STRING"],
    ["BOOLEAN", "INT", "STRING"],
    ["JSON", "STRING", "STRING"],
  ])("%s and %s meet in %s", (a, b, both) => {
    expect(typeName(widen(parseType(a)!, parseType(b)!))).toBe(both);
  });

  test("of the two kinds of datetimes the later one counts (case 27)", () => {
    const [naive, utc]: readonly Type[] = [{ kind: "NAIVE_DATETIME" }, { kind: "UTC_DATETIME" }];
    expect([widen(naive!, utc!), widen(utc!, naive!)]).toEqual([utc, naive]);
  });

  test("widening is the same from both sides but for datetimes, and settles", () => {
    fc.assert(
      fc.property(anyType, anyType, (a, b) => {
        const both = widen(a, b);
        const datetimes = [a, b].every(({ kind }) => kind.endsWith("DATETIME"));
        expect(sameType(both, datetimes ? b : widen(b, a))).toBe(true);
        if (datetimes) return;
        expect(sameType(widen(both, a), both)).toBe(true);
        expect(sameType(widen(both, b), both)).toBe(true);
      }),
    );
  });
});
