import type { Protocol, UpdateMessage } from "./protocol.ts";

/** The response stream of one `Update`, as in grpc-js. */
export interface MessageStream {
  write(message: Uint8Array, done: (error?: Error | null) => void): boolean;
}

/** How many bytes may wait for a slow reader. */
const mostWaiting = 4 << 20;

/**
 * The response stream to Fivetran. Messages keep their order. While too many bytes wait for the reader, sending waits too,
 * so that memory stays bounded and the source is slowed down.
 */
export class ResponseStream {
  readonly #stream: MessageStream;
  readonly #protocol: Protocol;
  readonly #signal: AbortSignal;
  #waiting = 0;
  #bytes = 0;
  #error: Error | null = null;
  readonly #waiters: (() => void)[] = [];

  constructor(stream: MessageStream, protocol: Protocol, signal: AbortSignal) {
    this.#stream = stream;
    this.#protocol = protocol;
    this.#signal = signal;
    signal.addEventListener("abort", () => this.#wake(), { once: true });
  }

  /** Sends an encoded message. `null`: there is room for more. Rejects once the reader is gone. */
  send(message: Uint8Array): Promise<void> | null {
    this.#throwIfGone();
    this.#waiting += message.length;
    this.#bytes += message.length;
    this.#stream.write(message, (error) => {
      this.#waiting -= message.length;
      if (error !== undefined && error !== null) this.#error = error;
      this.#wake();
    });
    return this.#waiting > mostWaiting ? this.#room() : null;
  }

  /** What was sent so far. */
  get bytes(): number {
    return this.#bytes;
  }

  async write(message: UpdateMessage): Promise<void> {
    await this.send(this.#protocol.encode(message));
  }

  async #room(): Promise<void> {
    while (this.#waiting > mostWaiting / 2) {
      this.#throwIfGone();
      await new Promise<void>((resolve) => this.#waiters.push(resolve));
    }
    this.#throwIfGone();
  }

  /** Rows and warnings may wait at the same time. */
  #wake(): void {
    for (const waiter of this.#waiters.splice(0)) waiter();
  }

  #throwIfGone(): void {
    this.#signal.throwIfAborted();
    if (this.#error !== null) throw this.#error;
  }
}
