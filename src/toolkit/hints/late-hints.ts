import { randomUUID } from "node:crypto";
import type { Json } from "../../protocol/json.ts";
import type { Changed } from "../../protocol/source.ts";
import { sleep } from "../backoff.ts";
import { Bell } from "../bell.ts";
import { ChangedKeys } from "./changed-keys.ts";

/** How long after a hint every look-up sees what it tells of, in milliseconds. */
const settleAfter = 30_000;

/**
 * How far the hints of a table were looked up, in milliseconds by the clock of this process. It is stored with what was looked
 * up, in one commit: what is lost with a commit is looked up again.
 */
export interface LatePosition {
  /** Of the hints. In those of another session, its moments say nothing. */
  readonly session: string;
  /** Every hint before it was looked up … */
  readonly seen: number;
  /** … and every one before this again, after it had settled. From here on the stream is needed again. */
  readonly settled: number;
}

/** The hints of one table that are to be looked up now. */
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
 * Hints of a stream that may tell of a change before a look-up surely sees it. A key is looked up at once, so that the copy
 * is fresh, and again when its last hint has settled. Only then its hint no longer counts.
 */
export class LateHints {
  readonly session = randomUUID();
  readonly settle: number;
  readonly #keys: ChangedKeys<number>;
  readonly #bell = new Bell();
  /** Tables of which something was heard since they were last taken from here. */
  readonly #fresh = new Set<string>();
  /** By table: where its last pass will have come to. */
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

  /** `key`: as JSON, always written alike. `committed`: milliseconds since 1970. */
  hear(table: string, key: string, committed = Date.now()): void {
    this.#keys.add(table, key, this.now);
    this.#heard(table, committed);
  }

  /** Hints do not tell all that changed in the table until now: it is to be read again. */
  hearGap(table: string): void {
    this.#keys.drop(table, this.now);
    this.#heard(table, Date.now());
  }

  /** The stream of a table broke: tables may look otherwise, or be gone, and its next pass tells. */
  hearBreak(table: string): void {
    this.#fresh.add(table);
    this.#altered = true;
    this.#bell.ring();
  }

  /** As `Source.changed`: tables of which something was heard, or whose hints have settled. */
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
   * Where the stream goes on after a pass that is planned now and reads every change: what was told before it, but may not
   * be seen by it, is looked up after it. Where keys were dropped, this waits until what they told of has settled.
   */
  async start(table: string, signal: AbortSignal): Promise<LatePosition> {
    const gap = this.#keys.droppedAt(table) ?? -Infinity;
    for (let left = 0; left >= 0; left = gap + this.settle - this.now) await sleep(left + 1, signal);
    const from = this.now - this.settle;
    return this.#plan(table, { session: this.session, seen: from, settled: from });
  }

  /**
   * What is to be looked up after `from`; `null`: the hints don't tell all that changed. After a position of another session
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

  /** The destination holds all up to this position. */
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

  /** When the oldest hint settles that the last pass did not settle. */
  #settlesAt(table: string): number {
    const settled = this.#planned.get(table)?.settled ?? -Infinity;
    for (const [, { last }] of this.#keys.of(table)) if (last >= settled) return last + this.settle;
    return Infinity;
  }
}
