import { HeadwatersError } from "../../protocol/errors.ts";
import type { Json } from "../../protocol/json.ts";
import type { PostgresConnection } from "../../wire/postgres/connection.ts";
import { nativeCode } from "../../net/errors.ts";
import { relationOf } from "./catalog/catalog.ts";
import type { Shape } from "./catalog/shape.ts";

/** What a condition is made of, so far as to tell what stands in quotes. Single characters are the rest. */
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

/** Why a text is not one condition that stays one within parentheses, as the end of a sentence; `null`: it is. */
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

/** The user's filter as it stands in a WHERE clause; `null`: every row is read. Throws `CONFIGURATION_INVALID`. */
export function conditionOf(table: string, filter: Json | undefined): string | null {
  if (filter === undefined) return null;
  const problem = typeof filter === "string" ? conditionProblem(filter) : "is no text";
  if (problem === null) return `(${filter as string})`;
  throw invalidFilter(table, problem);
}

/**
 * Lets the server look at the filter, without reading a row. A value is bound only so that the statement is sent by the
 * protocol that takes one statement and no more.
 */
export async function checkFilter(connection: PostgresConnection, shape: Shape, signal: AbortSignal): Promise<void> {
  const { catalog, filter } = shape;
  if (filter === null) return;
  try {
    await connection.query(
      `SELECT 1 FROM ${relationOf(shape, null)} WHERE ${filter} AND $1::bool LIMIT 0`,
      ["true"],
      signal,
      catalog,
    );
  } catch (thrown) {
    const code = thrown instanceof HeadwatersError ? nativeCode(thrown.cause) : null;
    if (code === null || !isMistake(code)) throw thrown;
    throw invalidFilter(catalog.name, `is not taken by the server: ${serverMessage(thrown)}`, thrown);
  }
}

/** Classes of SQLSTATE that tell of the text itself: syntax and names, values, what is not supported there. */
function isMistake(code: string): boolean {
  return /^(42|22|0A)/.test(code) && code !== "42501" && code !== "42P01";
}

function serverMessage(thrown: unknown): string {
  const { cause } = thrown as HeadwatersError;
  return cause instanceof Error ? cause.message : String(cause);
}

function invalidFilter(table: string, problem: string, cause?: unknown): HeadwatersError {
  return new HeadwatersError("CONFIGURATION_INVALID", `overrides.${table}.filter ${problem}`, {
    hint: 'Write an SQL condition on columns of this table, as a WHERE clause has it: "temperature > 0".',
    cause,
  });
}
