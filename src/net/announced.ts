/** Announced bytes are believed up to this many; for more, room is made as they come. */
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

  /** Copies what belongs to it from `position` in `chunk` on, and returns how many bytes that were. */
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
