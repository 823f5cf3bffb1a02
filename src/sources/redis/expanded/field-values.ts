import type { Type } from "../../../protocol/types.ts";
import type { VectorBuilder } from "../../../toolkit/vectors.ts";
import { canonicalUuid } from "../../../toolkit/uuid.ts";
import { isText, marked } from "../values/text.ts";

/** Puts the bytes of a hash field or document member into a column; false: they are not a value of its type. */
type Append = (builder: VectorBuilder, bytes: Buffer, start: number, end: number) => boolean;

const wholeNumber = /^[+-]?\d{1,20}$/;
const decimalNumber = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,3}))?$/;
const isoDate = /^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.(\d{1,9}))?)?(Z|[+-]\d{2}:?\d{2})?)?$/;
const words: Readonly<Record<string, boolean>> = {
  true: true,
  false: false,
  "1": true,
  "0": false,
  t: true,
  f: false,
  yes: true,
  no: false,
};

/** How text becomes a value of each type; columns can have only these types. */
export const fieldTypes: Partial<Record<Type["kind"], Append>> = {
  STRING: (builder, bytes, start, end) => {
    if (isText(bytes, start, end)) builder.bytesOf(bytes, start, end);
    else {
      const text = marked(bytes, start, end);
      builder.bytesOf(text, 0, text.length);
    }
    return true;
  },
  BINARY: (builder, bytes, start, end) => {
    builder.bytesOf(bytes, start, end);
    return true;
  },
  JSON: (builder, bytes, start, end) => {
    if (!isText(bytes, start, end)) return false;
    try {
      JSON.parse(bytes.toString("utf8", start, end));
    } catch {
      return false;
    }
    builder.bytesOf(bytes, start, end);
    return true;
  },
  BOOLEAN: (builder, bytes, start, end) => {
    const word = words[bytes.toString("latin1", start, end).toLowerCase()];
    if (word !== undefined) builder.boolean(word);
    return word !== undefined;
  },
  SHORT: whole(16, (builder, value) => builder.int16(Number(value))),
  INT: whole(32, (builder, value) => builder.int32(Number(value))),
  LONG: whole(64, (builder, value) => builder.bigint64(value)),
  DOUBLE: (builder, bytes, start, end) => {
    const value = double(bytes.toString("latin1", start, end));
    if (value !== null) builder.float64(value);
    return value !== null;
  },
  DECIMAL: (builder, bytes, start, end) => {
    const { type } = builder;
    const value =
      type.kind === "DECIMAL" ? decimal(bytes.toString("latin1", start, end), type.precision, type.scale) : null;
    if (value !== null) builder.decimal(value);
    return value !== null;
  },
  UUID: (builder, bytes, start, end) => {
    const uuid = canonicalUuid(bytes.toString("latin1", start, end));
    if (uuid !== null) builder.text(uuid);
    return uuid !== null;
  },
  UTC_DATETIME: (builder, bytes, start, end) => {
    const value = microseconds(bytes.toString("latin1", start, end));
    if (value !== null) builder.bigint64(value);
    return value !== null;
  },
};

function whole(bits: number, append: (builder: VectorBuilder, value: bigint) => void): Append {
  return (builder, bytes, start, end) => {
    const text = bytes.toString("latin1", start, end);
    if (!wholeNumber.test(text)) return false;
    const value = BigInt(text.startsWith("+") ? text.slice(1) : text);
    if (BigInt.asIntN(bits, value) !== value) return false;
    append(builder, value);
    return true;
  };
}

function double(text: string): number | null {
  const special = /^([+-]?)inf(?:inity)?$/i.exec(text);
  if (special !== null) return special[1] === "-" ? -Infinity : Infinity;
  if (/^nan$/i.test(text)) return NaN;
  if (!decimalNumber.test(text) || !/\d/.test(text)) return null;
  const value = Number(text);
  return Number.isFinite(value) ? value : null;
}

/** The unscaled value; `null` if digits would be lost. */
function decimal(text: string, precision: number, scale: number): bigint | null {
  const match = decimalNumber.exec(text);
  if (match === null || !/\d/.test(text)) return null;
  const fraction = match[3] ?? "";
  const digits = BigInt(`${match[2]}${fraction}` || "0");
  const shift = scale - fraction.length + Number(match[4] ?? 0);
  const unit = 10n ** BigInt(Math.abs(shift));
  if (shift < 0 && digits % unit !== 0n) return null;
  const value = shift < 0 ? digits / unit : digits * unit;
  if (value >= 10n ** BigInt(precision)) return null;
  return match[1] === "-" ? -value : value;
}

/** ISO 8601, UTC if the text has no offset; `null` if the text is not ISO 8601 or is finer than microseconds. */
function microseconds(text: string): bigint | null {
  const match = isoDate.exec(text);
  if (match === null) return null;
  const fraction = (match[1] ?? "").padEnd(9, "0");
  if (!fraction.endsWith("000")) return null;
  const zone = match[2] ?? (text.length > 10 ? "Z" : "");
  const seconds = text
    .replace(/\.\d+/, "")
    .replace(/(?:Z|[+-]\d{2}:?\d{2})$/, (end, at: number) => (at > 10 ? "" : end));
  const base = Date.parse(
    seconds.replace(" ", "T") + (zone === "" ? "" : zone.length === 5 ? `${zone.slice(0, 3)}:${zone.slice(3)}` : zone),
  );
  const day = text.slice(0, 10);
  // Date turns the 30th of February into the 1st of March.
  const isDay = new Date(Date.parse(`${day}T00:00Z`)).getUTCDate() === Number(day.slice(8));
  return Number.isNaN(base) || !isDay ? null : BigInt(base) * 1_000n + BigInt(fraction.slice(0, 6));
}
