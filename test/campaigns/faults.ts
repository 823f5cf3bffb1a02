/**
 * Syncs under random faults, with writers at the source all the while: `npx tsx test/campaigns/faults.ts`.
 *
 *   --minutes 60        how long; 0.2 is enough for one round of each lane
 *   --seed 1            the order of faults, which the same seed repeats (when they strike, does not repeat)
 *   --sources a,b       of postgresql, valkey, rethinkdb; also --destinations, of duckdb, ducklake, postgresql
 *
 * Each lane (a source and a destination) has a copy of its own. After a few faults the writers stop, the copy is synced, a
 * client that is not ours compares it with the source row by row, and `verify` must say CONVERGED. It prints what was lost
 * and doubled, and its exit code is 1 if that is anything, or if a sync hung or could not be finished.
 */
import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { built } from "../built.ts";
import { startFront } from "../servers/front.ts";
import { type CampaignDestination, destinations } from "./destinations.ts";
import { type Random, seeded } from "./random.ts";
import { type CampaignSource, sources } from "./sources.ts";

const { values: given } = parseArgs({
  options: {
    minutes: { type: "string", default: "60" },
    seed: { type: "string", default: "1" },
    sources: { type: "string", default: Object.keys(sources).join(",") },
    destinations: { type: "string", default: Object.keys(destinations).join(",") },
  },
});

/** Faults between two comparisons, and comparisons of a copy before a new one begins. */
const faultsPerLook = 4;
const looksPerCopy = 2;
/** A sync that takes longer hangs, in milliseconds. */
const longest = 180_000;
/** Syncs that it may take until one is whole, once nothing strikes any more. */
const mostTries = 6;

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

interface Ended {
  /** `null`: a signal ended it. */
  readonly code: number | null;
  readonly output: string;
  readonly hung: boolean;
  readonly milliseconds: number;
}

const folder = await mkdtemp(join(tmpdir(), "headwaters-campaign-"));

/** Runs the program. `strike` is called after `after` milliseconds, if it still runs. */
async function run(
  flags: readonly string[],
  after = Infinity,
  strike: (child: { kill(signal: NodeJS.Signals): void }) => Promise<void> = async () => {},
): Promise<Ended & { readonly struck: boolean }> {
  const began = performance.now();
  const child = spawn(process.execPath, [built("cli/main.js"), ...flags], { cwd: folder });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (output += chunk.toString()));
  let [struck, hung] = [false, false];
  let striking: Promise<void> = Promise.resolve();
  const timer = Number.isFinite(after)
    ? setTimeout(() => {
        struck = true;
        striking = strike({ kill: (signal) => void child.kill(signal) });
        striking.catch(() => {});
      }, after)
    : null;
  const end = setTimeout(() => {
    hung = true;
    child.kill("SIGKILL");
  }, longest);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", resolve);
  });
  if (timer !== null) clearTimeout(timer);
  clearTimeout(end);
  await striking;
  return { code, output, hung, struck, milliseconds: performance.now() - began };
}

/** What strikes a sync. The first two are kills. */
type Fault = "SIGKILL" | "SIGTERM" | "restart" | "cut" | "cut destination";
const faults: readonly Fault[] = [
  ...Array<Fault>(4).fill("SIGKILL"),
  ...Array<Fault>(2).fill("SIGTERM"),
  ...Array<Fault>(2).fill("restart"),
  ...Array<Fault>(2).fill("cut"),
  "cut destination",
];

/** One source and one destination, and what was seen there. */
class Lane {
  readonly name: string;
  readonly seen = { syncs: 0, kills: 0, faults: 0, looks: 0, rows: 0, lost: 0, doubled: 0, unproven: 0, hung: 0 };
  readonly troubles: string[] = [];
  readonly #source: CampaignSource;
  readonly #destination: CampaignDestination;
  readonly #front: Awaited<ReturnType<typeof startFront>>;
  readonly #random: Random;
  #copies = 0;
  #looks = 0;
  /** What a sync takes: faults come within this time, in milliseconds. */
  #span = 2_000;

  constructor(
    source: CampaignSource,
    destination: CampaignDestination,
    front: Awaited<ReturnType<typeof startFront>>,
    random: Random,
  ) {
    this.name = `${source.name}-${destination.name}`;
    this.#source = source;
    this.#destination = destination;
    this.#front = front;
    this.#random = random;
  }

