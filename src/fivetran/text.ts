import { HeadwatersError } from "../protocol/errors.ts";
import type { Vector } from "../protocol/rows.ts";
import { cell } from "../toolkit/vectors.ts";

/** The exact text of a value, always the same. The value must not be null. */
export function textOf(vector: Vector, row: number): string {
  const value = cell(vector, row);
  switch (vector.type.kind) {
    case "DECIMAL":
      return decimalText(value as bigint, vector.type.scale);
    case "NAIVE_DATE":
      return dateText(value as number);
    case "NAIVE_TIME":
      return timeText(value as bigint);
    case "NAIVE_DATETIME":
      return momentText(value as bigint);
    case "UTC_DATETIME":
      return momentText(value as bigint, "Z");
    case "BINARY":
      return Buffer.from(value as Uint8Array).toString("base64");
    default:
      if (value === null) throw new HeadwatersError("DEFECT", "a null has no text");
      return String(value);
  }
}

function decimalText(unscaled: bigint, scale: number): string {
  if (scale === 0) return String(unscaled);
  const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, "0");
  return `${unscaled < 0n ? "-" : ""}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

/** `12:30:00.000000`, of microseconds since midnight. */
function timeText(microseconds: bigint): string {
  const part = (value: bigint, width: number): string => String(value).padStart(width, "0");
  const seconds = microseconds / 1_000_000n;
  const clock = [seconds / 3_600n, (seconds / 60n) % 60n, seconds % 60n].map((value) => part(value, 2)).join(":");
  return `${clock}.${part(microseconds % 1_000_000n, 6)}`;
}

/** `2026-01-02`, of days since 1970. */
function dateText(days: number): string {
  if (Math.abs(days) === infiniteDays) return days > 0 ? "infinity" : "-infinity";
  return momentText(BigInt(days) * 86_400_000_000n).split("T")[0]!;
}

const infiniteDays = 2_147_483_647;

/** Milliseconds since 1970 that a JavaScript date can hold. */
const mostMilliseconds = 8_640_000_000_000_000n;
const infinity = 9_223_372_036_854_775_807n;

/** `2026-01-02T12:30:00.000000`, of microseconds since 1970. */
function momentText(microseconds: bigint, zone = ""): string {
  if (microseconds === infinity) return "infinity";
  if (microseconds === -infinity) return "-infinity";
  const day = 86_400_000_000n;
  const time = ((microseconds % day) + day) % day;
  const milliseconds = (microseconds - time) / 1_000n;
  if (milliseconds > mostMilliseconds || milliseconds < -mostMilliseconds) return `${microseconds} µs`;
  const date = new Date(Number(milliseconds)).toISOString().split("T")[0]!;
  return `${date}T${timeText(time)}${zone}`;
}
