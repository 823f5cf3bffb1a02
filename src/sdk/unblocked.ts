/**
 * Iterates over what may never answer: where the signal is aborted, the wait ends at once, though the code of a source
 * waits for something without the signal. One listener serves all steps.
 */
export class Unblocked<Item> implements AsyncIterable<Item> {
  readonly #begin: () => AsyncIterable<Item>;
  readonly #signal: AbortSignal;

  constructor(begin: () => AsyncIterable<Item>, signal: AbortSignal) {
    this.#begin = begin;
    this.#signal = signal;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Item, void> {
    const signal = this.#signal;
    signal.throwIfAborted();
    const iterator = this.#begin()[Symbol.asyncIterator]();
    let abort: (reason: unknown) => void = () => {};
    const listen = (): void => abort(signal.reason);
    signal.addEventListener("abort", listen);
    let waits = false;
    const next = (): Promise<IteratorResult<Item, unknown>> =>
      new Promise((resolve, reject) => {
        waits = true;
        abort = reject;
        iterator
          .next()
          .finally(() => (waits = false))
          .then(resolve, reject);
      });
    try {
      for (;;) {
        const step = await next();
        if (step.done === true) return;
        yield step.value;
        signal.throwIfAborted();
      }
    } finally {
      signal.removeEventListener("abort", listen);
      const returned = iterator.return?.(undefined);
      // What is still waiting may wait for ever; what it throws then concerns nobody.
      if (waits) returned?.catch(() => {});
      else await returned;
    }
  }
}
