import type { DecimalType, Kind, Type } from "../protocol/types.ts";
import { typeName } from "../toolkit/types.ts";
import { canonicalUuid } from "../toolkit/uuid.ts";
import type { Cell } from "../toolkit/vectors.ts";
import { clockOf, daysOf, momentOf, naiveOf } from "./moments.ts";

/** Why a value can't go into a column, in words that follow the column's name, and what to do. */
export class Misfit {
  readonly reason: string;
  readonly hint: string;

  constructor(reason: string, hint: string) {
    this.reason = reason;
    this.hint = hint;
  }
}

/** A value as it is written to a column of `type`, or why it can't be written. Never null. */
export function cellOf(value: unknown, type: Type): Cell | Misfit {
  return converters[type.kind](value, type);
}

type Convert = (value: unknown, type: Type) => Cell | Misfit;

/** The values that each type takes. Nothing is rounded, cut or guessed. */
const converters: Readonly<Record<Kind, Convert>> = {
  BOOLEAN: (value, type) => (typeof value === "boolean" ? value : wrong(type, "Give true or false.")),
  SHORT: (value, type) => whole(value, type, 2 ** 15),
  INT: (value, type) => whole(value, type, 2 ** 31),
  LONG(value, type) {
    if (typeof value !== "bigint") return whole(value, type, 2 ** 53);
    return BigInt.asIntN(64, value) === value
      ? value
      : new Misfit("does not fit LONG", "Declare it DECIMAL or STRING.");
  },
  DECIMAL: (value, type) => decimal(value, type as DecimalType),
  FLOAT(value, type) {
    if (typeof value !== "number") return wrong(type, "Give a number.");
    const overflows = Number.isFinite(value) && !Number.isFinite(Math.fround(value));
    return overflows ? new Misfit("does not fit FLOAT", "Declare it DOUBLE.") : value;
  },
  DOUBLE: (value, type) => (typeof value === "number" ? value : wrong(type, "Give a number.")),
  NAIVE_DATE: (value, type) => text(value, type, daysOf, 'Give text such as "2024-05-17".'),
  NAIVE_TIME: (value, type) => text(value, type, clockOf, 'Give text such as "08:30:00".'),
  NAIVE_DATETIME: (value, type) => {
    if (value instanceof Date)
      return wrong(type, "A Date is a moment in time: declare the column UTC_DATETIME, or give text without a zone.");
    return text(
      value,
      type,
      (given) => inRange(naiveOf(given)),
      'Give text without a zone, such as "2024-05-17T08:30:00".',
    );
  },
  UTC_DATETIME(value, type) {
    if (!(value instanceof Date))
      return text(
        value,
        type,
        (given) => inRange(momentOf(given)),
        'Give a Date, or text such as "2024-05-17T08:30:00Z".',
      );
    const milliseconds = value.getTime();
    if (Number.isNaN(milliseconds)) return new Misfit("is an invalid Date", "Check the value that it was made from.");
    // Microseconds of the years 1685 to 2254 are exact as a number.
    const microseconds = milliseconds * 1_000;
    return Number.isSafeInteger(microseconds) ? microseconds : BigInt(milliseconds) * 1_000n;
  },
  BINARY: (value, type) => (value instanceof Uint8Array ? value : wrong(type, "Give a Uint8Array or a Buffer.")),
  UUID: (value, type) => text(value, type, canonicalUuid, 'Give text such as "0190c5a2-7d4e-7b1a-9f3c-2a6b8c0d1e2f".'),
  XML: (value, type) => string(value, type),
  STRING: (value, type) => string(value, type),
  JSON: (value) => json(value),
};

/** A value as JSON text. A string is JSON too, so it gets quotes. */
export function json(value: unknown): string | Misfit {
  try {
    return JSON.stringify(value) ?? new Misfit("can't be JSON", "Give what JSON.stringify takes.");
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    return new Misfit(`can't be JSON: ${reason}`, "Give what JSON.stringify takes.");
  }
}

