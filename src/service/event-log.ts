import { randomBytes } from "node:crypto";
import type { ServiceEvent } from "./api.ts";

/** How many events are kept for readers that come back. */
const kept = 2_000;

export interface NumberedEvent {
  readonly id: string;
  readonly event: ServiceEvent;
}

/** The last events of the service. Numbers of another process's events are recognized. */
export class EventLog {
  readonly #instance = randomBytes(4).toString("hex");
  readonly #events: NumberedEvent[] = [];
  readonly #readers = new Set<(event: NumberedEvent) => void>();
  #last = 0;

  /** The number of the newest event. */
  get last(): string {
    return `${this.#instance}-${this.#last}`;
  }

  add(event: ServiceEvent): void {
    this.#last += 1;
    const numbered = { id: this.last, event };
    this.#events.push(numbered);
    if (this.#events.length > kept) this.#events.shift();
    for (const reader of this.#readers) reader(numbered);
  }

  /** The events after one that a reader has; `null`: too much was missed, or it is of another process. */
  after(id: string): readonly NumberedEvent[] | null {
    const [instance, number] = id.split("-");
    const missed = this.#last - Number(number);
    if (instance !== this.#instance || !(missed >= 0) || missed > this.#events.length) return null;
    return missed === 0 ? [] : this.#events.slice(-missed);
  }

  /** The returned function ends it. */
  read(reader: (event: NumberedEvent) => void): () => void {
    this.#readers.add(reader);
    return () => this.#readers.delete(reader);
  }
}
