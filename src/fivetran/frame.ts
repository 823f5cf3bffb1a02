/** A buffer that grows as protobuf is written to it. */
export class Frame {
  bytes: Buffer;
  position = 0;

  constructor(size = 64 << 10) {
    this.bytes = Buffer.alloc(size);
  }

  /** Makes room for so many more bytes; call it before writing them. */
  reserve(bytes: number): void {
    if (this.position + bytes <= this.bytes.length) return;
    const grown = Buffer.alloc(Math.max(this.position + bytes, this.bytes.length * 2));
    this.bytes.copy(grown, 0, 0, this.position);
    this.bytes = grown;
  }

  /** Frees the memory that one huge row needed. */
  shrink(most: number): void {
    if (this.bytes.length > most) this.bytes = Buffer.alloc(most);
  }

  byte(value: number): void {
    this.bytes[this.position++] = value;
  }

  /** A whole number from 0 to 2³²−1. */
  varint(value: number): void {
    const { bytes } = this;
    let { position } = this;
    let left = value >>> 0;
    while (left > 0x7f) {
      bytes[position++] = (left & 0x7f) | 0x80;
      left >>>= 7;
    }
    bytes[position++] = left;
    this.position = position;
  }

  /** The halves of a 64-bit value, each as 32 bits; negative values have ten bytes. */
  varint64(low: number, high: number): void {
    if (high === 0) return this.varint(low);
    const { bytes } = this;
    let { position } = this;
    let [lower, upper] = [low >>> 0, high >>> 0];
    while (upper > 0) {
      bytes[position++] = (lower & 0x7f) | 0x80;
      lower = ((lower >>> 7) | (upper << 25)) >>> 0;
      upper >>>= 7;
    }
    while (lower > 0x7f) {
      bytes[position++] = (lower & 0x7f) | 0x80;
      lower >>>= 7;
    }
    bytes[position++] = lower;
    this.position = position;
  }

  /** Part of another array; room for it must be reserved. */
  copy(source: Uint8Array, start: number, end: number): void {
    const { bytes } = this;
    let { position } = this;
    // A call that copies costs as much as a loop over some 60 bytes.
    if (end - start > 64) {
      bytes.set(source.subarray(start, end), position);
      this.position = position + end - start;
      return;
    }
    for (let at = start; at < end; at++) bytes[position++] = source[at]!;
    this.position = position;
  }
}

/** Bytes that {@link Frame.varint} takes. */
export function varintSize(value: number): number {
  const unsigned = value >>> 0;
  return unsigned < 1 << 7 ? 1 : unsigned < 1 << 14 ? 2 : unsigned < 1 << 21 ? 3 : unsigned < 1 << 28 ? 4 : 5;
}

/** Bytes that {@link Frame.varint64} takes. */
export function varint64Size(low: number, high: number): number {
  if (high === 0) return varintSize(low);
  return Math.ceil((64 - Math.clz32(high)) / 7);
}
