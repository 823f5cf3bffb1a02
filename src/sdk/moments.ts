import { daysFromCivil } from "../toolkit/calendar.ts";

const date = "([+-]\\d{6}|\\d{4})-(\\d{2})-(\\d{2})";
const clock = "(\\d{2}):(\\d{2})(?::(\\d{2})(?:[.,](\\d{1,9}))?)?";

const datePattern = new RegExp(`^${date}$`);
const clockPattern = new RegExp(`^${clock}$`);
const naivePattern = new RegExp(`^${date}[T ]${clock}$`);
const zonedPattern = new RegExp(`^${date}[Tt ]${clock} ?(?:([Zz])|([+-])(\\d{2})(?::?(\\d{2}))?)$`);

const minuteMicroseconds = 60_000_000n;
const dayMicroseconds = 1440n * minuteMicroseconds;

/** Days since 1970-01-01 of `2024-05-17`; `null`: not a date. */
export function daysOf(text: string): number | null {
  const match = datePattern.exec(text);
  return match === null ? null : days(match);
}

/** Microseconds since midnight of `08:30:00.25`; `null`: not a time, or it is finer than microseconds. */
export function clockOf(text: string): bigint | null {
  const match = clockPattern.exec(text);
  return match === null ? null : clockAt(match, 1);
}

/** Microseconds since 1970 of `2024-05-17T08:30:00`, without a zone; `null`: not such a text. */
export function naiveOf(text: string): bigint | null {
  const match = naivePattern.exec(text);
  return match === null ? null : at(match);
}

/** Microseconds since 1970 of `2024-05-17T08:30:00+02:00`; `null`: not such a text. */
export function momentOf(text: string): bigint | null {
  const match = zonedPattern.exec(text);
  if (match === null) return null;
  const local = at(match);
  if (local === null || match[8] !== undefined) return local;
  const [hours, minutes] = [Number(match[10]), Number(match[11] ?? 0)];
  if (hours > 23 || minutes > 59) return null;
  const zone = BigInt(hours * 60 + minutes) * minuteMicroseconds;
  return match[9] === "-" ? local + zone : local - zone;
}

function at(match: RegExpExecArray): bigint | null {
  const [whole, part] = [days(match), clockAt(match, 4)];
  return whole === null || part === null ? null : BigInt(whole) * dayMicroseconds + part;
}

function days(match: RegExpExecArray): number | null {
  const [year, month, day] = [Number(match[1]), Number(match[2]), Number(match[3])];
  if (month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month)) return null;
  return daysFromCivil(year, month, day);
}

function daysInMonth(year: number, month: number): number {
  if (month !== 2) return [4, 6, 9, 11].includes(month) ? 30 : 31;
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
}

/** The groups of the time begin at `first`. Digits finer than microseconds can't be stored: they must be zeros. */
function clockAt(match: RegExpExecArray, first: number): bigint | null {
  const part = (index: number): number => Number(match[first + index] ?? 0);
  const fraction = (match[first + 3] ?? "").padEnd(6, "0");
  if (part(0) > 23 || part(1) > 59 || part(2) > 59 || /[1-9]/.test(fraction.slice(6))) return null;
  return BigInt(((part(0) * 60 + part(1)) * 60 + part(2)) * 1e6 + Number(fraction.slice(0, 6)));
}
