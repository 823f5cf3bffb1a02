import { HeadwatersError } from "../../protocol/errors.ts";
import type { Json } from "../../protocol/json.ts";
import { nearest } from "../../toolkit/nearest.ts";
import type { Cluster, Routing } from "../../wire/cql/cluster.ts";
import { quoted } from "../../wire/cql/errors.ts";
import { CqlServerError, serverErrors } from "../../wire/cql/server-error.ts";
import { columnNames, type CqlTable } from "./catalog.ts";
import { lookupStatement } from "./statements.ts";

/** One condition on one column, such as `status = 'active'`. */
interface Restriction {
  readonly column: string;
  /** Operator and value, in CQL. */
  readonly condition: string;
}

const constant = String.raw`(?:'(?:[^']|'')*'|0x[\da-f]*|[+-]?\d[\w.+-]*|[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}|true|false|nan|infinity)`;
const list = String.raw`\(\s*${constant}(?:\s*,\s*${constant})*\s*\)`;
const restriction = new RegExp(
  String.raw`\s*(?:"((?:[^"]|"")+)"|([a-z]\w*))\s*((?:=|<=|>=|<|>|contains\s+key\b|contains\b|like\b)\s*${constant}|in\s*${list})\s*(?=and\b|$)`,
  "iy",
);
const and = /and\b/iy;

/**
 * Parses CQL restrictions joined by AND. A clause after the restrictions (LIMIT, ORDER BY) would change which rows a
 * statement returns, so it is not accepted. `null`: the text is not of this form.
 */
export function parseRestrictions(text: string): readonly Restriction[] | null {
  const found: Restriction[] = [];
  for (let at = 0; ;) {
    restriction.lastIndex = at;
    const match = restriction.exec(text);
    if (match === null) return null;
    const [whole, exact, folded, condition] = match;
    // CQL ignores case in names without quotes.
    found.push({ column: exact?.replaceAll('""', '"') ?? folded!.toLowerCase(), condition: condition! });
    at += whole.length;
    if (at === text.length) return found;
    and.lastIndex = at;
    if (!and.test(text)) return null;
    at = and.lastIndex;
  }
}

/**
 * The user's filter as conditions of a WHERE clause; without a filter there are none. The filter can't use key columns
 * or the cursor: rows are looked up by the key, windows are cut by the cursor, and CQL accepts one restriction of a
 * kind. Throws `CONFIGURATION_INVALID`.
 */
export function conditionsOf(native: CqlTable, filter: Json | undefined, cursor: string | null): readonly string[] {
  if (filter === undefined) return [];
  const restrictions = typeof filter === "string" ? parseRestrictions(filter) : null;
  if (restrictions === null) {
    throw invalidFilter(native.name, "is not a list of CQL restrictions joined by AND");
  }
  for (const { column } of restrictions) {
    const known = native.columns.find(({ name }) => name === column);
    if (known === undefined) {
      const meant = nearest(
        column,
        native.columns.map(({ name }) => name),
      );
      const hint = meant === null ? undefined : `Did you mean ${quoted(meant)}?`;
      throw invalidFilter(native.name, `names column ${quoted(column)}, which the table does not have`, hint);
    }
    if (known.kind === "partition_key" || known.kind === "clustering") {
      throw invalidFilter(
        native.name,
        `names ${quoted(column)}, a column of the key`,
        "Rows are looked up by their keys, and CQL allows one restriction of each: select rows by other columns.",
      );
    }
    if (column === cursor) {
      throw invalidFilter(
        native.name,
        `names ${quoted(column)}, the cursor column`,
        `Windows are cut by it, and CQL allows one restriction of each: select rows by other columns, or set overrides.${native.name}.mode to full.`,
      );
    }
  }
  return restrictions.map(({ column, condition }) => `${quoted(column)} ${condition}`);
}

/** Has the server check the conditions before a row is read. */
export async function checkFilter(
  cluster: Cluster,
  native: CqlTable,
  filter: readonly string[],
  routing: Routing,
): Promise<void> {
  if (filter.length === 0) return;
  const cells = [...columnNames(native, "partition_key"), ...columnNames(native, "clustering")].map(quoted);
  try {
    await cluster.prepare(lookupStatement(cells, native, "row", filter), routing);
  } catch (thrown) {
    const mistakes: readonly number[] = [serverErrors.invalid, serverErrors.syntax];
    if (!(thrown instanceof CqlServerError) || !mistakes.includes(thrown.code)) throw thrown;
    throw invalidFilter(native.name, `is refused by the server: ${thrown.message}`, undefined, thrown);
  }
}

function invalidFilter(table: string, problem: string, hint?: string, cause?: unknown): HeadwatersError {
  return new HeadwatersError("CONFIGURATION_INVALID", `overrides.${table}.filter ${problem}`, {
    hint: hint ?? "Write conditions on columns outside the key, with constants: \"status = 'active' AND size > 0\".",
    cause,
  });
}
