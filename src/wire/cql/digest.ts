/** The length that stands for null. */
const absent = -1;

/**
 * 64 bits over the cells of a row, each with its length: two lanes of 32 bits with MurmurHash3's constants. A changed
 * row that looks unchanged is one in 2⁶⁴.
 */
export class Digest {
  #high = 0;
  #low = 0;

  reset(): void {
    this.#high = 0x9747b28c | 0;
    this.#low = 0x3c6ef372;
  }

  /** `length` below 0: null. */
  cell(view: DataView, start: number, length: number): void {
    this.#word(length < 0 ? absent : length);
    let at = start;
    const end = start + Math.max(0, length);
    for (; at + 4 <= end; at += 4) this.#word(view.getInt32(at));
    for (; at < end; at++) this.#word(view.getUint8(at));
  }

  bytes(bytes: Buffer | null): void {
    if (bytes === null) this.#word(absent);
    else this.cell(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0, bytes.length);
  }

  get low(): number {
    return finish(this.#low ^ (this.#high >>> 7));
  }

  get high(): number {
    return finish(this.#high);
  }

  #word(word: number): void {
    this.#high = mix(this.#high, word, 0xcc9e2d51);
    this.#low = mix(this.#low, word, 0x1b873593);
  }
}

function mix(hash: number, word: number, constant: number): number {
  const scrambled = Math.imul(word, constant);
  const mixed = hash ^ Math.imul((scrambled << 15) | (scrambled >>> 17), 0x85ebca6b);
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe6546b64) | 0;
}

function finish(hash: number): number {
  let value = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return value ^ (value >>> 16);
}
