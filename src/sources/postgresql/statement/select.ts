import { escapeIdentifier, escapeLiteral } from "../../../wire/postgres/literals.ts";
import { relationOf } from "../catalog/catalog.ts";
import { columnOf, type Shape } from "../catalog/shape.ts";
import type { Bound, Order, Position, Work } from "../work.ts";

/** A value to order by and compare: an expression, and the type that its literals are cast to. */
export interface Term {
  /** The column; `null`: the expression is computed. */
  readonly column: string | null;
  readonly expression: string;
  readonly sql: string;
}

/** Hash codes are below this number, from 0. */
export const hashCodes = 65_536;

/** Key columns that YugabyteDB shards by, in order. */
export type HashColumns = readonly string[];

/** The terms of an order. */
export function termsOf(order: Order, shape: Shape, hashColumns: HashColumns, cursor: string | null): readonly Term[] {
  const column = (name: string): Term => ({
    column: name,
    expression: escapeIdentifier(name),
    sql: columnOf(shape, name).sql,
  });
  const key = shape.key.map(column);
  switch (order) {
    case "key":
      return key;
    case "hash":
      return [hashTerm(hashColumns), ...key];
    case "cursor":
      return [column(cursor!), ...key.filter((_, index) => shape.key[index] !== cursor)];
    case "ctid":
      return [{ column: null, expression: "ctid", sql: "tid" }];
    case "none":
      return [];
  }
}

function hashTerm(columns: HashColumns): Term {
  return { column: null, expression: `yb_hash_code(${columns.map(escapeIdentifier).join(", ")})`, sql: "int4" };
}

/** One statement's part of a split. */
export interface Part {
  /** Excluded; `null`: the end of the split. */
  readonly to: Bound | null;
  /** The most rows; `null`: all. */
  readonly limit: number | null;
  /** Where the next part begins; `null`: this part is the last, unless `limit` cut it. */
  readonly next: Bound | null;
}

/**
 * What one statement reads from `position` on: the rest of the split, or `span` of it after a read that took too long.
 * Orders with numbers (hash codes, blocks) are cut by number; the other orders are cut by LIMIT.
 */
export function partOf(work: Work, { after, from, span }: Position): Part {
  if (span === null || work.order === "none") return { to: work.to, limit: null, next: null };
  if (work.order === "key" || work.order === "cursor") return { to: work.to, limit: span, next: null };
  const first = placeOf(work.order, work.from);
  const end = placeOf(work.order, after ?? from ?? work.from) + span;
  if (end >= first + work.span) return { to: work.to, limit: null, next: null };
  const bound = [work.order === "ctid" ? `(${end},0)` : String(end)];
  return { to: bound, limit: null, next: bound };
}

/** The number of a bound: its hash code or block. */
function placeOf(order: "hash" | "ctid", bound: Bound | null): number {
  if (bound === null) return 0;
  return Number(order === "ctid" ? bound[0]!.slice(1).split(",")[0] : bound[0]);
}

/** The statement for one part of a split; it returns `expressions`, in order. */
export function selectSql(
  shape: Shape,
  work: Work,
  terms: readonly Term[],
  position: Position,
  part: Part,
  expressions: readonly string[],
): string {
  const conditions: string[] = [];
  if (position.after !== null) conditions.push(...compare(terms, position.after, ">"));
  else if (position.from !== null) conditions.push(...compare(terms, position.from, ">="));
  else if (work.from !== null) conditions.push(...compare(terms, work.from, ">="));
  if (part.to !== null) conditions.push(...compare(terms, part.to, "<"));
  if (work.window !== null) {
    const { column, low, high } = work.window;
    const { sql } = columnOf(shape, column);
    if (low !== null) conditions.push(`${escapeIdentifier(column)} >= ${literal(low, sql)}`);
    conditions.push(`${escapeIdentifier(column)} <= ${literal(high, sql)}`);
  }
  if (shape.filter !== null) conditions.push(shape.filter);
  const clauses = [`SELECT ${expressions.join(", ")}`, `FROM ${relationOf(shape, work.heap)}`];
  if (conditions.length > 0) clauses.push(`WHERE ${conditions.join(" AND ")}`);
  // A scan of ctid ranges returns rows in ctid order anyway.
  if (work.order !== "none" && work.order !== "ctid") {
    clauses.push(`ORDER BY ${terms.map((term) => term.expression).join(", ")}`);
  }
  if (part.limit !== null) clauses.push(`LIMIT ${part.limit}`);
  return clauses.join(" ");
}

export function literal(text: string, sql: string): string {
  return `${escapeLiteral(text)}::${sql}`;
}

/** A row comparison. The first column is also compared by itself, because every kind of index supports that. */
function compare(terms: readonly Term[], bound: Bound, operator: ">" | ">=" | "<"): string[] {
  const parts = bound.map((text, index) => [terms[index]!.expression, literal(text, terms[index]!.sql)] as const);
  const [first] = parts;
  if (parts.length === 1) return [`${first![0]} ${operator} ${first![1]}`];
  const left = parts.map(([expression]) => expression).join(", ");
  const right = parts.map(([, value]) => value).join(", ");
  return [`${first![0]} ${operator === "<" ? "<=" : ">="} ${first![1]}`, `(${left}) ${operator} (${right})`];
}
