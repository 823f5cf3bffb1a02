import type { Type } from "../../protocol/types.ts";
import { nilUuid } from "../../toolkit/uuid.ts";
import type { Cell } from "../../toolkit/vectors.ts";
import { type Decoder, decoderFor, UnfitKey } from "./decode.ts";
import { bytesOfText, dateBytes, decimalBytes, doubleBytes, floatBytes, wholeBytes } from "./encode.ts";
import { powerOfTen } from "./numbers.ts";
import { isAbsent, type KeyPlace, keyText } from "./text.ts";
import { type CqlType, isScalar } from "./types.ts";

/** A whole number, from any of our types that hold one. */
function whole(cell: Cell, type: Type): bigint {
  const value = BigInt(cell as bigint | number);
  return type.kind === "DECIMAL" ? value / powerOfTen(type.scale) : value;
}

/** For a cell that is not text. */
type Encode = (cell: Cell, type: Type) => Buffer | null;

const encoders: Partial<Record<CqlType["kind"], Encode>> = {
  bigint: (cell, type) => wholeBytes.bigint(whole(cell, type)),
  blob: (cell) => Buffer.from(cell as Uint8Array),
  boolean: (cell) => Buffer.from([cell === true ? 1 : 0]),
  custom: (cell) => Buffer.from(cell as Uint8Array),
  date: (cell) => dateBytes(Number(cell)),
  decimal: (cell, type) => (type.kind === "DECIMAL" ? decimalBytes(cell as bigint, type.scale) : null),
  double: (cell) => doubleBytes(Number(cell)),
  float: (cell) => floatBytes(Number(cell)),
  int: (cell, type) => wholeBytes.int(whole(cell, type)),
  smallint: (cell, type) => wholeBytes.smallint(whole(cell, type)),
  tinyint: (cell, type) => wholeBytes.tinyint(whole(cell, type)),
  time: (cell, type) => wholeBytes.time(type.kind === "NAIVE_TIME" ? whole(cell, type) * 1000n : whole(cell, type)),
  timestamp: (cell, type) => wholeBytes.timestamp(type.kind === "LONG" ? whole(cell, type) : whole(cell, type) / 1000n),
  varint: (cell, type) => wholeBytes.varint(whole(cell, type)),
};

/** A key cell of a column of type `type` in the server's own binary form; `null`: no row has such a key. */
export function keyBytes(native: CqlType, place: KeyPlace, type: Type, cell: Cell): Buffer | null {
  // The server refuses a timeuuid of any version but 1. This one only stands for a partition without rows.
  if (cell === null || (native.kind === "timeuuid" && cell === nilUuid)) return null;
  return typeof cell === "string" ? bytesOfText(native, place, cell) : (encoders[native.kind]?.(cell, type) ?? null);
}

/** Why two keys of a native type could become one if a key column had this type of ours; `null`: they could not. */
export function keyLoss(native: CqlType, place: KeyPlace, type: Type): string | null {
  if (type.kind === "DOUBLE" && ["decimal", "varint", "bigint"].includes(native.kind))
    return "a DOUBLE has 53 bits, so two long numbers may become one";
  if (native.kind === "decimal" && type.kind === "DECIMAL" && place === "partition_key")
    return "1.0 and 1.00 are two partitions, which only text keeps apart";
  return null;
}

/**
 * Reads key cells so that keys that are distinct at the server stay distinct. Throws {@link UnfitKey} if the type can't do
 * that: the sign of zero, values without bytes (CQL calls them empty), and numbers in other bytes than the usual ones,
 * which make another partition. `null`: values of the native type can't be read as this type.
 */
export function keyDecoderFor(native: CqlType, place: KeyPlace, type: Type): Decoder | null {
  const decoder = decoderFor(native, type);
  if (decoder === null) return null;
  const isText = type.kind === "STRING";
  if ((!isScalar(native) && native.kind !== "custom") || (isText && native.kind === "decimal"))
    return (builder, buffer, _, start, end) => {
      const isEmpty = isAbsent(native, start, end) && isText;
      builder.text(isEmpty ? "" : keyText(native, place, buffer, start, end));
    };
  const unusual = place === "partition_key" ? (unusualBytes[native.kind] ?? null) : null;
  const isSigned = !isText && (native.kind === "float" || native.kind === "double");
  return (builder, buffer, view, start, end) => {
    if (isAbsent(native, start, end)) {
      if (!isText) throw new UnfitKey("a value without bytes (empty)", type);
      return builder.text("");
    }
    if (isSigned && view.getInt32(start) === negativeZero && (end - start === 4 || view.getInt32(start + 4) === 0))
      throw new UnfitKey("-0.0", type);
    if (unusual?.(view, start, end) === true) throw new UnfitKey("other bytes than are usual for its value", type);
    return decoder(builder, buffer, view, start, end);
  };
}

/** The first four bytes of -0.0, of 32 bits or 64. */
const negativeZero = -0x80000000;

type Unusual = (view: DataView, start: number, end: number) => boolean;

/** Values that have several forms in bytes: NaN, and varints with bytes that add nothing. Drivers write the usual form. */
const unusualBytes: Partial<Record<CqlType["kind"], Unusual>> = {
  float: (view, start) => Number.isNaN(view.getFloat32(start)) && view.getUint32(start) !== 0x7fc00000,
  double: (view, start) => Number.isNaN(view.getFloat64(start)) && view.getBigUint64(start) !== 0x7ff8000000000000n,
  varint: (view, start, end) => {
    const [first, second] = [view.getInt8(start), end - start > 1 ? view.getInt8(start + 1) : null];
    return second !== null && ((first === 0 && second >= 0) || (first === -1 && second < 0));
  },
};
