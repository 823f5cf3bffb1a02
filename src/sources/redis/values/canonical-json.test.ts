import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { canonicalJson } from "./canonical-json.ts";

describe("a JSON document", () => {
  test("means the same in canonical form", () => {
    fc.assert(
      fc.property(fc.json(), fc.constantFrom("", " ", "\n  "), (text, space) => {
        const canonical = canonicalJson(JSON.stringify(JSON.parse(text), null, space));
        expect(JSON.parse(canonical)).toEqual(JSON.parse(text));
        expect(canonicalJson(canonical)).toBe(canonical);
      }),
      { numRuns: 300 },
    );
  });

  test("has its members in order, and keeps every digit", () => {
    expect(canonicalJson('{ "b": 12345678901234567890, "a": [1.0, -0, 1e400], "é": "\\u00e9", "": null }')).toBe(
      '{"":null,"a":[1.0,-0,1e400],"b":12345678901234567890,"é":"\\u00e9"}',
    );
  });

  test("with very long strings", () => {
    const long = JSON.stringify({ text: 'a "quoted" word\\'.repeat(400_000) });
    expect(canonicalJson(long)).toBe(long);
    const escapes = JSON.stringify("\n".repeat(8_000_000));
    expect(canonicalJson(escapes) === escapes).toBe(true);
  });

  test.each(["", "{", '{"a"}', "[1,]", "tru", '{"a":1}x', '"'])("%j is none", (text) => {
    expect(() => canonicalJson(text)).toThrow(SyntaxError);
  });
});
