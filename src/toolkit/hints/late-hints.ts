import { randomUUID } from "node:crypto";
import type { Json } from "../../protocol/json.ts";
import type { Changed } from "../../protocol/source.ts";
import { sleep } from "../backoff.ts";
import { Bell } from "../bell.ts";
import { ChangedKeys } from "./changed-keys.ts";

/** How long after a hint every look-up sees its change, in milliseconds. */
const settleAfter = 30_000;

/**
 * How far the hints of a table were looked up, in milliseconds by the clock of this process. It is stored with the rows,
 * in one commit: if a commit is lost, its look-ups are repeated.
 */
export interface LatePosition {
  /** The session of the hints. Moments of another session can't be compared. */
  readonly session: string;
  /** Every hint before it was looked up … */
  readonly seen: number;
  /** … and every hint before this one was looked up again after it had settled. The stream is needed from here. */
  readonly settled: number;
}

/** The hints of one table to look up now. */
interface LateChanges {
  readonly keys: readonly Json[];
  readonly next: LatePosition;
}

interface LateHintsOptions {
  /** The most bytes that the keys may take. */
  readonly most?: number;
  readonly settle?: number;
}

/**
 * Hints of a stream that may report a change before every look-up sees it. A key is looked up at once, so that the copy
 * is fresh, and again when its last hint has settled. Only then is the hint done.
 */
export class LateHints {
  readonly session = randomUUID();
  readonly settle: number;
  readonly #keys: ChangedKeys<number>;
  readonly #bell = new Bell();
  /** Tables with new hints since they were last taken from here. */
  readonly #fresh = new Set<string>();
  /** By table: the position that its last pass will reach. */
  readonly #planned = new Map<string, LatePosition>();
  #since: number | null = null;
  #altered = false;

  constructor({ most, settle = settleAfter }: LateHintsOptions = {}) {
    this.#keys = new ChangedKeys(most);
    this.settle = settle;
  }

  get now(): number {
    return performance.timeOrigin + performance.now();
  }

  /** `key`: as JSON, always in the same form. `committed`: milliseconds since 1970. */
  hear(table: string, key: string, committed = Date.now()): void {
    this.#keys.add(table, key, this.now);
    this.#heard(table, committed);
  }

  /** The hints do not have every change of the table until now: it must be read again. */
  hearGap(table: string): void {
    this.#keys.drop(table, this.now);
    this.#heard(table, Date.now());
  }

  /** The stream of a table broke: tables may have changed or be gone; the next pass finds out. */
  hearBreak(table: string): void {
    this.#fresh.add(table);
    this.#altered = true;
    this.#bell.ring();
  }

  /** As `Source.changed`: tables with new hints, or whose hints have settled. */
  async changed(within: number, among: ReadonlySet<string>, signal: AbortSignal): Promise<Changed> {
    const until = performance.now() + within;
    for (;;) {
      const { now } = this;
      const tables = [...among].filter((table) => this.#fresh.has(table) || this.#settlesAt(table) < now);
      const left = until - performance.now();
      if (tables.length > 0 || this.#altered || left <= 0) {
        const told = { tables, since: this.#since, altered: this.#altered };
        this.#altered = false;
        this.#since = null;
        return told;
      }
      const next = Math.min(...[...among].map((table) => this.#settlesAt(table)));
      await this.#bell.wait(Math.min(left, Math.max(1, next - now + 1)), signal);
    }
  }

  /**
   * Where the stream goes on after a pass that is planned now and reads every change: earlier hints whose changes the pass
   * may not see are looked up after it. If keys were dropped, this waits until their hints have settled.
   */
  async start(table: string, signal: AbortSignal): Promise<LatePosition> {
    const gap = this.#keys.droppedAt(table) ?? -Infinity;
    for (let left = 0; left >= 0; left = gap + this.settle - this.now) await sleep(left + 1, signal);
    const from = this.now - this.settle;
    return this.#plan(table, { session: this.session, seen: from, settled: from });
  }

  /**
   * The keys to look up after `from`; `null`: the hints do not have every change. For a position of another session,
   * these are all hints of this one: the source has read its log again from where that session needs it.
   */
  take(table: string, position: LatePosition): LateChanges | null {
    const { session, now } = this;
    const from = position.session === session ? position : { seen: -Infinity, settled: -Infinity };
    if (this.#keys.hasDropped(table, from.settled)) return null;
    const settled = Math.max(from.settled, now - this.settle);
    const keys: Json[] = [];
    for (const [key, { last }] of this.#keys.of(table)) {
      if (last >= from.seen || (last >= from.settled && last < settled)) keys.push(JSON.parse(key) as Json);
    }
    return { keys, next: this.#plan(table, { session, seen: now, settled }) };
  }

  /** The destination holds everything up to this position. */
  forget(table: string, { session, settled }: LatePosition): void {
    if (session === this.session) this.#keys.forget(table, settled);
  }

  #heard(table: string, committed: number): void {
    this.#fresh.add(table);
    this.#since ??= committed;
    this.#bell.ring();
  }

  #plan(table: string, position: LatePosition): LatePosition {
    this.#fresh.delete(table);
    this.#planned.set(table, position);
    return position;
  }

  /** When the oldest hint settles that the last pass left unsettled. */
  #settlesAt(table: string): number {
    const settled = this.#planned.get(table)?.settled ?? -Infinity;
    for (const [, { last }] of this.#keys.of(table)) if (last >= settled) return last + this.settle;
    return Infinity;
  }
}
