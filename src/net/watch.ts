import { abortable } from "../toolkit/abortable.ts";

/** A probe must be answered within the allowed silence, and within this many milliseconds. */
const mostProbe = 20_000;

/** A message that comes in at least `fewestPieces` pieces, at fewer bytes per second than this, is too slow. */
const leastBytesPerSecond = 512;
const fewestPieces = 8;

/** The server was silent while an answer was due, or sent it so slowly that it would not end. */
export class Silence extends Error {}

/** What a {@link Watch} needs to know of a connection. */
export interface Watched {
  /** How long the server may be silent while an answer is due, in milliseconds. */
  readonly silence: number;
  /**
   * Asks whether the server still works at the answer. Resolves to `null` if it does or may, else to the reason. Throws
   * if it gets no answer.
   */
  probe(signal: AbortSignal): Promise<string | null>;
  /** Ends the connection. */
  end(error: Silence): void;
}

/**
 * Tells a busy server (a query or a merge may take hours) from one that is gone without a word: behind a firewall that
 * dropped the connection, frozen, or on a machine that crashed. After a silence the server is probed, and only a probe
 * without an answer, or one that says that nothing will come, ends the connection.
 */
export class Watch {
  readonly #watched: Watched;
  readonly #closed = new AbortController();
  #isDue = false;
  #heardAt = 0;
  #heard = 0;
  #timer: NodeJS.Timeout | null = null;
  /** Bytes of the message that is not whole yet, since `#began`. */
  #began = 0;
  #pieces = 0;
  #bytes = 0;

  constructor(watched: Watched) {
    this.#watched = watched;
  }

  /** An answer is due from now on. */
  begin(): void {
    if (this.#isDue || this.#closed.signal.aborted) return;
    this.#isDue = true;
    this.#heardAt = performance.now();
    if (this.#pieces === 0) this.#began = this.#heardAt;
    if (this.#timer === null) this.#schedule(this.#watched.silence);
  }

  /** No answer is due. */
  rest(): void {
    this.#isDue = false;
  }

  /** Bytes came, or were taken. `whole`: a message ended with them. */
  heard(bytes: number, whole: boolean): void {
    this.#heardAt = performance.now();
    this.#heard += 1;
    if (whole) {
      this.#count(this.#heardAt);
    } else {
      this.#pieces += 1;
      this.#bytes += bytes;
    }
  }

  /** Starts counting a message's bytes again: a message that came fast at first may drip later. */
  #count(from: number): void {
    this.#began = from;
    this.#pieces = 0;
    this.#bytes = 0;
  }

  /** Ends the watch, and a probe under way. */
  close(): void {
    this.#isDue = false;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#closed.abort(new Silence("the connection was closed"));
  }

  #schedule(milliseconds: number): void {
    // The socket keeps the process alive; the watch does not.
    this.#timer = setTimeout(() => this.#look(), milliseconds).unref();
  }

  #look(): void {
    this.#timer = null;
    if (!this.#isDue) return;
    const { silence } = this.#watched;
    const now = performance.now();
    const seconds = (now - this.#began) / 1_000;
    if (seconds * 1_000 >= silence && this.#pieces >= fewestPieces) {
      if (this.#bytes < seconds * leastBytesPerSecond)
        return this.#end(`in ${Math.round(seconds)} s only ${this.#bytes} bytes of a message came`);
      this.#count(now);
    }
    const left = silence - (now - this.#heardAt);
    // Timers may fire a little early.
    if (left > 1) return this.#schedule(left);
    void this.#probe();
  }

  async #probe(): Promise<void> {
    const { silence, probe } = this.#watched;
    const before = this.#heard;
    const limit = Math.min(silence, mostProbe);
    const late = AbortSignal.timeout(limit);
    const signal = AbortSignal.any([late, this.#closed.signal]);
    let why: string | null;
    try {
      why = await abortable(probe.call(this.#watched, signal), signal);
    } catch (thrown) {
      const reason = late.aborted ? `within ${limit / 1_000} s` : thrown instanceof Error ? thrown.message : thrown;
      why = `a probe was not answered (${String(reason)})`;
    }
    if (this.#closed.signal.aborted) return;
    if (why !== null && this.#isDue && this.#heard === before) {
      return this.#end(`nothing came for ${silence / 1_000} s, and ${why}`);
    }
    if (!this.#isDue) return;
    if (this.#heard === before) this.#heardAt = performance.now();
    // The server was busy, not slow.
    this.#count(performance.now());
    this.#schedule(silence);
  }

  #end(message: string): void {
    this.close();
    this.#watched.end(new Silence(message));
  }
}
