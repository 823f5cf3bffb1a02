import type { Json } from "../../../protocol/json.ts";
import { type Document, kinds, numberText } from "../../../wire/reql/document.ts";
import { lambda, type Term, term } from "../../../wire/reql/terms.ts";

/** Fields that tell when a document changed, the first that is there counts: as the published example has them. */
export const timestampFields: readonly string[] = [
  "updated_at",
  "modified_at",
  "timestamp",
  "created_at",
  "last_modified",
];

/**
 * Fields that tell when a document was made, or when what it records happened (`timestamp` of a log): applications edit
 * the document and leave them, so that a change must be seen otherwise.
 */
export const madeFields: ReadonlySet<string> = new Set(["created_at", "timestamp"]);

/**
 * Whole text of ISO 8601: a date, or a date and a time with or without its zone. Read the same by RE2 in the server and
 * by JavaScript here.
 */
const isoText = "^\\d{4}-\\d{2}-\\d{2}([T ]\\d{2}:\\d{2}(:\\d{2}([.,]\\d{1,9})?)?(Z|z|[+-]\\d{2}(:?\\d{2})?)?)?$";
/** Of these the order of the text is that of the times. */
const sortableText = "^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}(:\\d{2}([.]\\d{1,9})?)?Z$";

const isoParts =
  /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?(?:[Zz]|([+-])(\d{2})(?::?(\d{2}))?)?)?$/;

/**
 * Numbers are seconds, milliseconds or microseconds since 1970, told apart by their size: below 1e11 seconds (until the
 * year 5138), below 1e14 milliseconds (from March 1973 on).
 */
const leastMilliseconds = 1e11;
const leastMicroseconds = 1e14;

/** Microseconds since 1970 of ISO 8601 text, without a zone taken as UTC; `null`: it is none. */
export function microsecondsOfText(text: string): number | null {
  const parts = isoParts.exec(text);
  if (parts === null) return null;
  const number = (index: number): number => Number(parts[index] ?? 0);
  const date = new Date(0);
  // Not by the constructor: it would take a year like 0024 for 1924.
  date.setUTCFullYear(number(1), number(2) - 1, number(3));
  const fraction = Number((parts[7] ?? "").padEnd(6, "0").slice(0, 6));
  const clock = (number(4) * 60 + number(5)) * 60 + number(6);
  const zone = (parts[8] === "-" ? -1 : 1) * (number(9) * 60 + number(10)) * 60;
  return date.getTime() * 1_000 + (clock - zone) * 1_000_000 + fraction;
}

/** Microseconds since 1970 of a number, by its size. */
export function microsecondsOfNumber(value: number): number {
  if (value >= leastMicroseconds) return Math.round(value);
  if (value >= leastMilliseconds) return Math.round(value * 1_000);
  return Math.abs(value) < exactSeconds ? Math.round(value * 1e6) : microsecondsOfSeconds(value);
}

/** From here on (the year 2106) the doubles beside each other are so far apart that a microsecond may be another one. */
const exactSeconds = 2 ** 32;

/** Of a time, which RethinkDB keeps to the millisecond. */
export function microsecondsOfSeconds(seconds: number): number {
  return Math.round(seconds * 1e3) * 1e3;
}

/** The moment that a field of a document stands for, in microseconds since 1970; `null`: none. */
export function momentOf(document: Document, field: number): number | null {
  switch (document.kinds[field]) {
    case kinds.time:
      return microsecondsOfSeconds(document.numbers[field]!);
    case kinds.integer:
    case kinds.number:
    case kinds.rounded:
      return microsecondsOfNumber(document.numbers[field]!);
    case kinds.text: {
      const [start, end] = [document.spans[field * 2]!, document.spans[field * 2 + 1]!];
      return end - start > 64 ? null : microsecondsOfText(document.bytes.toString("latin1", start, end));
    }
    default:
      return null;
  }
}

