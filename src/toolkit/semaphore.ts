/**
 * Hands out up to `capacity` units; callers wait in order of arrival. A request for more than `capacity` gets all the
 * units, so that a single huge row passes.
 */
export class Semaphore {
  readonly capacity: number;
  #free: number;
  readonly #waiting: { readonly units: number; readonly grant: () => void }[] = [];

  constructor(capacity: number) {
    this.capacity = capacity;
    this.#free = capacity;
  }

  /** Resolves to a function that gives the units back. If the signal is aborted, rejects with its reason. */
  async acquire(units: number, signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    const wanted = Math.min(units, this.capacity);
    if (this.#waiting.length === 0 && this.#free >= wanted) this.#free -= wanted;
    else await this.#queue(wanted, signal);
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#free += wanted;
      this.#serve();
    };
  }

  #queue(units: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const abort = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(entry), 1);
        reject(signal.reason as Error);
        this.#serve();
      };
      const entry = {
        units,
        grant: () => {
          signal.removeEventListener("abort", abort);
          resolve();
        },
      };
      this.#waiting.push(entry);
      signal.addEventListener("abort", abort, { once: true });
    });
  }

  #serve(): void {
    while (this.#waiting.length > 0 && this.#waiting[0]!.units <= this.#free) {
      const next = this.#waiting.shift()!;
      this.#free -= next.units;
      next.grant();
    }
  }
}
