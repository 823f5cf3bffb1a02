import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { canonicalJson, type Document, kinds } from "./document.ts";
import { ParsedDocuments } from "./parsed.ts";
import { ScanError, Scanner } from "./scanner.ts";

function answer(...documents: readonly string[]): Buffer {
  return Buffer.from(`{"t":2,"r":[${documents.join(",")}],"n":[]}`);
}

const texts: ReadonlySet<number> = new Set([kinds.text, kinds.escapedText, kinds.binary]);

/** Everything that a decoder says of its documents. */
function all(decoder: (Scanner | ParsedDocuments) & Document, bytes: Buffer): unknown[] {
  const documents: unknown[] = [];
  decoder.load(bytes);
  while (decoder.next()) {
    const fields: Record<string, unknown> = {};
    for (let field = 0; field < decoder.fields; field++) {
      const name = textOf(decoder, decoder.names, field);
      fields[name] = valueOf(decoder, field);
    }
    const text = decoder.bytes.toString("utf8", decoder.start, decoder.end);
    documents.push({ fields, text: decoder.loose ? canonicalJson(text) : text });
  }
  return documents;
}

function textOf({ bytes }: Document, spans: Int32Array, field: number): string {
  const text = bytes.toString("utf8", spans[field * 2], spans[field * 2 + 1]);
  return text.includes("\\") ? (JSON.parse(`"${text}"`) as string) : text;
}

function valueOf(document: Document, field: number): unknown {
  const kind = document.kinds[field]!;
  const span = (): string => document.bytes.toString("utf8", document.spans[field * 2], document.spans[field * 2 + 1]);
  if (kind === kinds.integer || kind === kinds.number || kind === kinds.rounded || kind === kinds.time)
    return [kind, document.numbers[field]];
  if (kind === kinds.json || kind === kinds.looseJson)
    return [kinds.json, kind === kinds.json ? span() : canonicalJson(span())];
  if (texts.has(kind)) return [kind === kinds.escapedText ? kinds.text : kind, unescaped(span(), kind)];
  return [kind];
}

function unescaped(text: string, kind: number): string {
  return kind === kinds.escapedText || (kind === kinds.binary && text.includes("\\"))
    ? (JSON.parse(`"${text}"`) as string)
    : text;
}

/** As RethinkDB writes: fields by the bytes of their names. */
function written(value: unknown): string {
  if (typeof value === "number") return Object.is(value, -0) ? "-0.0" : JSON.stringify(value);
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(written).join(",")}]`;
  const names = Object.keys(value).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  return `{${names.map((name) => `${JSON.stringify(name)}:${written((value as Record<string, unknown>)[name])}`).join(",")}}`;
}

describe("the scanner", () => {
  test.each([
    ["whole numbers", '{"a":0,"b":-7,"c":2147483647,"d":2147483648,"e":-2147483648}'],
    [
      "numbers",
      '{"a":0.1,"b":1e21,"c":5e-324,"d":9223372036854776000.0,"e":-0.0,"f":1.7976931348623157e308,"g":0.30000000000000007}',
    ],
    ["a number that needs every digit", '{"a":123456789012345.6,"b":0.1234567890123456,"c":1.2345678901234568e29}'],
    ["text", '{"a":"","b":"é🚀","c":"\\"\\\\\\n\\u001F","d":"\\\\"}'],
    ["nothing and truth", '{"a":null,"b":true,"c":false}'],
    ["times", '{"a":{"$reql_type$":"TIME","epoch_time":1600000000.123,"timezone":"+05:30"}}'],
    [
      "a time before 1970 and one out of range",
      '{"a":{"$reql_type$":"TIME","epoch_time":-1.5,"timezone":"Z"},"b":{"$reql_type$":"TIME","epoch_time":1e300,"timezone":"+00:00"}}',
    ],
    [
      "binary in lines",
      '{"a":{"$reql_type$":"BINARY","data":"AAEC\\r\\nAwQ="},"b":{"$reql_type$":"BINARY","data":""}}',
    ],
    ["a geometry", '{"a":{"$reql_type$":"GEOMETRY","coordinates":[-122.4233,37.7788],"type":"Point"}}'],
    ["nested", '{"a":{"b":[1,[2,{"c":"]}\\""}],-0.0,1e2,true,null]},"d":[],"e":{}}'],
    ["names that are empty, dotted, escaped", '{"":1,"a\\"b":3,"a.b":2,"é":4}'],
    ["an object that only looks like a time", '{"a":{"$reql_type$":"TIME","x":1}}'],
  ])("%s: the same by both ways", (_what, document) => {
    const bytes = answer(document, "{}", document);
    expect(all(new Scanner(), bytes)).toEqual(all(new ParsedDocuments(), bytes));
  });

  test("spaces do not matter", () => {
    const spaced = answer(
      '{ "b" : [ 1 , "x y" ] ,\n "t" : { "$reql_type$" : "TIME" , "epoch_time" : 1 , "timezone" : "Z" } }',
      " { } ",
    );
    const [first, second] = all(new Scanner(), spaced) as [{ text: string }, { text: string }];
    expect([first.text, second.text]).toEqual([
      '{"b":[1,"x y"],"t":{"$reql_type$":"TIME","epoch_time":1,"timezone":"Z"}}',
      "{}",
    ]);
  });

  test("any document is the same by both ways", () => {
    const value = fc.jsonValue({ maxDepth: 3, stringUnit: "grapheme" });
    fc.assert(
      fc.property(
        fc.array(fc.dictionary(fc.string({ unit: "grapheme" }), value, { maxKeys: 40 }), { maxLength: 4 }),
        (documents) => {
          const bytes = answer(...documents.filter((document) => !("__proto__" in document)).map(written));
          expect(all(new Scanner(), bytes)).toEqual(all(new ParsedDocuments(), bytes));
        },
      ),
    );
  });

  test("any number is the double that JSON.parse gives", () => {
    const scanner = new Scanner();
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.nat(20), (value, digits) => {
        for (const text of [written(value), value.toFixed(digits), value.toExponential(digits)]) {
          const bytes = answer(`{"a":${text},"b":[${text}]}`);
          expect(all(scanner, bytes)).toEqual(all(new ParsedDocuments(), bytes));
          scanner.load(bytes);
          scanner.next();
          expect(scanner.numbers[0]).toBe(JSON.parse(text));
        }
      }),
    );
  });

  test.each(["[1]", '{"a"}', '{"a":1', '{"a":"x', '{"a":[1', '{"a":1}{', "{,}", '{"a":}'])(
    "%j is refused",
    (document) => {
      const scanner = new Scanner();
      const read = (): void => {
        scanner.load(Buffer.from(`{"t":2,"r":[${document}`));
        while (scanner.next());
      };
      expect(read).toThrow(ScanError);
    },
  );
});
