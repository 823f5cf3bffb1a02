import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import type { Front } from "../servers/front.ts";
import type { CampaignDestination } from "./destinations.ts";
import { type Ended, start } from "./program.ts";
import type { Random } from "./random.ts";
import type { CampaignSource } from "./sources.ts";
import { strikeOf } from "./strikes.ts";

/** Syncs that are struck between two comparisons, and comparisons of a copy before a new one begins. */
const syncsPerLook = 4;
const looksPerCopy = 2;
/** Syncs that it may take until one is whole, once nothing strikes any more. */
const mostTries = 6;
/** How a sync may end that was struck: whole, "it may pass by itself", or stopped. `null`: by SIGKILL. */
const rightEnds: ReadonlySet<number | null> = new Set([0, 3, 130, null]);

/** What was seen, as it is counted and printed. */
export const columns = [
  ...["syncs", "kills", "faults", "looks", "rows", "lost", "doubled", "unproven", "hung", "misled"],
] as const;

/** One source and one destination, and what was seen there. */
export class Lane {
  readonly name: string;
  readonly source: CampaignSource;
  readonly seen = Object.fromEntries(columns.map((column) => [column, 0])) as Record<(typeof columns)[number], number>;
  /** By the name of a kind: how often it struck. */
  readonly strikes = new Map<string, number>();
  readonly troubles: string[] = [];
  readonly #destination: CampaignDestination;
  readonly #front: Front;
  readonly #random: Random;
  readonly #folder: string;
  #copies = 0;
  /** What a sync takes: faults come within this time, in milliseconds. */
  #span = 2_000;

  constructor(source: CampaignSource, destination: CampaignDestination, front: Front, random: Random, folder: string) {
    this.name = `${source.name}-${destination.name}`;
    this.source = source;
    this.#destination = destination;
    this.#front = front;
    this.#random = random;
    this.#folder = join(folder, this.name);
  }

  get #copy(): string {
    return `${this.name}-${this.#copies}`;
  }

  /** Some struck syncs while the source changes, then a look at rest. */
  async round(until: number): Promise<void> {
    await this.#configure();
    const stop = new AbortController();
    const writing = this.#write(stop.signal);
    for (let syncs = 0; syncs < syncsPerLook; syncs++) {
      await this.#sync();
      if (Date.now() > until) break;
    }
    stop.abort();
    await writing;
    await this.#look();
    if (this.seen.looks % looksPerCopy !== 0) return;
    await this.#destination.forget(this.#copy);
    await this.source.forget?.(this.#copy);
    this.#copies += 1;
  }

  async #configure(): Promise<void> {
    const connection = {
      source: this.source.settings(this.#front.port, this.#copy),
      destination: this.#destination.settings(this.#copy),
      schema: this.#copy,
      ...{ commitInterval: "30ms", batchSize: "64KB", deletes: "each_sync", maxDeleteFraction: 1 },
    };
    await mkdir(this.#folder, { recursive: true });
    const file = join(this.#folder, "headwaters.yaml");
    await writeFile(file, JSON.stringify({ connections: { [this.#copy]: connection } }), { mode: 0o600 });
  }

  async #write(stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      // The server may be away just now; what was written is read from it in the end.
      await this.source.change(this.#random).catch(() => {});
      await wait(20 + this.#random.below(150));
    }
  }

  /** One sync, which is struck again and again until it ends. */
  async #sync(): Promise<void> {
    const full = this.#random.below(4) === 0 ? ["--full"] : [];
    const running = start(this.#folder, "sync", this.#copy, ...full);
    const struck: string[] = [];
    for (;;) {
      await Promise.race([running.ended, wait(250 + this.#random.below(this.#span))]);
      if (running.isOver()) break;
      const { name, kills, strike } = strikeOf(this.#random, this.#destination.server !== undefined);
      struck.push(name);
      this.strikes.set(name, (this.strikes.get(name) ?? 0) + 1);
      this.seen[kills ? "kills" : "faults"] += 1;
      await strike({
        random: this.#random,
        source: { front: this.#front, restart: (random) => this.source.restart(random) },
        destination: this.#destination.server ?? null,
        kill: (signal) => running.kill(signal),
        rival: () => this.#rival(),
      });
    }
    const ended = await running.ended;
    this.seen.syncs += 1;
    this.#judge(ended, struck);
    // Faults come earlier where the sync was over before, later otherwise.
    this.#span = Math.min(20_000, Math.max(500, this.#span * (struck.length > 0 ? 1.1 : 0.7)));
  }

  async #rival(): Promise<void> {
    this.#judge(await start(this.#folder, "sync", this.#copy).ended, ["beside another sync"]);
  }

  #judge(ended: Ended, struck: readonly string[]): void {
    const after = struck.length === 0 ? "nothing" : struck.join(", ");
    if (ended.hung) this.#trouble("hung", `a sync hung after ${after}`, ended.output);
    else if (!rightEnds.has(ended.code))
      this.#trouble("misled", `a sync ended with ${ended.code} after ${after}`, ended.output);
  }

  /** Syncs until it is whole, then compares by a client that is not ours, and by `verify`. */
  async #look(): Promise<void> {
    const sync = (): Promise<Ended> => start(this.#folder, "sync", this.#copy).ended;
    let ended = await sync();
    for (let tries = 1; ended.code !== 0 && tries < mostTries; tries++) {
      this.#judge(ended, []);
      ended = await sync();
    }
    this.seen.looks += 1;
    if (ended.code !== 0) return this.#trouble("unproven", `no sync got whole: exit ${ended.code}`, ended.output);
    const source = await this.source.rows();
    const copy = await this.#destination.rows(this.#copy, this.source);
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
    const proof = await start(this.#folder, "verify", this.#copy).ended;
    if (proof.code !== 0) this.#trouble("unproven", `verify: exit ${proof.code}`, proof.output);
  }

  #trouble(what: "unproven" | "hung" | "misled", message: string, output: string): void {
    this.seen[what] += 1;
    this.troubles.push(`${this.#copy}: ${message}\n${output.trim().split("\n").slice(-6).join("\n")}`);
  }
}
