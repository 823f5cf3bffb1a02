/**
 * Syncs under random faults, with writers at the source all the while: `npx tsx test/campaigns/faults.ts`.
 *
 *   --minutes 60        how long; 0.2 is enough for one round of each lane
 *   --seed 1            the order of faults in each lane, which the same seed repeats (when they strike, does not repeat)
 *   --at-once 3         lanes that run at the same time
 *   --sources a,b       of postgresql, postgresql-log, valkey, rethinkdb, cassandra
 *   --destinations a,b  of duckdb, ducklake, postgresql
 *
 * Each lane (a source and a destination) has a copy of its own. A sync is struck again and again until it ends
 * (`strikes.ts`). After a few syncs the writers stop, the copy is synced, a client that is not ours compares it with the
 * source row by row, and `verify` must say CONVERGED. It prints what was lost and doubled, and its exit code is 1 if that
 * is anything, or if a sync hung, could not be finished, or ended with a code that tells the user to change something.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { startFront } from "../servers/front.ts";
import { destinations } from "./destinations.ts";
import { columns, Lane } from "./lane.ts";
import { seeded } from "./random.ts";
import { sources } from "./sources.ts";

const { values: given } = parseArgs({
  options: {
    minutes: { type: "string", default: "60" },
    seed: { type: "string", default: "1" },
    "at-once": { type: "string", default: "3" },
    sources: { type: "string", default: Object.keys(sources).join(",") },
    destinations: { type: "string", default: Object.keys(destinations).join(",") },
  },
});

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

function named<T>(from: Readonly<Record<string, T>>, names: string): T[] {
  return names.split(",").map((name) => {
    const found = from[name];
    if (found === undefined) throw new Error(`unknown: ${name}; known: ${Object.keys(from).join(", ")}`);
    return found;
  });
}

const folder = await mkdtemp(join(tmpdir(), "headwaters-campaign-"));
const lanes: Lane[] = [];
const opened: AsyncDisposable[] = [];
const use = <T extends AsyncDisposable>(one: T): T => {
  opened.push(one);
  return one;
};
/** The sources whose lanes run now: a fault strikes one lane. */
const busy = new Set<unknown>();

/** Runs the lanes that were struck least, one after the other. */
async function work(until: number): Promise<void> {
  for (;;) {
    const over = Date.now() > until;
    const waiting = lanes.filter(({ source, seen }) => !busy.has(source) && !(over && seen.looks > 0));
    const [lane] = waiting.sort((a, b) => a.seen.kills + a.seen.faults - b.seen.kills - b.seen.faults);
    // Another worker has the rest.
    if (lane === undefined) return;
    busy.add(lane.source);
    await lane.round(until);
    busy.delete(lane.source);
    const { kills, faults, looks, lost, doubled } = lane.seen;
    say(
      `${new Date().toISOString()} ${lane.name}: ${kills} kills, ${faults} faults, ${looks} looks, ${lost} lost, ${doubled} doubled`,
    );
    for (const trouble of lane.troubles.splice(0)) say(`  ${trouble}`);
  }
}

try {
  const seed = Number(given.seed);
  for (const open of named(sources, given.sources)) {
    const source = use(await open());
    const front = use(await startFront(source));
    // Each source has destinations of its own, so that their faults strike no other lane.
    for (const openDestination of named(destinations, given.destinations))
      lanes.push(new Lane(source, use(await openDestination(folder)), front, seeded(seed + lanes.length), folder));
  }
  const until = Date.now() + Number(given.minutes) * 60_000;
  await Promise.all(Array.from({ length: Number(given["at-once"]) }, () => work(until)));
} finally {
  for (const one of opened.reverse()) await one[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
}

const total = Object.fromEntries(
  columns.map((column) => [column, lanes.reduce((sum, { seen }) => sum + seen[column], 0)]),
);
say(`\nseed ${given.seed}, ${given.minutes} minutes`);
for (const [name, cells] of [
  ["lane", columns],
  ...[...lanes.map(({ name, seen }) => [name, seen] as const), ["all", total] as const].map(
    ([name, seen]) => [name, columns.map((column) => String(seen[column]))] as const,
  ),
] as const)
  say(name.padEnd(28) + cells.map((cell) => cell.padStart(9)).join(""));
const kinds = new Map<string, number>();
for (const { strikes } of lanes) for (const [kind, times] of strikes) kinds.set(kind, (kinds.get(kind) ?? 0) + times);
say(
  `\n${[...kinds]
    .sort()
    .map(([kind, times]) => `${kind}: ${times}`)
    .join("\n")}`,
);
const bad = ["lost", "doubled", "unproven", "hung", "misled"].reduce((sum, column) => sum + total[column]!, 0);
process.exit(bad === 0 ? 0 : 1);
