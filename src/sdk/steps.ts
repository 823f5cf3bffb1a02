type Step<Item> = IteratorResult<Item, unknown>;

/**
 * The steps of an iteration that may never answer. If the signal is aborted, a wait ends at once, even if the code of a
 * source ignores the signal. One listener serves all steps.
 */
export class Steps<Item> implements AsyncDisposable {
  readonly #iterator: AsyncIterator<Item>;
  readonly #signal: AbortSignal;
  /** The step that was requested and not returned yet. */
  #asked: Promise<Step<Item>> | null = null;
  #answered = true;
  /** Ends the wait of {@link next}. */
  #reject: (reason: unknown) => void = () => {};
  readonly #listen = (): void => this.#reject(this.#signal.reason);

  constructor(items: AsyncIterable<Item>, signal: AbortSignal) {
    this.#iterator = items[Symbol.asyncIterator]();
    this.#signal = signal;
    signal.addEventListener("abort", this.#listen);
  }

  /** The next step; `null`: it did not come within so many milliseconds. The next call then waits for it. */
  next(milliseconds: number | null): Promise<Step<Item> | null> {
    return new Promise((resolve, reject) => {
      this.#signal.throwIfAborted();
      this.#reject = reject;
      const asked = (this.#asked ??= this.#ask());
      let late = false;
      const giveUp = (): void => {
        late = true;
        resolve(null);
      };
      const timer = milliseconds === null ? undefined : setTimeout(giveUp, milliseconds);
      asked.then((step) => {
        if (late) return;
        clearTimeout(timer);
        this.#asked = null;
        resolve(step);
      }, reject);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#signal.removeEventListener("abort", this.#listen);
    const returned = this.#iterator.return?.(undefined);
    // A source that still waits may wait for ever. Ignored here: nobody needs its errors any more.
    if (this.#answered) await returned;
    else returned?.catch(() => {});
  }

  async #ask(): Promise<Step<Item>> {
    this.#answered = false;
    try {
      return await this.#iterator.next();
    } finally {
      this.#answered = true;
    }
  }
}
