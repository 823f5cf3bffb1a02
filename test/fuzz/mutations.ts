/** Random numbers by a seed (mulberry32), so that a finding can be repeated. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  /** A whole number from 0 to `below` − 1. */
  int(below: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let value = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) % Math.max(1, below);
  }

  of<Item>(items: readonly Item[]): Item {
    return items[this.int(items.length)]!;
  }
}

const extremes = [0, 1, 0x7f, 0x80, 0xff, 0x0a, 0x0d, 0x22, 0x5b, 0x7b, 0x2a, 0x24];
const lengths = [-1, -2, 0, 1, 4, 0x7fff_ffff, -0x8000_0000, 0x4000_0000, 1 << 20];

/** A valid stream with one to four faults. */
export function mutated(stream: Buffer, random: Random): Buffer {
  let bytes = Buffer.from(stream);
  for (let faults = 1 + random.int(4); faults > 0; faults--) {
    const at = random.int(bytes.length);
    const end = Math.min(bytes.length, at + 1 + random.int(16));
    switch (random.int(7)) {
      case 0:
        if (bytes.length > 0) bytes[at] = random.int(256);
        break;
      case 1:
        if (bytes.length > 0) bytes[at] = random.of(extremes);
        break;
      case 2:
        if (at + 4 <= bytes.length) bytes.writeInt32BE(random.of(lengths), at);
        break;
      case 3:
        if (at + 2 <= bytes.length) bytes.writeInt16BE(random.of([-1, 0, 0x7fff, -0x8000, 300]), at);
        break;
      case 4:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(end)]);
        break;
      case 5:
        bytes = Buffer.concat([bytes.subarray(0, end), bytes.subarray(at, end), bytes.subarray(end)]);
        break;
      default:
        bytes = bytes.subarray(0, at);
    }
  }
  return bytes;
}

/** The stream as a socket may give it. */
export function chunks(stream: Buffer, random: Random): Buffer[] {
  const parts: Buffer[] = [];
  const most = random.of([1, 7, 64, 4_096]);
  for (let at = 0; at < stream.length;) {
    const end = at + 1 + random.int(most);
    parts.push(stream.subarray(at, end));
    at = end;
  }
  return parts;
}
