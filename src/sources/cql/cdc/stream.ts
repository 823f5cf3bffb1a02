import { HeadwatersError } from "../../../protocol/errors.ts";
import type { Json } from "../../../protocol/json.ts";
import type { Operation } from "../../../protocol/operation.ts";
import type { Plan } from "../../../protocol/pass.ts";
import type { Changed, Reading } from "../../../protocol/source.ts";
import { sleep } from "../../../toolkit/backoff.ts";
import { duration } from "../../../toolkit/figures.ts";
import type { Cluster, Routing } from "../../../wire/cql/cluster.ts";
import type { CqlTable } from "../catalog.ts";
import { clusterClock } from "../cluster-state.ts";
import type { Finding, Lookups } from "../lookup.ts";
import type { CqlSettings } from "../settings.ts";
import { Generations, generationsWithin, type LogPart, type StreamGroup } from "./generations.ts";
import { firstChange } from "./first-change.ts";
import { type CdcLog, enabling, readLogs } from "./logs.ts";
import { type LogWork, readLog } from "./read-log.ts";
import { Seen } from "./seen.ts";

/** Splits of one generation, which are read in parallel. */
const mostParts = 8;
/** How far two generations may overlap, in milliseconds, since clocks differ. */
const generationMargin = 60_000;
/** A position counts as lost after this part of the log's retention, since entries must last until they are read. */
const mostAge = 0.9;
/** How often the log is read again for late entries while following, within the time by which entries may be late. */
const rereads = 6;
/** Tables whose logs are checked at the same time. */
const atOnce = 4;

/** Where the log of one table goes on, as it is stored. Moments are in milliseconds since 1970, by the cluster's clock. */
interface LogPosition {
  /** When the log's options were written. */
  readonly log: string;
  /** All entries up to it were read. */
  readonly at: number;
  /** When the log was last read again for late entries: later arrivals are not read yet. */
  readonly late: number;
}

/** What is known about a table since its stream was planned. */
interface Followed {
  readonly native: CqlTable;
  readonly position: LogPosition;
}

/**
 * The changes of tables by their logs. The log says which keys changed; their rows are looked up. Windows end some time before
 * now, so that all their entries, and all rows, have arrived when they are read. An entry may still come late, since its
 * moment is the time of the write, which a client can choose: so each window is read again for a while.
 */
export class LogStream {
  readonly #cluster: Cluster;
  readonly #settings: CqlSettings;
  readonly #lookups: Lookups;
  readonly #generations: Generations;
  readonly #warn: (message: string) => void;
  readonly #seen = new Map<string, Seen>();
  readonly #followed = new Map<string, Followed>();
  /** Whether the connection is followed. */
  #isFollowing = false;
  #nextLook = 0;

  constructor(cluster: Cluster, settings: CqlSettings, lookups: Lookups, warn: (message: string) => void) {
    this.#cluster = cluster;
    this.#settings = settings;
    this.#lookups = lookups;
    this.#generations = new Generations(cluster);
    this.#warn = warn;
  }

