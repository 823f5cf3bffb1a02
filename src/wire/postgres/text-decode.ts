import { Buffer } from "node:buffer";
import type { VectorBuilder } from "../../toolkit/vectors.ts";
import { daysFromCivil, dayMicroseconds } from "../../toolkit/calendar.ts";
import { asString, type Codec, type OutOfRange, outOfRange, type ResultColumn } from "./codecs.ts";

/** Writes one value, as the server writes it as text, to the column's builder. */
export type TextDecoder = (text: string) => void;

const infinity64 = 2n ** 63n - 1n;

const decoders: Readonly<Record<Codec, (builder: VectorBuilder, fail: OutOfRange) => TextDecoder>> = {
  boolean: (builder) => (text) => builder.boolean(text === "t"),
  int2: (builder) => (text) => builder.int16(Number(text)),
  int4: (builder) => (text) => builder.int32(Number(text)),
  int8: (builder) => (text) => builder.bigint64(BigInt(text)),
  oid: (builder) => (text) => builder.bigint64(BigInt(text)),
  tid: (builder) => (text) => {
    const [block, offset] = text.slice(1, -1).split(",");
    builder.bigint64((BigInt(block!) << 32n) | BigInt(offset!));
  },
  float4: (builder) => (text) => builder.float32(Number(text)),
  float8: (builder) => (text) => builder.float64(Number(text)),
  numeric: (builder, fail) => {
    const small = builder.type.kind === "DECIMAL" && builder.type.precision <= 15;
    const scale = builder.type.kind === "DECIMAL" ? builder.type.scale : 0;
    return (text) => {
      const number = small ? smallDecimal(text, scale) : null;
      // Unusual texts, and numbers too long for a double, are parsed character by character.
      if (number === null) builder.decimal(unscaled(text, builder, fail));
      else builder.int64Number(number);
    };
  },
  date: (builder) => (text) => {
    if (text === "infinity") builder.int32(0x7fff_ffff);
    else if (text === "-infinity") builder.int32(-0x7fff_ffff);
    else builder.int32(days(text));
  },
  time: (builder) => (text) => builder.int64Number(clock(text)),
  timestamp: (builder, fail) => (text) => {
    const number = commonTimestamp(text);
    if (number !== null) return builder.int64Number(number);
    if (text === "infinity") return builder.bigint64(infinity64);
    if (text === "-infinity") return builder.bigint64(-infinity64);
    // 2024-01-31 12:34:56.789+00 BC
    const [date, rest, era = ""] = text.split(" ");
    const microseconds = BigInt(days(`${date} ${era}`)) * dayMicroseconds + BigInt(clock(rest!.replace(/\+00$/, "")));
    if (microseconds >= infinity64) fail("a timestamp is after 294247-01-10T04:00:54", asString);
    builder.bigint64(microseconds);
  },
  bytea: (builder) => (text) => {
    const bytes = Buffer.from(text.slice(2), "hex");
    builder.bytesOf(bytes, 0, bytes.length);
  },
  uuid: (builder) => (text) => builder.text(text),
  text: (builder) => (text) => builder.text(text),
  checked_text: (builder, fail) => (text) => {
    if (text.includes("\uFFFD")) fail("a text is not valid UTF-8", "Set its type to BINARY.");
    builder.text(text);
  },
  jsonb: (builder) => (text) => builder.text(text),
};

/** Decodes rows of text into builders, for `verify`. It shares no code with {@link BinaryRows}. */
export class TextRows {
  readonly #builders: readonly VectorBuilder[];
  readonly #decoders: readonly TextDecoder[];

  /** `table` is named in errors. */
  constructor(table: string, columns: readonly ResultColumn[]) {
    this.#builders = columns.map((column) => column.builder);
    this.#decoders = columns.map(({ name, codec, builder }) => decoders[codec](builder, outOfRange(table, name)));
  }

  decode(row: readonly (string | null)[]): void {
    for (let index = 0; index < row.length; index++) {
      const value = row[index]!;
      if (value === null) this.#builders[index]!.null();
      else this.#decoders[index]!(value);
    }
  }
}

function unscaled(text: string, { type }: VectorBuilder, fail: OutOfRange): bigint {
  if (type.kind !== "DECIMAL") throw new TypeError(`numeric goes into DECIMAL, not ${type.kind}`);
  const { precision, scale } = type;
  const match = /^(-?)(\d+)(?:\.(\d*))?$/.exec(text);
  if (match === null) fail(`a number is ${text}, which DECIMAL(${precision},${scale}) can't hold`, asString);
  const [, sign, whole, fraction = ""] = match!;
  if (/[1-9]/.test(fraction.slice(scale))) fail(`a number has more than ${scale} digits after the point`, asString);
  const value = BigInt(whole! + fraction.slice(0, scale).padEnd(scale, "0"));
  if (value >= 10n ** BigInt(precision)) {
    fail(`a number has more than ${precision - scale} digits before the point`, asString);
  }
  return sign === "-" ? -value : value;
}

/** `-12.5` as −1250 for a scale of 2, for numbers that a double holds; `null`: another form, or more digits. */
function smallDecimal(text: string, scale: number): number | null {
  const start = text.charCodeAt(0) === minus ? 1 : 0;
  const point = text.indexOf(".");
  const whole = digits(text, start, point < 0 ? text.length : point);
  const behind = point < 0 ? 0 : text.length - point - 1;
  const fraction = behind === 0 ? 0 : digits(text, point + 1, text.length);
  if (whole < 0 || fraction < 0 || behind !== scale || text.length > 16) return null;
  const value = whole * 10 ** scale + fraction;
  return start === 1 ? -value : value;
}

/** `2024-01-31 12:34:56.789+00`, with or without a zone, in microseconds that a double holds; `null`: another form. */
function commonTimestamp(text: string): number | null {
  if (text.charCodeAt(4) !== minus || text.charCodeAt(10) !== space) return null;
  const year = digits(text, 0, 4);
  // Before 1685 and from 2255 on, microseconds are past 2⁵³.
  if (year < 1700 || year > 2200 || text.endsWith("C")) return null;
  const end = text.endsWith("+00") ? text.length - 3 : text.length;
  const inDay = digits(text, 11, 13) * 3600 + digits(text, 14, 16) * 60 + digits(text, 17, 19);
  const fraction = end > 20 ? digits(text, 20, end) * 10 ** (26 - end) : 0;
  return (daysFromCivil(year, digits(text, 5, 7), digits(text, 8, 10)) * 86_400 + inDay) * 1e6 + fraction;
}

const minus = 0x2d;
const space = 0x20;

/** The number in the digits from `start` to `end`; negative: there are no digits, or other characters among them. */
function digits(text: string, start: number, end: number): number {
  let value = start < end ? 0 : -1;
  for (let index = start; index < end; index++) {
    const digit = text.charCodeAt(index) - 48;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}

/** `2024-01-31`, `0044-03-15 BC`. */
function days(text: string): number {
  const [date, era] = text.split(" ");
  const [year, month, day] = date!.split("-").map(Number);
  return daysFromCivil(era === "BC" ? 1 - year! : year!, month!, day!);
}

/** `12:34:56.789`, in microseconds. */
function clock(text: string): number {
  const [hours, minutes, seconds] = text.split(":");
  const [whole, fraction = ""] = seconds!.split(".");
  return (Number(hours) * 3600 + Number(minutes) * 60 + Number(whole)) * 1e6 + Number(fraction.padEnd(6, "0"));
}
