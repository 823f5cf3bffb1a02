import { sleep } from "./backoff.ts";

/** Wakes who waits for something to happen, or whoever waits next, once. */
export class Bell {
  #rang = false;
  #wake: (() => void) | null = null;

  ring(): void {
    this.#rang = true;
    this.#wake?.();
  }

  /** Until it rings, but no longer than so many milliseconds. Rejects with the signal's reason. */
  async wait(milliseconds: number, signal: AbortSignal): Promise<void> {
    const rung = new AbortController();
    this.#wake = () => rung.abort();
    if (this.#rang) rung.abort();
    try {
      await sleep(milliseconds, AbortSignal.any([signal, rung.signal]));
    } catch (thrown) {
      signal.throwIfAborted();
      if (!rung.signal.aborted) throw thrown;
    } finally {
      this.#wake = null;
      this.#rang = false;
    }
  }
}
