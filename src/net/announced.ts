/** Room for announced bytes is made at once up to this many; beyond it, as they arrive. */
const believed = 1 << 20;

/** A part of a stream whose length was announced. */
export class Announced {
  readonly length: number;
  filled = 0;
  #bytes: Buffer;

  constructor(length: number) {
    this.length = length;
    this.#bytes = Buffer.allocUnsafeSlow(Math.min(length, believed));
  }

  /** Copies the part's bytes from `chunk`, starting at `position`, and returns their number. */
  take(chunk: Buffer, position: number): number {
    const taken = Math.min(this.length - this.filled, chunk.length - position);
    const needed = this.filled + taken;
    if (needed > this.#bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.min(this.length, Math.max(needed, this.#bytes.length * 2)));
      this.#bytes.copy(larger, 0, 0, this.filled);
      this.#bytes = larger;
    }
    chunk.copy(this.#bytes, this.filled, position, position + taken);
    this.filled = needed;
    return taken;
  }

  /** All bytes; `null`: some are still to come. */
  get whole(): Buffer | null {
    return this.filled === this.length ? this.#bytes : null;
  }
}
