import { createHash } from "node:crypto";
import { Cron } from "croner";
import { durationText, parseDuration } from "../toolkit/quantities.ts";

/** When something runs: at an interval in milliseconds, or by a cron expression in a time zone. */
export type Schedule =
  | { readonly every: number }
  | { readonly cron: string; readonly zone: string; readonly next: (after: Date) => Date | null };

/** When a connection is brought up to date: at moments, or all the time by the stream of its source. */
export type SyncSchedule = Schedule | "follow";

/** The shortest interval, in milliseconds. */
const shortest = 1_000;

/** A run by a cron expression begins up to this late, in milliseconds, so that not all begin in the same second. */
const mostJitter = 60_000;

/** … and by no more than this part of the time to the run after it. */
const jitterPart = 0.1;

/** `15m`, `0 3 * * *`, `0 3 * * * Europe/Berlin`; a text says what is wrong. */
export function parseSchedule(text: string): Schedule | string {
  const every = parseDuration(text);
  if (every !== null)
    return every >= shortest ? { every } : `must be an interval of at least ${durationText(shortest)}`;
  const parts = text.trim().split(/\s+/);
  const zone = parts.length > 5 && /^[A-Za-z_+-]+(\/[A-Za-z0-9_+-]+)*$/.test(parts.at(-1)!) ? parts.at(-1)! : null;
  const cron = (zone === null ? parts : parts.slice(0, -1)).join(" ");
  if (cron.split(" ").length !== 5)
    return "must be an interval such as 15m, or a cron expression of five fields, with a time zone or without: 0 3 * * * Europe/Berlin";
  if (zone !== null && !isZone(zone)) return `names an unknown time zone: ${zone}`;
  try {
    const job = new Cron(cron, { timezone: zone ?? "UTC", paused: true });
    const never = job.nextRun() === null;
    return never
      ? "must be a cron expression that has a next time"
      : { cron, zone: zone ?? "UTC", next: (after) => job.nextRun(after) };
  } catch {
    return "must be a valid cron expression, such as 0 3 * * *";
  }
}

function isZone(zone: string): boolean {
  try {
    Intl.DateTimeFormat("en", { timeZone: zone });
    return true;
  } catch {
    return false;
  }
}

export function scheduleText(schedule: SyncSchedule): string {
  if (schedule === "follow") return schedule;
  return "every" in schedule ? `every ${durationText(schedule.every)}` : `${schedule.cron} ${schedule.zone}`;
}

/**
 * The first moment after `after` at which it is due. An interval has its moments on a grid that each name has to itself, so
 * that connections of one interval are spread evenly and do not drift; a cron expression's are late by a part of a minute
 * that depends on the name.
 */
export function dueAfter(schedule: Schedule, name: string, after: number): number {
  if ("every" in schedule) {
    const offset = fraction(name) * schedule.every;
    return Math.ceil((Math.floor((after - offset) / schedule.every) + 1) * schedule.every + offset);
  }
  const at = schedule.next(new Date(after));
  if (at === null) return Infinity;
  const following = schedule.next(at)?.getTime() ?? Infinity;
  const jitter = Math.min(mostJitter, (following - at.getTime()) * jitterPart);
  return Math.round(at.getTime() + fraction(name) * jitter);
}

/** 0 to 1, always the same for a name. */
export function fraction(name: string): number {
  return createHash("sha256").update(name).digest().readUInt32BE(0) / 2 ** 32;
}
