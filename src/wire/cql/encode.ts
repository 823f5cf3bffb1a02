import { isIPv4, isIPv6 } from "node:net";
import { parseDecimal, writeVarint } from "./numbers.ts";
import { type KeyPlace, mayBeEmpty } from "./text.ts";
import { parseDate, parseTime, parseTimestamp } from "./time-text.ts";
import { type CqlType, fixedLength, type Scalar } from "./types.ts";

function fixed(bytes: number, write: (buffer: Buffer) => void): Buffer {
  const buffer = Buffer.alloc(bytes);
  write(buffer);
  return buffer;
}

function whole(bits: number): (value: bigint) => Buffer | null {
  return (value) =>
    BigInt.asIntN(bits, value) === value
      ? Buffer.from(
          BigInt.asUintN(bits, value)
            .toString(16)
            .padStart(bits / 4, "0"),
          "hex",
        )
      : null;
}

/** Whole numbers, by their types' widths. */
export const wholeBytes = {
  bigint: whole(64),
  counter: whole(64),
  int: whole(32),
  smallint: whole(16),
  time: whole(64),
  timestamp: whole(64),
  tinyint: whole(8),
  varint: writeVarint,
} as const;

/** `days` after 1970-01-01. */
export function dateBytes(days: number): Buffer {
  return fixed(4, (buffer) => buffer.writeUInt32BE(days + 2 ** 31));
}

export function decimalBytes(unscaled: bigint, scale: number): Buffer {
  return Buffer.concat([fixed(4, (buffer) => buffer.writeInt32BE(scale)), writeVarint(unscaled)]);
}

export function doubleBytes(value: number): Buffer {
  return fixed(8, (buffer) => buffer.writeDoubleBE(value));
}

export function floatBytes(value: number): Buffer {
  return fixed(4, (buffer) => buffer.writeFloatBE(value));
}

type FromText = (text: string) => Buffer | null;

const integer =
  (bytes: (value: bigint) => Buffer | null): FromText =>
  (text) =>
    /^-?\d+$/.test(text) ? bytes(BigInt(text)) : null;

const floating =
  (bytes: (value: number) => Buffer): FromText =>
  (text) =>
    /^(?:NaN|-?Infinity|-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)$/i.test(text) ? bytes(Number(text)) : null;

const parsed =
  <Value>(parse: (text: string) => Value | null, bytes: (value: Value) => Buffer | null): FromText =>
  (text) => {
    const value = parse(text);
    return value === null ? null : bytes(value);
  };

const uuid: FromText = (text) => {
  const hex = text.replaceAll("-", "");
  return /^[0-9a-f]{32}$/i.test(hex) ? Buffer.from(hex, "hex") : null;
};

const blob: FromText = (text) => (/^0x(?:[0-9a-f]{2})*$/i.test(text) ? Buffer.from(text.slice(2), "hex") : null);

/** The inverses of the texts in `text.ts`. No key has a duration. */
const scalars: Readonly<Partial<Record<Scalar, FromText>>> = {
  ascii: (text) => Buffer.from(text, "latin1"),
  text: (text) => Buffer.from(text, "utf8"),
  bigint: integer(wholeBytes.bigint),
  blob,
  boolean: (text) => (text === "true" || text === "false" ? Buffer.from([text === "true" ? 1 : 0]) : null),
  date: parsed(parseDate, dateBytes),
  decimal: parsed(parseDecimal, ({ unscaled, scale }) => decimalBytes(unscaled, scale)),
  double: floating(doubleBytes),
  float: floating(floatBytes),
  inet,
  int: integer(wholeBytes.int),
  smallint: integer(wholeBytes.smallint),
  tinyint: integer(wholeBytes.tinyint),
  time: parsed(parseTime, wholeBytes.time),
  timestamp: parsed(parseTimestamp, wholeBytes.timestamp),
  timeuuid: uuid,
  uuid,
  varint: integer(writeVarint),
};

function inet(text: string): Buffer | null {
  if (isIPv4(text)) return Buffer.from(text.split(".").map(Number));
  if (!isIPv6(text)) return null;
  const [head = "", tail] = text.split("::");
  const groups = (part: string): number[] => (part === "" ? [] : part.split(":").map((group) => parseInt(group, 16)));
  const [left, right] = [groups(head), groups(tail ?? "")];
  const all = tail === undefined ? left : [...left, ...Array<number>(8 - left.length - right.length).fill(0), ...right];
  return Buffer.from(all.flatMap((group) => [group >> 8, group & 0xff]));
}

/**
 * The server's own binary form of the value that {@link keyText} wrote. `null`: the text is no value of this type, or is
 * NULL.
 */
export function bytesOfText(type: CqlType, place: KeyPlace, text: string): Buffer | null {
  const ofScalar = type.kind === "custom" ? blob : scalars[type.kind as Scalar];
  if (ofScalar !== undefined) return text === "" && !mayBeEmpty.has(type.kind) ? Buffer.alloc(0) : ofScalar(text);
  try {
    const reader = new JsonReader(text, place);
    const bytes = reader.value(type);
    return reader.isAtEnd ? bytes : null;
  } catch (thrown) {
    if (thrown instanceof NoSuchValue) return null;
    throw thrown;
  }
}

