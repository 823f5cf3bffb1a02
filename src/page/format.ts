import type { ConnectionReport, ErrorReport, Run, TableProgress } from "../service/api.ts";
import { duration } from "../toolkit/figures.ts";

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;

/** An age at a glance, in its largest unit that is at least two, or one: `12 s`, `3 m`, `26 h`, `12 d`. */
export function age(milliseconds: number): string {
  if (milliseconds < minute) return `${Math.max(0, Math.floor(milliseconds / 1_000))} s`;
  if (milliseconds < 2 * hour) return `${Math.floor(milliseconds / minute)} m`;
  if (milliseconds < 2 * day) return `${Math.floor(milliseconds / hour)} h`;
  return `${Math.floor(milliseconds / day)} d`;
}

/** A duration without a second unit that is zero: `1 h` and not `1 h 00 m`. */
export function roundDuration(milliseconds: number): string {
  return duration(milliseconds).replace(/ 00 [ms]$/, "");
}

/** `3 m ago`, `in 12 m`, `now`. */
export function relative(iso: string, now: number): string {
  const past = now - Date.parse(iso);
  if (Math.abs(past) < 1_000) return "now";
  return past > 0 ? `${age(past)} ago` : `in ${age(-past)}`;
}

/** A time of the browser's time zone, to the second: `2026-01-31 09:05:00`. */
export function localTime(iso: string): string {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return iso;
  const two = (value: number): string => String(value).padStart(2, "0");
  const days = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${days} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** A number for an axis, with at most three digits: `950`, `1.2k`, `41k`, `3M`. */
export function compact(value: number): string {
  const units = ["", "k", "M", "G", "T"];
  let rest = value;
  let unit = 0;
  while (Math.abs(rest) >= 1_000 && unit < units.length - 1) {
    rest /= 1_000;
    unit++;
  }
  return `${Number(rest.toPrecision(3))}${units[unit]}`;
}

/** `0.825` as `82.5%`; less than a thousandth, but not nothing, as `< 0.1%`. */
export function percent(fraction: number): string {
  if (fraction > 0 && fraction < 0.001) return "< 0.1%";
  return `${Number((fraction * 100).toFixed(1))}%`;
}

/** How old a copy is beside what it may be. `used`: the part of the limit, not above 1. */
export interface Freshness {
  readonly tone: "ok" | "warn" | "bad" | "none";
  readonly used: number | null;
  readonly text: string;
}

export function freshness(
  { asOf, freshness: limit }: Pick<ConnectionReport, "asOf" | "freshness">,
  now: number,
): Freshness {
  const of = limit === null ? "" : ` of ${roundDuration(limit)}`;
  if (asOf === null) return { tone: "none", used: null, text: "never whole" };
  const old = Math.max(0, now - Date.parse(asOf));
  if (limit === null) return { tone: "none", used: null, text: age(old) };
  const part = limit === 0 ? 1 : old / limit;
  const tone = part > 1 ? "bad" : part > 0.8 ? "warn" : "ok";
  return { tone, used: Math.min(1, part), text: `${age(old)}${of}` };
}

/**
 * The fraction of a pass that is read, as the terminal says it; `null`: unknown. Estimates can be far too low, so rows
 * alone never give 1.
 */
export function fraction(table: TableProgress): number | null {
  if (table.state === "whole" || table.state === "settling") return 1;
  if (table.pass === null) return null;
  const bySplits = table.splits === 0 ? null : Math.min(1, table.splitsDone / table.splits);
  if (bySplits === 1 || table.estimatedRows === null || table.estimatedRows === 0) return bySplits;
  return Math.min(0.99, Math.max(bySplits ?? 0, table.rows / table.estimatedRows));
}

export type Tone = "ok" | "run" | "warn" | "bad" | "idle";

/** A state's word on the page, and its tone. The tone decides color and shape. */
const connectionStates: Readonly<Record<ConnectionReport["state"], readonly [Tone, string]>> = {
  problem: ["bad", "Problem"],
  late: ["warn", "Late"],
  waiting: ["warn", "Waiting"],
  running: ["run", "Running"],
  following: ["ok", "Following"],
  ok: ["ok", "Up to date"],
  paused: ["idle", "Paused"],
  never: ["idle", "Never run"],
};

export const outcomes: Readonly<Record<Run["outcome"], readonly [Tone, string]>> = {
  running: ["run", "Running"],
  succeeded: ["ok", "Succeeded"],
  failed: ["bad", "Failed"],
  stopped: ["idle", "Stopped"],
  died: ["bad", "Died"],
};

export const verdicts: Readonly<Record<NonNullable<Run["verdict"]>, Tone>> = {
  CONVERGED: "ok",
  "NOT PROVEN": "warn",
  DIVERGED: "bad",
};

export const tableStates: Readonly<Record<TableProgress["state"], Tone>> = {
  failed: "bad",
  reading: "run",
  verifying: "run",
  settling: "run",
  stopped: "idle",
  waiting: "idle",
  whole: "ok",
};

/** The state of a connection as tone and word. Waiting for its turn is no reason to worry. */
export function stateOf({ state, error }: Pick<ConnectionReport, "state" | "error">): readonly [Tone, string] {
  const [tone, word] = connectionStates[state];
  return [state === "waiting" && error === null ? "idle" : tone, word];
}

/** Why a connection asks for a person, and what to do; `null`: it does not. */
export function attention(connection: ConnectionReport): ErrorReport | null {
  const { state, says, error, held, lastProof } = connection;
  if (state !== "problem" && state !== "late" && error === null) return null;
  if (error !== null) return state === "running" || state === "following" || state === "ok" ? null : error;
  if (held.length > 0)
    return {
      code: "DELETES_STOPPED",
      message: says,
      hint: hints["DELETES_STOPPED"]!,
      remedy: "resync",
    };
  if (lastProof?.verdict === "DIVERGED")
    return {
      code: "DIVERGED",
      message: says,
      hint: "Its run names the rows that differ. A full read corrects the copy.",
      remedy: "resync",
    };
  const late = "Run it now. If it is late again, check how long its runs take, or let it run more often.";
  return { code: state === "late" ? "LATE" : "PROBLEM", message: says, hint: late, remedy: "retry" };
}

/** An error whose remedy is on this page, instead of a flag of the command line. */
export function here(error: ErrorReport): ErrorReport {
  const hint = hints[error.code];
  return hint === undefined ? error : { ...error, hint };
}

const hints: Readonly<Record<string, string>> = {
  DELETES_STOPPED:
    "If the rows were deleted on purpose, review the deletes here and agree. If not, fix the source first.",
  SCOPE_CHANGED:
    "If the copy should follow the file, review the new scope here and accept it. If not, restore the file.",
};

const urgency: readonly ConnectionReport["state"][] = ["problem", "late", "waiting", "paused"];

/** What asks for a person comes first; the others by name, so that a run does not move them. */
export function problemsFirst(connections: Iterable<ConnectionReport>): readonly ConnectionReport[] {
  const rank = (one: ConnectionReport): number =>
    attention(one) === null ? urgency.length : urgency.indexOf(one.state);
  return [...connections].sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name));
}

/** Whether each word of the search is in one of the texts. */
export function matches(search: string, ...texts: readonly string[]): boolean {
  const all = texts.join("\n").toLowerCase();
  return search
    .toLowerCase()
    .split(/\s+/)
    .every((word) => all.includes(word));
}

/** What belongs together by a key, in the order of the first. */
export function grouped<Item>(items: Iterable<Item>, keyOf: (item: Item) => string): readonly (readonly Item[])[] {
  const groups = new Map<string, Item[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return [...groups.values()];
}
