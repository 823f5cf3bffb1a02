import type { Json } from "../../../protocol/json.ts";
import type { Operation } from "../../../protocol/operation.ts";
import type { Reading } from "../../../protocol/source.ts";
import type { Cluster } from "../../../wire/cql/cluster.ts";
import type { Consistency } from "../../../wire/cql/messages.ts";
import type { Finding, Lookups } from "../lookup.ts";
import { applied } from "./apply.ts";
import { type Generation, type Generations, type StreamGroup, timestampBytes } from "./generations.ts";
import { type Entry, type Hint, Hints, logColumns } from "./hints.ts";
import { logName } from "./logs.ts";
import { digestOf, type Seen, type SlotReading } from "./seen.ts";

/** Entries of one page: their keys are looked up together. */
const pageEntries = 1_000;
/** Hints of late entries that are held in memory until their slot is read; further ones are looked up at once. */
const mostHeld = 20_000;

/** What a split of a stream pass reads: a part of the streams of one generation. Moments are in milliseconds since 1970. */
export interface LogWork {
  readonly generation: Generation;
  /** Entries after `from`, up to `to`. */
  readonly from: number;
  readonly to: number;
  /** Entries up to this moment were read before; they are read again to find late ones. */
  readonly fresh: number;
  /** When the pass was planned. */
  readonly now: number;
  /** The length of slots, in milliseconds: see {@link Seen}. */
  readonly slot: number;
  readonly part: number;
  readonly parts: number;
}

/** What is needed to read a log. */
export interface LogReading {
  readonly cluster: Cluster;
  readonly generations: Generations;
  readonly lookups: Lookups;
  readonly finding: Finding;
  readonly consistency: Consistency;
  readonly pageSize: number;
  readonly seen: Seen;
}

/** The condition for entries after one moment, up to another. An end includes its whole millisecond. */
export const betweenMoments = '"cdc$time" > maxTimeuuid(?) AND "cdc$time" <= maxTimeuuid(?)';

export function boundsOf(streams: StreamGroup, { from, to }: Pick<LogWork, "from" | "to">): readonly Buffer[] {
  return [listOf(streams), timestampBytes(from), timestampBytes(to)];
}

/** The token that places a stream in the ring: the first half of its id. */
export function tokenOf(streams: StreamGroup): bigint | null {
  const [first] = streams;
  return first === undefined || first.length < 8 ? null : first.readBigInt64BE();
}

/** Reads a split, group by group. `state`: how many groups were read before. */
export async function* readLog(
  reading: LogReading,
  work: LogWork,
  state: Json,
  how: Reading,
): AsyncGenerator<Operation> {
  const { native, table } = reading.finding;
  const routing = { signal: how.signal, table: table.id };
  const all = await reading.generations.streams(native, work.generation, routing);
  for (const [index, group] of all.entries()) {
    if (index % work.parts !== work.part || index < Number(state ?? 0)) continue;
    yield* readGroup(reading, work, { index, streams: group }, how);
    yield { kind: "checkpoint", state: index + 1 };
  }
}

interface Slot extends SlotReading {
  readonly hints: Hint[];
}

async function* readGroup(
  reading: LogReading,
  work: LogWork,
  { index, streams }: { readonly index: number; readonly streams: StreamGroup },
  how: Reading,
): AsyncGenerator<Operation> {
  const { cluster, finding, seen, consistency } = reading;
  const { native, table } = finding;
  const statement = `SELECT ${logColumns(native).join(", ")} FROM ${logName(native)} WHERE "cdc$stream_id" IN ? AND ${betweenMoments}`;
  const routing = { signal: how.signal, table: table.id, token: tokenOf(streams) };
  const values = boundsOf(streams, work);
  const hints = new Hints(native);
  const slots = new Map<number, Slot>();
  let held = 0;
  const hintsNow = (entries: Iterable<Entry>): Hint[] => {
    const now: Hint[] = [];
    for (const { id, at, hints } of entries) {
      const place = Math.floor(at / work.slot);
      const slot = slots.get(place) ?? { again: 0n, fresh: 0n, hints: [] };
      slots.set(place, slot);
      const isFresh = at > work.fresh;
      if (isFresh) slot.fresh ^= digestOf(id);
      else slot.again ^= digestOf(id);
      const into = isFresh || held >= mostHeld ? now : slot.hints;
      for (const hint of hints) into.push(hint);
      if (into !== now) held += hints.length;
    }
    return now;
  };
  const apply = (some: readonly Hint[]): AsyncGenerator<Operation> =>
    applied(reading.lookups, finding, some, reading.pageSize, how);
  for (let pageState: Buffer | null = null; ;) {
    const page = await cluster.page(statement, { consistency, values, pageSize: pageEntries, pageState }, routing);
    yield* apply(hintsNow(hints.entriesOf(page)));
    pageState = page.next;
    if (pageState === null) break;
  }
  yield* apply(hintsNow(hints.rest()));
  const keyOf = (place: number): string => `${work.generation.at}/${index}/${place}`;
  const late = [...slots].flatMap(([place, slot]) =>
    seen.isSettled(keyOf(place), slot) ? slot.hints.filter((hint) => isExpired(hint, work.now)) : slot.hints,
  );
  for (let from = 0; from < late.length; from += pageEntries) yield* apply(late.slice(from, from + pageEntries));
  const isWhole = work.from < work.fresh;
  for (const [place, slot] of slots) seen.add(keyOf(place), place * work.slot, slot, isWhole);
}

/** The log has no entry when a row expires. */
function isExpired({ expires }: Hint, now: number): boolean {
  return expires !== null && expires <= now;
}

function listOf(streams: StreamGroup): Buffer {
  const int = (value: number): Buffer => {
    const bytes = Buffer.allocUnsafe(4);
    bytes.writeInt32BE(value);
    return bytes;
  };
  return Buffer.concat([int(streams.length), ...streams.flatMap((stream) => [int(stream.length), stream])]);
}
