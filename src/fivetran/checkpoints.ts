import type { DigestStore } from "./digest-store.ts";
import type { ResponseStream } from "./response-stream.ts";
import { type FivetranState, manyStateBytes, stateText } from "./state-json.ts";

/** A checkpoint carries the whole state: it is sent once in so many milliseconds at most … */
const leastMilliseconds = 1_000;
/** … and at the latest after these, however few the rows. */
const mostMilliseconds = 600_000;

/** What a checkpoint says, but for the digests. */
export type Progressed = Omit<FivetranState, "notes">;

/**
 * Decides when the state is sent. DigestStore are sent once, at the end: from the first row on the state says that nothing
 * is known for sure, so that a sync that breaks off leaves no memory of rows that may have gone another way.
 */
export class Checkpoints {
  readonly #responses: ResponseStream;
  readonly #digests: DigestStore;
  readonly #everyRows: number;
  readonly #state: () => Progressed;
  #rows = 0;
  #closed = false;
  #sent = performance.now();
  #last: string;
  #warned = false;
  #hasDigests: boolean;

  constructor(responses: ResponseStream, digests: DigestStore, everyRows: number, state: () => Progressed) {
    this.#responses = responses;
    this.#digests = digests;
    this.#everyRows = everyRows;
    this.#state = state;
    this.#hasDigests = !digests.isEmpty;
    this.#last = "";
  }

  /** Call before rows are sent; `null`: there is nothing to wait for. */
  beforeRows(): Promise<void> | null {
    return this.#hasDigests ? this.now() : null;
  }

  rows(count: number): void {
    this.#rows += count;
  }

  /** A pass was closed: Fivetran asks for a checkpoint after each table. */
  closed(): void {
    this.#closed = true;
  }

  /** Call after a commit: every so many rows or every second, whichever is later. */
  async committed(): Promise<void> {
    const age = performance.now() - this.#sent;
    const wanted = this.#closed || this.#rows >= this.#everyRows;
    if ((wanted && age >= leastMilliseconds) || age >= mostMilliseconds) await this.now();
  }

  async now(): Promise<void> {
    await this.#send({ ...this.#state(), notes: this.#digests.notes() });
    this.#hasDigests = false;
  }

  /** The last one, with the digests. */
  async end(): Promise<void> {
    await this.#send({ ...this.#state(), notes: this.#digests.notesWithDigests() });
  }

  async #send(state: FivetranState): Promise<void> {
    const text = stateText(state);
    this.#rows = 0;
    this.#closed = false;
    this.#sent = performance.now();
    if (text === this.#last) return;
    this.#last = text;
    await this.#responses.tell({ checkpoint: { stateJson: text } });
    const bytes = Buffer.byteLength(text);
    if (this.#warned || bytes < manyStateBytes) return;
    this.#warned = true;
    const message = `The state takes ${bytes} bytes, which is near the most that a checkpoint can carry: share the tables out among several connections.`;
    await this.#responses.tell({ warning: { message } });
  }
}
