import { randomBytes } from "node:crypto";
import cassandra from "cassandra-driver";

/** 100 ns units from 1582-10-15 to 1970. */
const epoch = 0x01b21dd213814000n;

/** A version 1 UUID of a moment in microseconds, as `cdc$time` is: what is not time in it is random. */
export function uuidAt(microseconds: bigint): cassandra.types.TimeUuid {
  const time = microseconds * 10n + epoch;
  const bytes = randomBytes(16);
  bytes.writeUInt32BE(Number(time & 0xffffffffn), 0);
  bytes.writeUInt16BE(Number((time >> 32n) & 0xffffn), 4);
  bytes.writeUInt16BE(Number((time >> 48n) & 0x0fffn) | 0x1000, 6);
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return new cassandra.types.TimeUuid(bytes);
}
