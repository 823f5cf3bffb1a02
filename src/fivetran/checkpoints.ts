import type { DigestStore } from "./digest-store.ts";
import type { ResponseStream } from "./response-stream.ts";
import { type FivetranState, manyStateBytes, stateText } from "./state-json.ts";

/** A checkpoint carries the whole state: it is sent at most once in this many milliseconds … */
const leastMilliseconds = 1_000;
/** … unless the rows since the last one have so many times its bytes, so that it does not count beside them … */
const manyTimes = 8;
/** … and at the latest after these, however few rows there are. */
const mostMilliseconds = 600_000;

/** A checkpoint without row digests. */
export type Progressed = Omit<FivetranState, "notes">;

/**
 * Decides when the state is sent. Row digests are sent once, at the end. From the first row on, the state has none, so
 * that a sync that breaks off leaves no digests of rows that may have changed since.
 */
export class Checkpoints {
  readonly #responses: ResponseStream;
  readonly #digests: DigestStore;
  readonly #everyRows: number;
  readonly #state: () => Progressed;
  #rows = 0;
  /** What was sent in all up to the last checkpoint. */
  #bytesBefore = 0;
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

  /** Call before rows are sent. `null`: nothing to wait for. */
  beforeRows(): Promise<void> | null {
    return this.#hasDigests ? this.now() : null;
  }

  rows(count: number): void {
    this.#rows += count;
  }

  /** A pass was closed: Fivetran wants a checkpoint after each table. */
  closed(): void {
    this.#closed = true;
  }

  /** Call after a commit. Sends a checkpoint every so many rows or every second, whichever is later. */
  async committed(): Promise<void> {
    const age = performance.now() - this.#sent;
    const due = this.#closed || this.#rows >= this.#everyRows;
    const isCheap = this.#responses.bytes - this.#bytesBefore >= manyTimes * this.#last.length && this.#rows > 0;
    if ((due && (age >= leastMilliseconds || isCheap)) || age >= mostMilliseconds) await this.now();
  }

  async now(): Promise<void> {
    await this.#send({ ...this.#state(), notes: this.#digests.notes() });
    this.#hasDigests = false;
  }

  /** Sends the last one, with the row digests. */
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
    await this.#responses.write({ checkpoint: { stateJson: text } });
    this.#bytesBefore = this.#responses.bytes;
    const bytes = Buffer.byteLength(text);
    if (this.#warned || bytes < manyStateBytes) return;
    this.#warned = true;
    const message = `The state has ${bytes} bytes, close to the limit of a checkpoint: divide the tables among several connections.`;
    await this.#responses.write({ warning: { message } });
  }
}