/** How a moment is written where that is no time of RethinkDB: what {@link momentOf} understands has at most 64 bytes. */
export function formOf({ kinds: all, bytes, spans, numbers }: Document, field: number): Uint8Array | null {
  if (all[field] === kinds.time) return null;
  if (all[field] === kinds.text) return bytes.subarray(spans[field * 2], spans[field * 2 + 1]);
  return Buffer.from(numberText(numbers[field]!), "latin1");
}

/** A time as it is sent. */
export function timeTerm(milliseconds: number): Term {
  return { $reql_type$: "TIME", epoch_time: milliseconds / 1_000, timezone: "+00:00" };
}

/** One stretch of a window: documents whose field lies between two bounds, and fulfil a condition where one is needed. */
export interface Stretch {
  readonly low: Term;
  readonly high: Term;
  readonly condition: ((value: Term) => Term) | null;
}

/** What an index must be asked for, one type of value after the other, to find what is not older than `since`. */
export function stretches(since: number): readonly Stretch[] {
  const number = (low: number, high: number): Stretch => ({ low, high, condition: null });
  return [
    // Times come right before text, whose least is empty.
    { low: timeTerm(since), high: "", condition: null },
    number(since / 1_000, leastMilliseconds),
    number(Math.max(since, leastMilliseconds), leastMicroseconds),
    number(Math.max(since * 1_000, leastMicroseconds), Number.MAX_VALUE),
    { low: earliestDate(since), high: term("MAXVAL"), condition: (value) => textCondition(value, since) },
  ];
}

/** Whether a document's field is not older than `since` (milliseconds since 1970); false where it is no moment. */
export function notOlder(field: string, since: number): (document: Term) => Term {
  return (document) => {
    const value = term("BRACKET", [document, field]);
    return term("BRANCH", [
      isTime(value),
      term("GE", [value, timeTerm(since)]),
      isNumber(value),
      term("BRANCH", [
        term("LT", [value, leastMilliseconds]),
        term("GE", [value, since / 1_000]),
        term("LT", [value, leastMicroseconds]),
        term("GE", [value, since]),
        term("GE", [value, since * 1_000]),
      ]),
      isText(value),
      textCondition(value, since),
      false,
    ]);
  };
}

/**
 * Text in UTC is compared as it is; of any other the date alone, a day earlier: zones reach 14 hours to either side.
 * It may let documents through that are older; they are equal to the copy.
 */
function textCondition(value: Term, since: number): Term {
  const exact = new Date(since).toISOString().slice(0, 19);
  return term("BRANCH", [
    matches(value, sortableText),
    term("GE", [value, exact]),
    matches(value, isoText),
    term("GE", [value, earliestDate(since)]),
    false,
  ]);
}

function earliestDate(since: number): string {
  return new Date(since - 86_400_000).toISOString().slice(0, 10);
}

/** Whether a field tells a moment; no error where it is missing. */
export function tellsMoment(field: string): (document: Term) => Term {
  return (document) => {
    const value = term("DEFAULT", [term("BRACKET", [document, field]), null]);
    return term("BRANCH", [isTime(value), true, isNumber(value), true, isText(value), matches(value, isoText), false]);
  };
}

function isTime(value: Term): Term {
  return term("EQ", [term("TYPE_OF", [value]), "PTYPE<TIME>"]);
}

function isNumber(value: Term): Term {
  return term("EQ", [term("TYPE_OF", [value]), "NUMBER"]);
}

function isText(value: Term): Term {
  return term("EQ", [term("TYPE_OF", [value]), "STRING"]);
}

function matches(value: Term, pattern: string): Term {
  return term("NE", [term("MATCH", [value, pattern]), null]);
}

/** `document => condition(document)`, as a filter. */
export function filtered(rows: Term, condition: (document: Term) => Term): Term {
  return term("FILTER", [rows, lambda(condition)]);
}

/** Whether a value that was parsed tells a moment. */
export function isMoment(value: Json): boolean {
  if (typeof value === "number") return true;
  if (typeof value === "string") return microsecondsOfText(value) !== null;
  return typeof value === "object" && value !== null && (value as { $reql_type$?: Json }).$reql_type$ === "TIME";
}
