import { ProtocolBroken } from "../../net/broken.ts";
import type { BodyReader } from "./body-reader.ts";
import type { CqlType, Scalar } from "./types.ts";

/** The ids of section 4.2.5.2 of the specification. */
const scalarIds: Readonly<Record<number, Scalar>> = {
  0x01: "ascii",
  0x02: "bigint",
  0x03: "blob",
  0x04: "boolean",
  0x05: "counter",
  0x06: "decimal",
  0x07: "double",
  0x08: "float",
  0x09: "int",
  0x0b: "timestamp",
  0x0c: "uuid",
  0x0d: "text",
  0x0e: "varint",
  0x0f: "timeuuid",
  0x10: "inet",
  0x11: "date",
  0x12: "time",
  0x13: "smallint",
  0x14: "tinyint",
  0x15: "duration",
};

const marshal = "org.apache.cassandra.db.marshal.";

/** Names of Java classes without their package, as they occur inside vectors. */
const classes: Readonly<Record<string, Scalar>> = {
  AsciiType: "ascii",
  BooleanType: "boolean",
  ByteType: "tinyint",
  BytesType: "blob",
  CounterColumnType: "counter",
  DecimalType: "decimal",
  DoubleType: "double",
  DurationType: "duration",
  EmptyType: "empty",
  FloatType: "float",
  InetAddressType: "inet",
  Int32Type: "int",
  IntegerType: "varint",
  LongType: "bigint",
  ShortType: "smallint",
  SimpleDateType: "date",
  TimestampType: "timestamp",
  TimeType: "time",
  TimeUUIDType: "timeuuid",
  UTF8Type: "text",
  UUIDType: "uuid",
};

/** The deepest nesting of types: no schema nests them so deeply. */
const deepest = 64;

function deeper(depth: number): number {
  if (depth === deepest) throw new ProtocolBroken(`a type of more than ${deepest} levels`);
  return depth + 1;
}

/** Reads an [option]: the type of a column as an answer describes it. */
export function readOption(reader: BodyReader, depth = 0): CqlType {
  const id = reader.short();
  const scalar = scalarIds[id];
  if (scalar !== undefined) return { kind: scalar };
  switch (id) {
    case 0x00:
      return parseClass(reader.string());
    case 0x20:
      return { kind: "list", of: readOption(reader, deeper(depth)) };
    case 0x21:
      return { kind: "map", key: readOption(reader, deeper(depth)), value: readOption(reader, deeper(depth)) };
    case 0x22:
      return { kind: "set", of: readOption(reader, deeper(depth)) };
    case 0x30: {
      reader.string();
      const name = reader.string();
      const fields = Array.from(
        { length: reader.short() },
        () => [reader.string(), readOption(reader, deeper(depth))] as const,
      );
      return { kind: "udt", name, fields };
    }
    case 0x31:
      return { kind: "tuple", of: Array.from({ length: reader.short() }, () => readOption(reader, deeper(depth))) };
    default:
      return { kind: "custom", name: `0x${id.toString(16)}` };
  }
}

/**
 * The type that a Java class stands for: `VectorType(FloatType , 3)` with their package before each name. An
 * unknown class stays a class.
 */
export function parseClass(text: string, depth = 0): CqlType {
  const parse = (part: string | undefined): CqlType => {
    if (part === undefined) throw new ProtocolBroken(`the type ${JSON.stringify(text.slice(0, 100))}`);
    return parseClass(part, deeper(depth));
  };
  const { name, parts } = split(text);
  const scalar = classes[name];
  if (scalar !== undefined && parts.length === 0) return { kind: scalar };
  const [first, second] = parts;
  switch (name) {
    case "FrozenType":
    case "ReversedType":
      return parse(first);
    case "ListType":
      return { kind: "list", of: parse(first) };
    case "SetType":
      return { kind: "set", of: parse(first) };
    case "MapType":
      return { kind: "map", key: parse(first), value: parse(second) };
    case "TupleType":
      return { kind: "tuple", of: parts.map(parse) };
    case "VectorType":
      if (!/^\d{1,6}$/.test(second ?? "")) return parse(undefined);
      return { kind: "vector", of: parse(first), size: Number(second) };
    case "UserType":
      return {
        kind: "udt",
        name: fromHex(second ?? ""),
        fields: parts.slice(2).map((field) => {
          const colon = field.indexOf(":");
          return [fromHex(field.slice(0, colon)), parse(field.slice(colon + 1))] as const;
        }),
      };
    default:
      return { kind: "custom", name: text };
  }
}

function split(text: string): { readonly name: string; readonly parts: readonly string[] } {
  const open = text.indexOf("(");
  const whole = (open < 0 ? text : text.slice(0, open)).trim();
  const name = whole.startsWith(marshal) ? whole.slice(marshal.length) : whole;
  if (open < 0) return { name, parts: [] };
  const parts: string[] = [];
  let depth = 0;
  let from = open + 1;
  for (let at = from; at < text.length; at++) {
    const letter = text[at];
    if (letter === "(") depth += 1;
    if ((letter === "," && depth === 0) || (letter === ")" && depth === 0)) {
      parts.push(text.slice(from, at).trim());
      from = at + 1;
    }
    if (letter === ")") depth -= 1;
  }
  return { name, parts };
}

function fromHex(text: string): string {
  return Buffer.from(text, "hex").toString("utf8");
}
