import { describe, expect, test } from "vitest";
import { cell, type VectorBuilder, RowsBuilder } from "../../toolkit/vectors.ts";
import type { Codec, ResultColumn } from "./codecs.ts";
import { BinaryRows } from "./copy-binary.ts";
import { TextRows } from "./text-decode.ts";

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

/** A CopyData message. */
function message(...parts: readonly Buffer[]): Buffer {
  const payload = Buffer.concat(parts);
  return Buffer.concat([Buffer.from("d"), int32(payload.length + 4), payload]);
}

const header = Buffer.concat([Buffer.from("PGCOPY\n\xff\r\n\0", "latin1"), int32(0), int32(0)]);
const trailer = int16(-1);

function row(...values: readonly (Buffer | null)[]): Buffer {
  const fields = values.map((value) => (value === null ? int32(-1) : Buffer.concat([int32(value.length), value])));
  return Buffer.concat([int16(values.length), ...fields]);
}

function columnsOf(...codecs: readonly Codec[]): { readonly columns: ResultColumn[]; readonly builder: RowsBuilder } {
  const builder = new RowsBuilder(codecs.map((name) => ({ name, type: { kind: name === "int4" ? "INT" : "STRING" } })));
  return {
    builder,
    columns: codecs.map((codec, index) => ({ name: codec, codec, builder: builder.builders[index]! })),
  };
}

const whole = Number.MAX_SAFE_INTEGER;

describe("binary COPY", () => {
  test("the header comes with the first row or alone, and the end with nothing", () => {
    for (const start of [[message(header, row(int32(1), null))], [message(header), message(row(int32(1), null))]]) {
      const { columns, builder } = columnsOf("int4", "text");
      const decoder = new BinaryRows("t", columns);
      for (const chunk of [...start, message(row(int32(2), Buffer.from("é"))), message(trailer)]) {
        expect(decoder.decode(chunk, 0, whole)).toBe(chunk.length);
      }
      const { values, length } = builder.finish();
      expect(length).toBe(2);
      expect(values.map((vector) => [cell(vector, 0), cell(vector, 1)])).toEqual([
        [1, 2],
        [null, "é"],
      ]);
    }
  });

  test("it stops behind the row that uses up the budget", () => {
    const { columns, builder } = columnsOf("int4");
    const decoder = new BinaryRows("t", columns);
    const one = message(row(int32(7)));
    const chunk = Buffer.concat([message(header), one, one, one]);
    const position = decoder.decode(chunk, 0, message(header).length + 1);
    expect(position).toBe(message(header).length + one.length);
    expect(builder.length).toBe(1);
    expect(decoder.decode(chunk, position, whole)).toBe(chunk.length);
    expect(builder.length).toBe(3);
  });

  test.each([
    ["no header", message(Buffer.from("PGCOPX\n\xff\r\n\0........", "latin1"))],
    ["a row of 2 columns instead of 1", message(header, row(int32(1), int32(2)))],
    ["a row that does not end with its message", message(header, int16(1), int32(400), int32(1))],
    ["a value of type int4 in 2 bytes", message(header, row(int16(1)))],
    ["a row that ends too early", message(header, int16(1))],
    ["a row after the last one", Buffer.concat([message(header, trailer), message(row(int32(1)))])],
  ])("%s is an error", (what, chunk) => {
    const { columns } = columnsOf("int4");
    const decoding = (): unknown => new BinaryRows("t", columns).decode(chunk, 0, whole);
    expect(decoding).toThrow(`table "t": the server sent ${what} in a binary COPY`);
  });

  test("rows without an end are an error (case 20)", () => {
    const decoder = new BinaryRows("t", columnsOf("int4").columns);
    decoder.decode(message(header, row(int32(1))), 0, whole);
    expect(() => decoder.end()).toThrow("rows without an end");
    decoder.decode(message(trailer), 0, whole);
    decoder.end();
  });

  test("text that is looked at", () => {
    const { columns, builder } = columnsOf("checked_text");
    const decoder = new BinaryRows("t", columns);
    decoder.decode(message(header, row(Buffer.from("é"))), 0, whole);
    expect(() => decoder.decode(message(row(Buffer.from([0xe9]))), 0, whole)).toThrow(
      'table "t", column "checked_text"',
    );
    const text = new TextRows("t", columns);
    text.decode(["é"]);
    expect(() => text.decode(["\uFFFD"])).toThrow('table "t", column "checked_text": a text is not valid UTF-8');
    expect(bytesOf(builder.builders[0]!)).toBe("éé");
  });
});

function bytesOf(builder: VectorBuilder): string {
  return Buffer.from(builder.finish().values).toString();
}
