import { HeadwatersError } from "../../protocol/errors.ts";
import type { Json } from "../../protocol/json.ts";

/** The tokens of a condition, as far as needed to find quoted text. The rest are single characters. */
const pieces = new RegExp(
  [
    String.raw`[eE]'(?:[^'\\]|\\.|'')*'`,
    String.raw`'(?:[^']|'')*'`,
    String.raw`"(?:[^"]|"")*"`,
    String.raw`\$((?:[\p{L}_][\p{L}\p{N}_]*)?)\$.*?\$\1\$`,
    String.raw`[eE]'`,
    String.raw`[\p{L}_][\p{L}\p{N}_$]*`,
    String.raw`--|/\*`,
    ".",
  ].join("|"),
  "suy",
);

/** Why a text is not a single condition that can stand in parentheses, as the end of a sentence; `null`: it is one. */
export function conditionProblem(text: string): string | null {
  let depth = 0;
  pieces.lastIndex = 0;
  for (let match = pieces.exec(text); match !== null; match = pieces.exec(text)) {
    const [piece] = match;
    if (/^[eE]?['"]$/.test(piece)) return `has a ${piece.at(-1)} that is not closed`;
    if (piece === "--" || piece === "/*") return "has a comment";
    if (piece === ";") return "has more than one statement (;)";
    if (piece === "(") depth += 1;
    if (piece === ")") depth -= 1;
    if (depth < 0) return "closes a parenthesis that it does not open";
  }
  return depth > 0 ? "opens a parenthesis that it does not close" : null;
}

/** The user's filter for a WHERE clause; `null`: every row is read. Throws `CONFIGURATION_INVALID`. */
export function conditionOf(table: string, filter: Json | undefined): string | null {
  if (filter === undefined) return null;
  const problem = typeof filter === "string" ? conditionProblem(filter) : "is not a text";
  if (problem === null) return `(${filter as string})`;
  throw invalidFilter(table, problem);
}

/** The error for a filter that can't be used. */
export function invalidFilter(table: string, problem: string, cause?: unknown): HeadwatersError {
  return new HeadwatersError("CONFIGURATION_INVALID", `overrides.${table}.filter ${problem}`, {
    hint: 'Write an SQL condition on columns of this table, as in a WHERE clause: "temperature > 0".',
    cause,
  });
}
