import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Members } from "./members.ts";
import { bytesOf, isText, textOf } from "./text.ts";
import { ValueWriter } from "./value-writer.ts";

const anyBytes = fc.oneof(
  fc.string({ unit: "grapheme" }).map((text) => Buffer.from(text)),
  fc.string({ unit: "binary", maxLength: 40 }).map((text) => Buffer.from(text, "latin1")),
  fc.constantFrom("base64:", "base64:AAAA", "\0", "\u001f\u0000", '"\\\n\t\b\f\r', "").map((text) => Buffer.from(text)),
);

function written(write: (writer: ValueWriter) => void): string {
  const writer = new ValueWriter();
  writer.begin(Buffer.from("type"));
  write(writer);
  return writer.bytes.toString("utf8", writer.start, writer.end);
}

function members(pieces: readonly Buffer[], stride: 1 | 2): Members {
  const all = new Members();
  all.gather(stride);
  for (const piece of pieces) all.copy(piece, 0, piece.length);
  return all;
}

describe("text that stands for bytes", () => {
  test("is had back as the same bytes, and no two bytes have the same", () => {
    fc.assert(
      fc.property(anyBytes, anyBytes, (a, b) => {
        expect(bytesOf(Buffer.from(textOf(a)))).toEqual(a);
        expect(textOf(a) === textOf(b)).toBe(a.equals(b));
        expect(
          isText(Buffer.from(textOf(a)), 0, Buffer.from(textOf(a)).length) || textOf(a).startsWith("base64:"),
        ).toBe(true);
      }),
      { numRuns: 500 },
    );
  });
});

describe("values", () => {
  test("are written as JavaScript's JSON has them", () => {
    fc.assert(
      fc.property(fc.array(anyBytes, { maxLength: 50 }), (pieces) => {
        expect(written((writer) => writer.array(members(pieces, 1), null))).toBe(JSON.stringify(pieces.map(textOf)));
      }),
      { numRuns: 300 },
    );
  });

  test("scores are numbers, and infinite ones strings", () => {
    const pieces = ["a", "1.5", "b", "-inf", "c", "1e+20", "d", "inf"].map((text) => Buffer.from(text));
    expect(written((writer) => writer.scored(members(pieces, 2)))).toBe(
      '[["a",1.5],["b","-inf"],["c",1e+20],["d","inf"]]',
    );
  });

  test("scores are in their shortest form, whatever the server writes (case 42)", () => {
    const pairs = [
      ["0.10000000000000001", "0.1"],
      ["0.1", "0.1"],
      ["-3", "-3"],
      ["-0", "-0"],
      ["9007199254740993", "9007199254740992"],
      ["2251799813685249.5", "2251799813685249.5"],
      ["1e+20", "1e+20"],
      ["100000000000000000000", "1e+20"],
      ["1e20", "1e+20"],
      ["1.7976931348623157e+308", "1.7976931348623157e+308"],
      ["4.9406564584124654e-324", "5e-324"],
      ["1.0000000000000001e-05", "1e-05"],
      ["1.2300000000000000", "1.23"],
      ["-inf", '"-inf"'],
      ["nan", '"nan"'],
    ] as const;
    for (const [server, shortest] of pairs) {
      const pieces = ["a", server, "ee", "1"].map((text) => Buffer.from(text));
      expect(
        written((writer) => writer.scored(members(pieces, 2))),
        server,
      ).toBe(`[["a",${shortest}],["ee",1]]`);
    }
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        const pieces = ["a", value.toPrecision(17)].map((text) => Buffer.from(text));
        const [[, score]] = JSON.parse(written((writer) => writer.scored(members(pieces, 2)))) as [[string, number]];
        expect(score).toBe(Number(value.toPrecision(17)));
      }),
    );
  });

  test("the version is an MD5 over type and value", () => {
    const writer = new ValueWriter();
    writer.begin(Buffer.from("string"));
    const value = Buffer.from("zwölf ".repeat(20_000));
    writer.text(value, 0, value.length, "base64");
    const expected = createHash("md5").update("string\0").update(value).digest();
    expect(Buffer.from(writer.digest(), "latin1")).toEqual(expected);
    writer.begin(Buffer.from("hash"));
    expect(Buffer.from(writer.digest(), "latin1")).not.toEqual(expected);
  });
});
