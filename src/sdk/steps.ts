/**
 * The steps of what may never answer: where the signal is aborted a wait ends at once, though the code of a source waits
 * for something without the signal. One listener serves all steps.
 */
export class Steps<Item> implements AsyncDisposable {
  readonly #iterator: AsyncIterator<Item>;
  readonly #signal: AbortSignal;
  #waits = false;
  #reject: (reason: unknown) => void = () => {};
  readonly #listen = (): void => this.#reject(this.#signal.reason);

  constructor(items: AsyncIterable<Item>, signal: AbortSignal) {
    this.#iterator = items[Symbol.asyncIterator]();
    this.#signal = signal;
    signal.addEventListener("abort", this.#listen);
  }

  next(): Promise<IteratorResult<Item, unknown>> {
    return new Promise((resolve, reject) => {
      this.#signal.throwIfAborted();
      this.#reject = reject;
      this.#waits = true;
      this.#iterator.next().then(
        (step) => {
          this.#waits = false;
          resolve(step);
        },
        (reason: unknown) => {
          this.#waits = false;
          reject(reason);
        },
      );
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#signal.removeEventListener("abort", this.#listen);
    const returned = this.#iterator.return?.(undefined);
    // What is still waiting may wait for ever; what it throws then concerns nobody.
    if (this.#waits) returned?.catch(() => {});
    else await returned;
  }
}
