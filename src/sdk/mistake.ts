import { HeadwatersError } from "../protocol/errors.ts";

/** A mistake in the code of a source. */
export function mistake(message: string, hint: string): HeadwatersError {
  return new HeadwatersError("SOURCE_MISTAKEN", message, { hint });
}

/** A value for a message: short, and on one line. */
export function shown(value: unknown): string {
  const text = textOf(value);
  return text.length <= 60 ? text : `${text.slice(0, 59)}…`;
}

function textOf(value: unknown): string {
  switch (typeof value) {
    case "string":
      return JSON.stringify(value);
    case "bigint":
      return `${value}n`;
    case "function":
      return "a function";
    case "object":
      if (value instanceof Date) return Number.isNaN(value.getTime()) ? "an invalid Date" : value.toISOString();
      if (value instanceof Uint8Array) return `${value.byteLength} bytes`;
      return jsonOf(value);
    default:
      return String(value);
  }
}

function jsonOf(value: object | null): string {
  try {
    return JSON.stringify(value, (_, part: unknown) => (typeof part === "bigint" ? String(part) : part)) ?? "an object";
  } catch {
    // It refers to itself.
    return "an object";
  }
}
