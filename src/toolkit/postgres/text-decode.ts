import { Buffer } from "node:buffer";
import type { VectorBuilder } from "../vectors.ts";
import { daysFromCivil, dayMicroseconds } from "./calendar.ts";
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
  numeric: (builder, fail) => (text) => builder.decimal(unscaled(text, builder, fail)),
  date: (builder) => (text) => {
    if (text === "infinity") builder.int32(0x7fff_ffff);
    else if (text === "-infinity") builder.int32(-0x7fff_ffff);
    else builder.int32(days(text));
  },
  time: (builder) => (text) => builder.bigint64(clock(text)),
  timestamp: (builder, fail) => (text) => {
    if (text === "infinity") return builder.bigint64(infinity64);
    if (text === "-infinity") return builder.bigint64(-infinity64);
    // 2024-01-31 12:34:56.789+00 BC
    const [date, rest, era = ""] = text.split(" ");
    const microseconds = BigInt(days(`${date} ${era}`)) * dayMicroseconds + clock(rest!.replace(/\+00$/, ""));
    if (microseconds >= infinity64) fail("a timestamp lies after 294247-01-10T04:00:54", asString);
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

/** Decodes rows of text into builders: for `verify`, by nothing that {@link BinaryRows} uses. */
export class TextRows {
  readonly #columns: readonly { readonly builder: VectorBuilder; readonly decode: TextDecoder }[];

  /** `table` is named in errors. */
  constructor(table: string, columns: readonly ResultColumn[]) {
    this.#columns = columns.map(({ name, codec, builder }) => ({
      builder,
      decode: decoders[codec](builder, outOfRange(table, name)),
    }));
  }

  decode(row: readonly (string | null)[]): void {
    for (const [index, { builder, decode }] of this.#columns.entries()) {
      const value = row[index]!;
      if (value === null) builder.null();
      else decode(value);
    }
  }
}

function unscaled(text: string, { type }: VectorBuilder, fail: OutOfRange): bigint {
  if (type.kind !== "DECIMAL") throw new TypeError(`numeric goes into DECIMAL, not ${type.kind}`);
  const { precision, scale } = type;
  const match = /^(-?)(\d+)(?:\.(\d*))?$/.exec(text);
  if (match === null) fail(`a number is ${text}, which DECIMAL(${precision},${scale}) can't hold`, asString);
  const [, sign, whole, fraction = ""] = match!;
  if (/[1-9]/.test(fraction.slice(scale))) fail(`a number has more than ${scale} digits behind the point`, asString);
  const value = BigInt(whole! + fraction.slice(0, scale).padEnd(scale, "0"));
  if (value >= 10n ** BigInt(precision)) {
    fail(`a number has more than ${precision - scale} digits before the point`, asString);
  }
  return sign === "-" ? -value : value;
}

/** `2024-01-31`, `0044-03-15 BC`. */
function days(text: string): number {
  const [date, era] = text.split(" ");
  const [year, month, day] = date!.split("-").map(Number);
  return daysFromCivil(era === "BC" ? 1 - year! : year!, month!, day!);
}

/** `12:34:56.789`, in microseconds. */
function clock(text: string): bigint {
  const [hours, minutes, seconds] = text.split(":");
  const [whole, fraction = ""] = seconds!.split(".");
  const inSeconds = Number(hours) * 3600 + Number(minutes) * 60 + Number(whole);
  return BigInt(inSeconds) * 1_000_000n + BigInt(fraction.padEnd(6, "0"));
}
