import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { conditionOf, conditionProblem } from "./filter.ts";

describe("a filter of rows", () => {
  test.each([
    "temperature > 0",
    "(a = 1 OR b = 2) AND c IS NOT NULL",
    "name = 'it''s (fine' AND \"odd; name(\" = 1",
    "note = E'a\\'b)' AND date'2024-01-01' < at",
    "body = $$a ) ; -- b$$ OR body = $x$)$$($x$",
    "id IN (SELECT id FROM others WHERE ok)",
    "größe$ = 1 - -1",
  ])("%s", (text) => {
    expect(conditionProblem(text)).toBeNull();
    expect(conditionOf("t", text)).toBe(`(${text})`);
  });

  test.each([
    ["true) OR (true", "closes a parenthesis"],
    ["true) UNION ALL (SELECT 1", "closes a parenthesis"],
    ["(a = 1", "opens a parenthesis"],
    ["true; DROP TABLE t", "more than one statement"],
    ["a = 1 -- b", "a comment"],
    ["a = 1 /* b", "a comment"],
    ["a = 'b", "a ' that is not closed"],
    ['"a = 1', 'a " that is not closed'],
    ["a = 'b\\' AND ')' = '('", null],
    ["a = e'b\\' AND ')' = '('", "closes a parenthesis"],
  ])("%s", (text, problem) => {
    if (problem === null) expect(conditionProblem(text)).toBeNull();
    else expect(conditionProblem(text)).toContain(problem);
  });

  test("whatever the text, what is taken leaves the statement around it as it is", () => {
    const part = fc.constantFrom(
      "(",
      ")",
      "'",
      '"',
      "$$",
      "$a$",
      "\\",
      "E'",
      "e",
      "--",
      ";",
      "/*",
      "*/",
      "x",
      " ",
      "''",
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 12 }), (parts) => {
        const text = parts.join("");
        if (conditionProblem(text) !== null) return;
        // In another condition's parentheses it is still one, and nothing behind it is in its quotes.
        expect(conditionProblem(`(${text}) AND (true)`)).toBeNull();
        expect(conditionProblem(`(${text}) AND true)`)).not.toBeNull();
      }),
      { numRuns: 5_000 },
    );
  });

  test("text alone can be one", () => {
    expect(() => conditionOf("t", { a: 1 })).toThrow(
      expect.objectContaining({ code: "CONFIGURATION_INVALID", message: "overrides.t.filter is not a text" }),
    );
    expect(conditionOf("t", undefined)).toBeNull();
  });
});
