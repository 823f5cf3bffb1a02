import { microsecondsOf } from "../../toolkit/moments.ts";

/**
 * Gives the stamps of transactions: ISO 8601, UTC, in microseconds. Each is later than every earlier one, even if
 * the clock was set back, so that "written since" never depends on a clock.
 */
export class CommitClock {
  /** Microseconds since 1970. */
  #last: bigint;
  readonly #ahead: number;

  /**
   * `last`: the stamp of the last commit; `null`: there was none. `ahead`: how far the deciding clock is ahead of this
   * machine's, in milliseconds.
   */
  constructor(last: string | null, ahead = 0) {
    this.#last = last === null ? 0n : microsecondsOf(last);
    this.#ahead = ahead;
  }

  next(): string {
    const now = BigInt(Date.now() + this.#ahead) * 1_000n;
    this.#last = now > this.#last ? now : this.#last + 1n;
    const iso = new Date(Number(this.#last / 1_000n)).toISOString();
    return `${iso.slice(0, -1)}${String(this.#last % 1_000n).padStart(3, "0")}Z`;
  }
}
