import type { Type } from "../../protocol/types.ts";
import type { Cell } from "../../toolkit/vectors.ts";
import { civilFromDays, dayMicroseconds } from "../../toolkit/calendar.ts";

const infinity64 = 2n ** 63n - 1n;
const infinity32 = 2 ** 31 - 1;

/** A value of a vector as text that PostgreSQL reads exactly: for bounds, positions and keys in statements. */
export function cellText(type: Type, cell: Exclude<Cell, null>): string {
  if (cell instanceof Uint8Array) return `\\x${Buffer.from(cell).toString("hex")}`;
  if (typeof cell === "string") return cell;
  if (typeof cell === "boolean") return cell ? "t" : "f";
  switch (type.kind) {
    case "DECIMAL":
      return decimalText(BigInt(cell), type.scale);
    case "NAIVE_DATE":
      return dateText(Number(cell));
    case "NAIVE_TIME":
      return timeText(BigInt(cell));
    case "NAIVE_DATETIME":
      return timestampText(BigInt(cell), "");
    case "UTC_DATETIME":
      return timestampText(BigInt(cell), "+00");
    default:
      return Object.is(cell, -0) ? "-0" : String(cell);
  }
}

function decimalText(unscaled: bigint, scale: number): string {
  const digits = (unscaled < 0n ? -unscaled : unscaled).toString().padStart(scale + 1, "0");
  const sign = unscaled < 0n ? "-" : "";
  return scale === 0 ? sign + digits : `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

function dateText(days: number): string {
  if (Math.abs(days) === infinity32) return days > 0 ? "infinity" : "-infinity";
  const { year, month, day } = civilFromDays(days);
  const text = `${pad(year > 0 ? year : 1 - year, 4)}-${pad(month, 2)}-${pad(day, 2)}`;
  return year > 0 ? text : `${text} BC`;
}

function timeText(microseconds: bigint): string {
  const seconds = Number(microseconds / 1_000_000n);
  const clock = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  return `${clock.map((part) => pad(part, 2)).join(":")}.${pad(Number(microseconds % 1_000_000n), 6)}`;
}

function timestampText(microseconds: bigint, zone: string): string {
  if (microseconds === infinity64 || microseconds === -infinity64) return microseconds > 0n ? "infinity" : "-infinity";
  const inDay = ((microseconds % dayMicroseconds) + dayMicroseconds) % dayMicroseconds;
  const [date, era = ""] = dateText(Number((microseconds - inDay) / dayMicroseconds)).split(" ");
  return `${date} ${timeText(inDay)}${zone}${era === "" ? "" : ` ${era}`}`;
}

function pad(value: number, width: number): string {
  return String(value).padStart(width, "0");
}
