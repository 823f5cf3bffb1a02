import { HeadwatersError } from "../../protocol/errors.ts";
import type { Json } from "../../protocol/json.ts";
import type { Selection } from "../../protocol/source.ts";
import { isPattern, selects } from "../../toolkit/patterns.ts";
import { type Term, type TermName, term } from "../../wire/reql/terms.ts";
import { fieldOf } from "./documents/fields.ts";
import { microsecondsOfText, timeTerm } from "./timestamps/timestamps.ts";

/** Whether a document meets the user's filter. FILTER skips documents that lack a field of the filter. */
export type Condition = (document: Term) => Term;

const comparisons: Readonly<Record<string, TermName>> = { eq: "EQ", ne: "NE", gt: "GT", ge: "GE", lt: "LT", le: "LE" };

/** A constant, and its TYPE_OF. The type is needed because RethinkDB also orders by type, which filters should not do. */
interface Constant {
  readonly value: Term;
  readonly type: string | null;
}

/**
 * The condition for a filter such as `{ status: active, size: { gt: 0, le: 100 }, kind: [a, b] }`: equal to a value,
 * between values, one of several. `null`: every document is read. Throws `CONFIGURATION_INVALID`.
 */
export function conditionOf(table: string, filter: Json | undefined): Condition | null {
  if (filter === undefined) return null;
  const setting = `overrides.${table}.filter`;
  if (!isMapping(filter)) throw invalid(setting, "is no mapping of fields");
  const tests = Object.entries(filter).map(([field, wanted]) => testOf(`${setting}.${field}`, field, wanted));
  if (tests.length === 0) throw invalid(setting, "names no field");
  return (document) => all(tests.map((test) => test(document)));
}

function testOf(setting: string, field: string, wanted: Json): Condition {
  const valueOf: Condition = (document) => term("BRACKET", [document, field]);
  if (Array.isArray(wanted)) {
    const values = wanted.map((value: Json) => constantOf(setting, value).value);
    if (values.length === 0) throw invalid(setting, "is an empty list");
    return (document) =>
      term(
        "OR",
        values.map((value) => term("EQ", [valueOf(document), value])),
      );
  }
  if (!isMapping(wanted) || isTime(wanted)) {
    const { value } = constantOf(setting, wanted);
    return (document) => term("EQ", [valueOf(document), value]);
  }
  const tests = Object.entries(wanted).map(([name, given]): Condition => {
    const comparison = comparisons[name];
    if (comparison === undefined) throw invalid(`${setting}.${name}`, "is no comparison");
    const { value, type } = constantOf(`${setting}.${name}`, given);
    const compared: Condition = (document) => term(comparison, [valueOf(document), value]);
    if (name === "eq" || name === "ne") return compared;
    if (type === null) throw invalid(`${setting}.${name}`, "compares with a value that has no order");
    return (document) => term("AND", [term("EQ", [term("TYPE_OF", [valueOf(document)]), type]), compared(document)]);
  });
  if (tests.length === 0) throw invalid(setting, "has no comparison");
  return (document) => all(tests.map((test) => test(document)));
}

function constantOf(setting: string, value: Json): Constant {
  if (typeof value === "string") return { value, type: "STRING" };
  if (typeof value === "number") return { value, type: "NUMBER" };
  if (typeof value === "boolean" || value === null) return { value, type: null };
  const microseconds = isTime(value) ? microsecondsOfText(value.time) : null;
  if (microseconds === null) throw invalid(setting, "is no text, number, true, false, null or { time: … }");
  return { value: timeTerm(microseconds / 1_000), type: "PTYPE<TIME>" };
}

function all(tests: readonly Term[]): Term {
  return tests.length === 1 ? tests[0]! : term("AND", tests);
}

function isMapping(value: Json): value is Readonly<Record<string, Json>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isTime(value: Json): value is { readonly time: string } {
  return isMapping(value) && Object.keys(value).length === 1 && typeof value["time"] === "string";
}

function invalid(setting: string, problem: string): HeadwatersError {
  return new HeadwatersError("CONFIGURATION_INVALID", `${setting} ${problem}`, {
    hint: 'Write each field with the value that it must have: { status: active, kind: [a, b], size: { gt: 0 }, at: { ge: { time: "2024-05-17T00:00:00Z" } } }. The comparisons are eq, ne, gt, ge, lt and le.',
  });
}

/**
 * Documents without the fields whose columns are excluded by name. Patterns exclude nothing here: otherwise a
 * document's digest would change with the fields that a server has seen. `kept`: fields that are always needed.
 */
export function projected(documents: Term, columns: Selection | undefined, kept: readonly string[]): Term {
  if (columns === undefined) return documents;
  const { include, exclude } = columns;
  if (include.length > 0 && !include.some(isPattern)) {
    const wanted = include.filter((name) => selects(columns, name)).map(fieldOf);
    return term("PLUCK", [documents, ...new Set([...wanted, ...kept])]);
  }
  const unwanted = exclude.filter((name) => !isPattern(name)).map(fieldOf);
  const gone = unwanted.filter((name) => !kept.includes(name));
  return gone.length === 0 ? documents : term("WITHOUT", [documents, ...gone]);
}