  get #copy(): string {
    return `${this.name}-${this.#copies}`;
  }

  /** Some faults while the source changes, then a look at rest. */
  async round(until: number): Promise<void> {
    await this.#configure();
    const stop = new AbortController();
    const writing = this.#write(stop.signal);
    for (let struck = 0, tries = 0; struck < faultsPerLook && tries < 4 * faultsPerLook; tries++) {
      if (await this.#strike()) struck += 1;
      if (Date.now() > until) break;
    }
    stop.abort();
    await writing;
    await this.#look();
    if (++this.#looks % looksPerCopy !== 0) return;
    await this.#destination.forget(this.#copy);
    this.#copies += 1;
  }

  async #configure(): Promise<void> {
    const connection = {
      source: this.#source.settings(this.#front.port),
      destination: this.#destination.settings(this.#copy),
      schema: this.#copy,
      ...{ commitInterval: "30ms", batchSize: "64KB", deletes: "each_sync", maxDeleteFraction: 1 },
    };
    await writeFile(join(folder, "headwaters.yaml"), JSON.stringify({ connections: { [this.#copy]: connection } }), {
      mode: 0o600,
    });
  }

  async #write(stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      // The server may be away just now; what was written is read from it in the end.
      await this.#source.change(this.#random).catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, 20 + this.#random.below(150)));
    }
  }

  /** One sync, which a fault strikes if it takes long enough. */
  async #strike(): Promise<boolean> {
    const fault = faults[this.#random.below(faults.length)]!;
    const full = this.#random.below(4) === 0 ? ["--full"] : [];
    const after = 250 + this.#random.below(this.#span);
    const ended = await run(["sync", this.#copy, ...full], after, async (child) => {
      if (fault === "SIGKILL" || fault === "SIGTERM") return child.kill(fault);
      if (fault === "restart") return this.#source.restart(this.#random);
      if (fault === "cut destination" && this.#destination.cut !== undefined) return this.#destination.cut();
      await this.#front.stop();
      await new Promise((resolve) => setTimeout(resolve, this.#random.below(400)));
      await this.#front.start();
    });
    this.seen.syncs += 1;
    if (ended.hung) this.#trouble("hung", `a sync hung after ${fault}`, ended.output);
    // Faults come earlier where the sync was over before, later otherwise.
    this.#span = Math.min(20_000, Math.max(500, this.#span * (ended.struck ? 1.1 : 0.7)));
    if (!ended.struck) return false;
    if (fault === "SIGKILL" || fault === "SIGTERM") this.seen.kills += 1;
    else this.seen.faults += 1;
    return true;
  }

  /** Syncs until it is whole, then compares by a client that is not ours, and by `verify`. */
  async #look(): Promise<void> {
    let ended = await run(["sync", this.#copy]);
    for (let tries = 1; ended.code !== 0 && tries < mostTries; tries++) ended = await run(["sync", this.#copy]);
    this.seen.looks += 1;
    if (ended.code !== 0) return this.#trouble("unproven", `no sync got whole: exit ${ended.code}`, ended.output);
    const source = await this.#source.rows();
    const copy = await this.#destination.rows(this.#copy, this.#source);
    const met = new Set<string>();
    const wrong: string[] = [];
    for (const [key, value] of copy) {
      if (met.has(key) || !source.has(key)) {
        this.seen.doubled += 1;
        wrong.push(`${met.has(key) ? "twice" : "only in the copy"}: ${key}`);
      } else if (source.get(key) !== value) {
        this.seen.lost += 1;
        wrong.push(`another value: ${key}`);
      }
      met.add(key);
    }
    for (const key of source.keys()) {
      if (met.has(key)) continue;
      this.seen.lost += 1;
      wrong.push(`missing: ${key}`);
    }
    this.seen.rows += source.size;
    if (wrong.length > 0) this.troubles.push(`${this.#copy}: ${wrong.slice(0, 5).join("; ")}`);
    const proof = await run(["verify", this.#copy]);
    if (proof.code !== 0) this.#trouble("unproven", `verify: exit ${proof.code}`, proof.output);
  }

  #trouble(what: "unproven" | "hung", message: string, output: string): void {
    this.seen[what] += 1;
    this.troubles.push(`${this.#copy}: ${message}\n${output.trim().split("\n").slice(-6).join("\n")}`);
  }
}

const until = Date.now() + Number(given.minutes) * 60_000;
const random = seeded(Number(given.seed));
const lanes: Lane[] = [];
const opened: AsyncDisposable[] = [];
const use = <T extends AsyncDisposable>(one: T): T => {
  opened.push(one);
  return one;
};
try {
  const named = <T>(from: Readonly<Record<string, T>>, names: string): T[] =>
    names.split(",").map((name) => {
      const found = from[name];
      if (found === undefined) throw new Error(`${name} is none of ${Object.keys(from).join(", ")}`);
      return found;
    });
  const into = await Promise.all(named(destinations, given.destinations).map(async (open) => use(await open(folder))));
  for (const open of named(sources, given.sources)) {
    const source = use(await open());
    const front = use(await startFront(source));
    for (const destination of into) lanes.push(new Lane(source, destination, front, random));
  }
  do {
    for (const lane of lanes) {
      if (Date.now() > until && lane.seen.looks > 0) break;
      await lane.round(until);
      const { kills, faults: struck, looks, lost, doubled } = lane.seen;
      say(
        `${new Date().toISOString()} ${lane.name}: ${kills} kills, ${struck} faults, ${looks} looks, ${lost} lost, ${doubled} doubled`,
      );
      for (const trouble of lane.troubles.splice(0)) say(`  ${trouble}`);
    }
  } while (Date.now() < until);
} finally {
  for (const one of opened.reverse()) await one[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
}

const columns = ["syncs", "kills", "faults", "looks", "rows", "lost", "doubled", "unproven", "hung"] as const;
const total = Object.fromEntries(
  columns.map((column) => [column, lanes.reduce((sum, { seen }) => sum + seen[column], 0)]),
);
const table = [
  ["lane", ...columns],
  ...[...lanes.map(({ name, seen }) => [name, seen] as const), ["all", total] as const].map(([name, seen]) => [
    name,
    ...columns.map((column) => String(seen[column])),
  ]),
];
say(`\nseed ${given.seed}, ${given.minutes} minutes`);
for (const [name, ...cells] of table) say(name!.padEnd(26) + cells.map((cell) => cell.padStart(10)).join(""));
const bad = total["lost"]! + total["doubled"]! + total["unproven"]! + total["hung"]!;
process.exit(bad === 0 ? 0 : 1);
