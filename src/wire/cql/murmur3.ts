const mask = (1n << 64n) - 1n;
const first = 0x87c37b91114253d5n;
const second = 0x4cf5ad432745937fn;

function rotate(value: bigint, by: bigint): bigint {
  return ((value << by) | (value >> (64n - by))) & mask;
}

function scramble(value: bigint): bigint {
  let mixed = value ^ (value >> 33n);
  mixed = (mixed * 0xff51afd7ed558ccdn) & mask;
  mixed ^= mixed >> 33n;
  mixed = (mixed * 0xc4ceb9fe1a85ec53n) & mask;
  return mixed ^ (mixed >> 33n);
}

/**
 * The token that Murmur3Partitioner gives to a partition key: the first half of MurmurHash3 x64 128, whose tail
 * Cassandra reads as signed bytes. The least value is no token.
 */
export function murmur3Token(key: Buffer): bigint {
  let h1 = 0n;
  let h2 = 0n;
  const blocks = key.length >> 4;
  for (let block = 0; block < blocks; block++) {
    const k1 = key.readBigUInt64LE(block * 16);
    const k2 = key.readBigUInt64LE(block * 16 + 8);
    h1 ^= (rotate((k1 * first) & mask, 31n) * second) & mask;
    h1 = ((rotate(h1, 27n) + h2) * 5n + 0x52dce729n) & mask;
    h2 ^= (rotate((k2 * second) & mask, 33n) * first) & mask;
    h2 = ((rotate(h2, 31n) + h1) * 5n + 0x38495ab5n) & mask;
  }
  const tail = (from: number, to: number): bigint => {
    let value = 0n;
    for (let at = from; at < Math.min(to, key.length); at++) {
      value ^= BigInt.asUintN(64, BigInt(key.readInt8(at)) << BigInt(8 * (at - from)));
    }
    return value;
  };
  const start = blocks * 16;
  h2 ^= (rotate((tail(start + 8, start + 16) * second) & mask, 33n) * first) & mask;
  h1 ^= (rotate((tail(start, start + 8) * first) & mask, 31n) * second) & mask;
  h1 ^= BigInt(key.length);
  h2 ^= BigInt(key.length);
  h1 = (h1 + h2) & mask;
  h2 = (h2 + h1) & mask;
  const token = BigInt.asIntN(64, scramble(h1) + scramble(h2));
  return token === -(2n ** 63n) ? 2n ** 63n - 1n : token;
}

/** The bytes of a partition key, of which {@link murmur3Token} is taken. */
export function partitionKeyBytes(parts: readonly Buffer[]): Buffer {
  if (parts.length === 1) return parts[0]!;
  return Buffer.concat(
    parts.flatMap((part) => {
      const length = Buffer.allocUnsafe(2);
      length.writeUInt16BE(part.length);
      return [length, part, Buffer.alloc(1)];
    }),
  );
}