/** Text must be Unicode: half a surrogate pair has no UTF-8. */
export function string(value: unknown, type: Type): string | Misfit {
  if (typeof value !== "string") return wrong(type, "Give text: String(value), JSON.stringify(value).");
  return value.isWellFormed() ? value : new Misfit("has half a surrogate pair", "Give value.toWellFormed().");
}

/** Fits from −limit to limit − 1, except that ±2⁵³ do not: beyond, numbers are not exact. */
function whole(value: unknown, type: Type, limit: number): Cell | Misfit {
  if (typeof value !== "number") {
    const fits = typeof value === "bigint" && value >= -BigInt(limit) && value < BigInt(limit);
    return fits ? Number(value) : wrong(type, "Give a whole number.");
  }
  if (!Number.isInteger(value)) return wrong(type, "Round it, or declare it DOUBLE or DECIMAL.");
  if (limit === 2 ** 53 && !Number.isSafeInteger(value))
    return new Misfit("is beyond ±2⁵³, where numbers are no longer exact", "Give it as a bigint, made from its text.");
  if (value < limit && value >= -limit) return value;
  return new Misfit(`does not fit ${typeName(type)}`, type.kind === "SHORT" ? "Declare it INT." : "Declare it LONG.");
}

const decimalPattern = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,4}))?$/;

/** The unscaled number. A JavaScript number means its shortest text: 0.1 is one tenth. */
function decimal(value: unknown, type: DecimalType): number | bigint | Misfit {
  return (typeof value === "number" ? shortDecimal(value, type) : null) ?? decimalOf(value, type);
}

/**
 * The same without making text: doubles distinguish all numbers of up to 15 digits, so if such a number equals the value,
 * it is its shortest text. `null`: the value has more digits, or does not fit.
 */
function shortDecimal(value: number, { precision, scale }: DecimalType): number | null {
  const unscaled = Math.round(value * 10 ** scale);
  const limit = 10 ** Math.min(precision, 15);
  return scale <= 15 && Math.abs(unscaled) < limit && unscaled / 10 ** scale === value ? unscaled : null;
}

function decimalOf(value: unknown, type: DecimalType): bigint | Misfit {
  if (typeof value !== "string" && typeof value !== "number" && typeof value !== "bigint")
    return wrong(type, "Give a number, a bigint or text.");
  if (typeof value === "number" && Number.isInteger(value) && !Number.isSafeInteger(value))
    return new Misfit("is beyond ±2⁵³, where numbers are no longer exact", "Give it as text or as a bigint.");
  const match = decimalPattern.exec(String(value).trim());
  if (match === null || `${match[2]}${match[3] ?? ""}` === "") return wrong(type, "Give a number.");
  const [, sign, before = "", behind = "", exponent = "0"] = match;
  const scale = behind.length - Number(exponent);
  const digits = BigInt(before + behind);
  const shift = type.scale - scale;
  const unit = 10n ** BigInt(Math.abs(shift));
  if (shift < 0 && digits % unit !== 0n)
    return new Misfit(`has more than ${type.scale} digits after the point`, "Round it, or declare a larger scale.");
  const unscaled = shift < 0 ? digits / unit : digits * unit;
  if (unscaled >= 10n ** BigInt(type.precision))
    return new Misfit(`does not fit ${typeName(type)}`, "Declare a larger precision, up to 38, or STRING.");
  return sign === "-" ? -unscaled : unscaled;
}

/** The outermost values of 64 bits mean infinity. */
function inRange(microseconds: bigint | null): bigint | null {
  return microseconds !== null && microseconds > -(2n ** 63n) + 1n && microseconds < 2n ** 63n - 1n
    ? microseconds
    : null;
}

function text(value: unknown, type: Type, parse: (text: string) => Cell, hint: string): Cell | Misfit {
  const cell = typeof value === "string" ? parse(value) : null;
  return cell === null ? wrong(type, hint) : cell;
}

function wrong(type: Type, hint: string): Misfit {
  return new Misfit(`is no ${typeName(type)}`, hint);
}
