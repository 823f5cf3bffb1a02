import type { Json } from "../../../protocol/json.ts";
import { type Document, kinds, latestTime, numberText } from "../../../wire/reql/document.ts";
import { lambda, type Term, term } from "../../../wire/reql/terms.ts";

/** Fields that say when a document changed, as in the published example. The first one that exists counts. */
export const timestampFields: readonly string[] = [
  "updated_at",
  "modified_at",
  "timestamp",
  "created_at",
  "last_modified",
];

/**
 * Fields that say when a document was made, or when the recorded event happened (`timestamp` of a log). Applications
 * edit the document without setting these fields again, so a change must be detected in another way.
 */
export const madeFields: ReadonlySet<string> = new Set(["created_at", "timestamp"]);

/**
 * Matches a whole text of ISO 8601: a date, or a date and a time with or without its zone. RE2 in the server and
 * JavaScript here read it the same way.
 */
const isoText = "^\\d{4}-\\d{2}-\\d{2}([T ]\\d{2}:\\d{2}(:\\d{2}([.,]\\d{1,9})?)?(Z|z|[+-]\\d{2}(:?\\d{2})?)?)?$";
/** Texts of this form sort in the order of their times. */
const sortableText = "^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}(:\\d{2}([.]\\d{1,9})?)?Z$";

const isoParts =
  /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?(?:[Zz]|([+-])(\d{2})(?::?(\d{2}))?)?)?$/;

/**
 * Numbers are seconds, milliseconds or microseconds since 1970. Their size decides: below 1e11 they are seconds (until
 * the year 5138), below 1e14 milliseconds (from March 1973 on).
 */
const leastMilliseconds = 1e11;
const leastMicroseconds = 1e14;

/** Microseconds since 1970 of ISO 8601 text; a text without a zone is UTC. `null`: the text is not ISO 8601. */
export function microsecondsOfText(text: string): number | null {
  const parts = isoParts.exec(text);
  if (parts === null) return null;
  const number = (index: number): number => Number(parts[index] ?? 0);
  const date = new Date(0);
  // Not with the constructor, which turns a year like 0024 into 1924.
  date.setUTCFullYear(number(1), number(2) - 1, number(3));
  const fraction = Number((parts[7] ?? "").padEnd(6, "0").slice(0, 6));
  const clock = (number(4) * 60 + number(5)) * 60 + number(6);
  const zone = (parts[8] === "-" ? -1 : 1) * (number(9) * 60 + number(10)) * 60;
  return date.getTime() * 1_000 + (clock - zone) * 1_000_000 + fraction;
}

/** Microseconds since 1970; the size of the number decides its unit. */
export function microsecondsOfNumber(value: number): number {
  if (value >= leastMicroseconds) return Math.round(value);
  if (value >= leastMilliseconds) return Math.round(value * 1_000);
  return Math.abs(value) < exactSeconds ? Math.round(value * 1e6) : microsecondsOfSeconds(value);
}

/** From here on (the year 2106), neighbouring doubles are so far apart that a microsecond may be rounded. */
const exactSeconds = 2 ** 32;

/** Microseconds since 1970 of a RethinkDB time, which has milliseconds. */
export function microsecondsOfSeconds(seconds: number): number {
  return Math.round(seconds * 1e3) * 1e3;
}

/** The moment of a document's field, in microseconds since 1970; `null`: the field has none. */
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

/**
 * The written form of a moment that is not a RethinkDB time. What {@link momentOf} understands has at most 64 bytes.
 */
export function formOf({ kinds: all, bytes, spans, numbers }: Document, field: number): Uint8Array | null {
  if (all[field] === kinds.time) return null;
  if (all[field] === kinds.text) return bytes.subarray(spans[field * 2], spans[field * 2 + 1]);
  return Buffer.from(numberText(numbers[field]!), "latin1");
}

/** A time in the form that is sent to the server. */
export function timeTerm(milliseconds: number): Term {
  return { $reql_type$: "TIME", epoch_time: milliseconds / 1_000, timezone: "+00:00" };
}

/** One stretch of a window: documents whose field lies between two bounds and meets the condition, if there is one. */
export interface Stretch {
  readonly low: Term;
  readonly high: Term;
  readonly condition: ((value: Term) => Term) | null;
}

/** The queries to an index, one per type of value, that find all documents not older than `since`. */
export function stretches(since: number): readonly Stretch[] {
  const number = (low: number, high: number): Stretch => ({ low, high, condition: null });
  return [
    // Times sort directly before text, and the least text is empty.
    { low: timeTerm(since), high: "", condition: null },
    number(since / 1_000, leastMilliseconds),
    number(Math.max(since, leastMilliseconds), leastMicroseconds),
    number(Math.max(since * 1_000, leastMicroseconds), Number.MAX_VALUE),
    { low: earliestDate(since), high: term("MAXVAL"), condition: (value) => textCondition(value, since) },
  ];
}

/** Whether a document's field is not older than `since` (milliseconds since 1970); false if it is not a moment. */
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
 * Text in UTC is compared as it is. For other text, only the date is compared, with the day before `since`, because
 * zones reach 14 hours to either side. Documents that are older may pass; they are equal to the copy.
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

/** Whether a field holds a moment; a missing field is not an error. */
export function tellsMoment(field: string): (document: Term) => Term {
  return (document) => {
    const value = term("DEFAULT", [term("BRACKET", [document, field]), null]);
    return term("BRANCH", [
      ...[isTime(value), isNear(value)],
      ...[isNumber(value), true],
      ...[isText(value), matches(value, isoText)],
      false,
    ]);
  };
}

/** Whether a time is read as a moment, and not as JSON: {@link momentOf} knows none further away. */
function isNear(time: Term): Term {
  const seconds = term("TO_EPOCH_TIME", [time]);
  return term("BRANCH", [term("LT", [seconds, latestTime]), term("LT", [-latestTime, seconds]), false]);
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

/** Whether a parsed value is a moment. */
export function isMoment(value: Json): boolean {
  if (typeof value === "number") return true;
  if (typeof value === "string") return microsecondsOfText(value) !== null;
  const { $reql_type$: type, epoch_time: seconds } = (value ?? {}) as Readonly<Record<string, Json>>;
  return type === "TIME" && Math.abs(Number(seconds)) < latestTime;
}