/** A text is not a value of its type. */
class NoSuchValue extends Error {}

/** Reads JSON by the type of its value. Numbers stay text, because a double would not hold their digits. */
class JsonReader {
  readonly #text: string;
  readonly #place: KeyPlace;
  #at = 0;

  constructor(text: string, place: KeyPlace) {
    this.#text = text;
    this.#place = place;
  }

  get isAtEnd(): boolean {
    return this.#take(/\s*$/y) !== null;
  }

  /** `null`: NULL. */
  value(type: CqlType): Buffer | null {
    if (this.#take(/null\b/y) !== null) return null;
    // A value that CQL calls empty has no bytes.
    if (!mayBeEmpty.has(type.kind) && this.#take(/""/y) !== null) return Buffer.alloc(0);
    switch (type.kind) {
      case "list":
      case "set": {
        const items = this.#list(() => counted(this.value(type.of)));
        return Buffer.concat([int(items.length), ...items]);
      }
      case "vector": {
        const laid = fixedLength(type.of) === null ? measured : (bytes: Buffer): Buffer => bytes;
        return Buffer.concat(this.#list(() => laid(present(this.value(type.of)))));
      }
      case "tuple": {
        const parts = this.#list((index) => counted(this.value(present(type.of[index]))));
        return Buffer.concat(parts);
      }
      case "map": {
        // Names in JSON are strings: any other key is written as JSON inside a string.
        const entries = this.#object((name) => [
          counted(present(bytesOfText(type.key, this.#place, name))),
          counted(this.value(type.value)),
        ]);
        return Buffer.concat([int(entries.length), ...entries.flat()]);
      }
      case "udt": {
        const types = new Map(type.fields);
        const fields = new Map(this.#object((name) => [name, counted(this.value(present(types.get(name))))] as const));
        // A partition whose key was written before the last fields were added does not have them.
        const last = this.#place === "clustering" ? type.fields.length : fields.size;
        return Buffer.concat(
          type.fields.slice(0, last).map(([name], index) => {
            return index < fields.size ? present(fields.get(name)) : counted(null);
          }),
        );
      }
      default:
        return present(bytesOfText(type, this.#place, this.#scalar()));
    }
  }

  #list<Item>(item: (index: number) => Item): Item[] {
    this.#want(/\[/y);
    const items: Item[] = [];
    if (this.#take(/\]/y) !== null) return items;
    do items.push(item(items.length));
    while (this.#take(/,/y) !== null);
    this.#want(/\]/y);
    return items;
  }

  #object<Entry>(entry: (name: string) => Entry): Entry[] {
    this.#want(/\{/y);
    const entries: Entry[] = [];
    if (this.#take(/\}/y) !== null) return entries;
    do {
      const name = this.#string();
      this.#want(/:/y);
      entries.push(entry(name));
    } while (this.#take(/,/y) !== null);
    this.#want(/\}/y);
    return entries;
  }

  #scalar(): string {
    return this.#peek('"') ? this.#string() : this.#want(/[^\s,\]}"]+/y);
  }

  #string(): string {
    return JSON.parse(this.#want(/"(?:[^"\\]|\\.)*"/y)) as string;
  }

  #peek(letter: string): boolean {
    this.#take(/\s*/y);
    return this.#text[this.#at] === letter;
  }

  #want(pattern: RegExp): string {
    return present(this.#take(pattern));
  }

  #take(pattern: RegExp): string | null {
    const spaces = /\s*/y;
    spaces.lastIndex = this.#at;
    spaces.test(this.#text);
    pattern.lastIndex = spaces.lastIndex;
    const match = pattern.exec(this.#text);
    if (match === null) return null;
    this.#at = pattern.lastIndex;
    return match[0];
  }
}

function present<Value>(value: Value | null | undefined): Value {
  if (value === null || value === undefined) throw new NoSuchValue();
  return value;
}

function int(value: number): Buffer {
  return fixed(4, (buffer) => buffer.writeInt32BE(value));
}

/** A part of a collection, tuple or user-defined type: its length (−1 for NULL) and its bytes. */
function counted(bytes: Buffer | null): Buffer {
  return bytes === null ? int(-1) : Buffer.concat([int(bytes.length), bytes]);
}

/** An element of a vector whose elements vary in length: its length as Cassandra's unsigned vint, and its bytes. */
function measured(bytes: Buffer): Buffer {
  const { length } = bytes;
  let extra = 0;
  while (length >= 2 ** (7 * (extra + 1))) extra += 1;
  const size = Buffer.alloc(extra + 1);
  size.writeUIntBE(length, 0, extra + 1);
  size[0]! |= 0xff & ~(0xff >> extra);
  return Buffer.concat([size, bytes]);
}