  /**
   * The position from which the stream goes on after a pass over all rows that is planned now: the position of the
   * copy, if the log still has everything since. Otherwise it is now, less the time that the pass may not see yet.
   */
  async start(native: CqlTable, previous: Json, now: number, routing: Routing): Promise<Json> {
    const log = await this.#logOf(native, routing);
    const before = positionOf(previous);
    if (before !== null && lostBecause(before, log, now) === null) return before as unknown as Json;
    return { log: log.written, at: now - this.#settings.stream.delay, late: now };
  }

  /** A plan that reads the log from the position of the copy. */
  async plan(native: CqlTable, previous: Json, routing: Routing): Promise<Plan> {
    const { delay, overlap, window } = this.#settings.stream;
    const { name } = native;
    const log = await this.#logOf(native, routing);
    const now = await clusterClock(this.#cluster, routing);
    const before = positionOf(previous);
    const lost = before === null ? "it was copied without it" : lostBecause(before, log, now);
    const asOf = (at: number): string => new Date(at).toISOString();
    if (before === null || lost !== null) {
      if (before !== null) this.#warn(`table "${name}" is swept, since its position in the log was lost: ${lost}`);
      return { splits: [], next: {}, asOf: asOf(now), snapshot: null, startsOver: true };
    }
    const readsAgain = !this.#isFollowing || this.#isDue(before, now);
    const to = Math.max(before.at, now - delay);
    // From the start of a slot, so that the whole slot is compared.
    const early = Math.floor((before.late - overlap) / window) * window - window;
    const from = readsAgain ? Math.min(before.at, early) : before.at;
    const position: LogPosition = { log: log.written, at: to, late: readsAgain ? now : before.late };
    const seen = this.#seenOf(name);
    seen.begin(textOf(before), textOf(position), Math.floor((position.late - overlap) / window) * window - window);
    this.#followed.set(name, { native, position });
    const works: LogWork[] = [];
    for (const { streams, ...part } of await this.#partsOf(native, { from, to }, routing)) {
      const parts = Math.min(mostParts, streams.length);
      const work = { ...part, fresh: before.at, now, slot: window };
      for (let index = 0; index < parts; index++) works.push({ ...work, part: index, parts });
    }
    const splits = works
      .sort((a, b) => a.from - b.from)
      .map((work, index) => ({ id: String(index), tables: [name], work: work as unknown as Json }));
    return { splits, next: { [name]: position as unknown as Json }, asOf: asOf(to), snapshot: null };
  }

  read(finding: Finding, work: Json, state: Json, how: Reading): AsyncGenerator<Operation> {
    const { consistency, pageSize } = this.#settings;
    const reading = {
      ...{ cluster: this.#cluster, generations: this.#generations, lookups: this.#lookups, finding },
      ...{ consistency, pageSize, seen: this.#seenOf(finding.native.name) },
    };
    return readLog(reading, work as unknown as LogWork, state, how);
  }

  /** As `Source.changed`: checks the logs once per window. */
  async changed(within: number, among: ReadonlySet<string>, signal: AbortSignal): Promise<Changed> {
    this.#isFollowing = true;
    const until = performance.now() + within;
    for (;;) {
      const wait = Math.min(this.#nextLook, until) - performance.now();
      if (wait > 0) await sleep(wait, signal);
      if (performance.now() < this.#nextLook) return { tables: [], since: null, altered: false };
      this.#nextLook = performance.now() + this.#settings.stream.window;
      const found = await this.#look(among, signal);
      if (found.tables.length > 0) return found;
    }
  }

  async #look(among: ReadonlySet<string>, signal: AbortSignal): Promise<Changed> {
    const left = [...this.#followed.keys()].filter((name) => among.has(name));
    const tables: string[] = [];
    let since: number | null = null;
    const work = async (): Promise<void> => {
      for (let name = left.shift(); name !== undefined; name = left.shift()) {
        const at = await this.#changedAt(name, signal);
        if (at === null) continue;
        tables.push(name);
        if (at < Infinity) since = Math.min(at, since ?? at);
      }
    };
    await Promise.all(Array.from({ length: atOnce }, work));
    return { tables, since, altered: false };
  }

  /** When the first unread change was written; `Infinity`: unknown; `null`: there is nothing to read. */
  async #changedAt(name: string, signal: AbortSignal): Promise<number | null> {
    const { native, position } = this.#followed.get(name)!;
    const routing = { signal, table: name };
    try {
      const now = await clusterClock(this.#cluster, routing);
      if (this.#isDue(position, now)) return Infinity;
      const range = { from: position.at, to: now - this.#settings.stream.delay };
      const parts = await this.#partsOf(native, range, routing);
      const { consistency } = this.#settings;
      const firsts = parts.map((part) => firstChange(this.#cluster, native, part, consistency, routing));
      const found = (await Promise.all(firsts)).filter((at) => at !== null);
      return found.length === 0 ? null : Math.min(...found);
    } catch {
      signal.throwIfAborted();
      // The next pass meets the same error, and reports it.
      return Infinity;
    }
  }

  /** The generations of a time range, with the streams of each. */
  async #partsOf(
    native: CqlTable,
    range: { readonly from: number; readonly to: number },
    routing: Routing,
  ): Promise<readonly (LogPart & { readonly streams: readonly StreamGroup[] })[]> {
    const all = await this.#generations.all(native, routing);
    const parts = generationsWithin(all, range, generationMargin);
    return Promise.all(
      parts.map(async (part) => ({
        ...part,
        streams: await this.#generations.streams(native, part.generation, routing),
      })),
    );
  }

  #isDue({ late }: LogPosition, now: number): boolean {
    return now - late >= this.#settings.stream.overlap / rereads;
  }

  #seenOf(table: string): Seen {
    const known = this.#seen.get(table) ?? new Seen();
    this.#seen.set(table, known);
    return known;
  }

  async #logOf(native: CqlTable, routing: Routing): Promise<CdcLog> {
    const log = (await readLogs(this.#cluster, native.keyspace, native.name, routing)).get(native.name);
    if (log !== undefined) return log;
    throw new HeadwatersError("TABLE_CHANGED", `table "${native.name}" has no CDC log any more`, {
      hint: enabling(native),
    });
  }
}

function textOf({ log, at, late }: LogPosition): string {
  return [log, at, late].join(" ");
}

/** `null`: the log still has everything after the position. */
function lostBecause({ log, at }: LogPosition, { written, keeps }: CdcLog, now: number): string | null {
  if (log !== written) return "the options of the log, or of the table, were altered";
  const age = now - at;
  if (age < keeps * mostAge) return null;
  return `it is ${duration(age)} old, and the log keeps entries for ${duration(keeps)}`;
}

function positionOf(next: Json): LogPosition | null {
  const position = next as unknown as Partial<LogPosition> | null;
  return typeof position === "object" && position?.log !== undefined ? (position as LogPosition) : null;
}
