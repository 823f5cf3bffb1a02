import { isIPv4, isIPv6 } from "node:net";
import type { Type } from "../../protocol/types.ts";
import type { Cell } from "../../toolkit/vectors.ts";
import { parseDecimal, writeVarint } from "./numbers.ts";
import type { CqlType, Scalar } from "./types.ts";

function fixed(bytes: number, write: (buffer: Buffer) => void): Buffer {
  const buffer = Buffer.alloc(bytes);
  write(buffer);
  return buffer;
}

const long = (value: bigint): Buffer => fixed(8, (buffer) => buffer.writeBigInt64BE(value));
const number = (cell: Cell): bigint => BigInt(cell as bigint | number | string);

/** The wire form of a cell that {@link decoderFor} read; `null`: no value has this form. */
type Encode = (cell: Cell, type: Type) => Buffer | null;

const encoders: Partial<Record<Scalar, Encode>> = {
  ascii: (cell) => Buffer.from(cell as string, "latin1"),
  text: (cell) => Buffer.from(cell as string, "utf8"),
  bigint: (cell) => long(number(cell)),
  blob: (cell) => (typeof cell === "string" ? fromHex(cell) : Buffer.from(cell as Uint8Array)),
  boolean: (cell) => Buffer.from([cell === true || cell === "true" ? 1 : 0]),
  date: (cell) => fixed(4, (buffer) => buffer.writeUInt32BE(Number(cell) + 2 ** 31)),
  decimal: (cell, type) => {
    if (typeof cell === "string") {
      const parsed = parseDecimal(cell);
      return parsed === null ? null : decimal(parsed.unscaled, parsed.scale);
    }
    return decimal(number(cell), (type as Type & { kind: "DECIMAL" }).scale);
  },
  double: (cell) => fixed(8, (buffer) => buffer.writeDoubleBE(Number(cell))),
  float: (cell) => fixed(4, (buffer) => buffer.writeFloatBE(Number(cell))),
  inet: (cell) => inet(cell as string),
  int: (cell) => fixed(4, (buffer) => buffer.writeInt32BE(Number(cell))),
  smallint: (cell) => fixed(2, (buffer) => buffer.writeInt16BE(Number(cell))),
  tinyint: (cell) => fixed(1, (buffer) => buffer.writeInt8(Number(cell))),
  time: (cell, type) => long(type.kind === "NAIVE_TIME" ? number(cell) * 1000n : number(cell)),
  timestamp: (cell, type) => long(type.kind === "LONG" ? number(cell) : number(cell) / 1000n),
  timeuuid: (cell) => uuid(cell as string),
  uuid: (cell) => uuid(cell as string),
  varint: (cell) => writeVarint(number(cell)),
};

/** Key types that come back out of their text: the rest keep types of their own in keys. */
const fromText: ReadonlySet<string> = new Set([
  ...["ascii", "text", "bigint", "blob", "boolean", "decimal", "inet"],
  ...["int", "smallint", "tinyint", "timeuuid", "uuid", "varint"],
]);

/** Structures are bound as JSON: the server reads them itself. */
export function isBoundAsJson(native: CqlType): boolean {
  return encoders[native.kind as Scalar] === undefined && native.kind !== "custom";
}

/** Whether a key column of a native type can be kept as `type` and its rows be found again by it. */
export function canBeKey(native: CqlType, type: Type): boolean {
  if (native.kind === "custom") return type.kind === "BINARY";
  if (isBoundAsJson(native)) return type.kind === "JSON" || type.kind === "STRING";
  if (type.kind === "STRING") return fromText.has(native.kind);
  // Doubles lose digits that tell two keys apart.
  return !(type.kind === "DOUBLE" && ["decimal", "varint", "bigint", "counter"].includes(native.kind));
}

/** A key cell as it goes over the wire; `null`: no row has such a key. */
export function keyBytes(native: CqlType, type: Type, cell: Cell): Buffer | null {
  if (cell === null) return null;
  if (native.kind === "custom") return Buffer.from(cell as Uint8Array);
  // What stands for no value is none of the server's: it refuses NULL in a condition.
  if (isBoundAsJson(native)) return cell === "null" || cell === "" ? null : Buffer.from(cell as string);
  return encoders[native.kind as Scalar]!(cell, type);
}

function decimal(unscaled: bigint, scale: number): Buffer {
  const scaled = Buffer.alloc(4);
  scaled.writeInt32BE(scale);
  return Buffer.concat([scaled, writeVarint(unscaled)]);
}

function uuid(text: string): Buffer | null {
  const hex = text.replaceAll("-", "");
  return /^[0-9a-f]{32}$/i.test(hex) ? Buffer.from(hex, "hex") : null;
}

function fromHex(text: string): Buffer | null {
  return /^0x(?:[0-9a-f]{2})*$/i.test(text) ? Buffer.from(text.slice(2), "hex") : null;
}

function inet(text: string): Buffer | null {
  if (isIPv4(text)) return Buffer.from(text.split(".").map(Number));
  if (!isIPv6(text)) return null;
  const [head = "", tail] = text.split("::");
  const groups = (part: string): number[] => (part === "" ? [] : part.split(":").map((group) => parseInt(group, 16)));
  const [left, right] = [groups(head), groups(tail ?? "")];
  const all = tail === undefined ? left : [...left, ...Array<number>(8 - left.length - right.length).fill(0), ...right];
  return Buffer.from(all.flatMap((group) => [group >> 8, group & 0xff]));
}
