/** A value as RethinkDB keeps it; pseudo types are objects with `$reql_type$`. */
export type Datum = null | boolean | number | string | readonly Datum[] | DatumObject;
export type DatumObject = { readonly [key: string]: Datum };

const pseudoType = "$reql_type$";

export function isObject(datum: Datum): datum is DatumObject {
  return typeof datum === "object" && datum !== null && !Array.isArray(datum);
}

export function typeName(datum: Datum): string {
  if (datum === null) return "NULL";
  if (Array.isArray(datum)) return "ARRAY";
  if (isObject(datum)) return typeof datum[pseudoType] === "string" ? `PTYPE<${datum[pseudoType]}>` : "OBJECT";
  return typeof datum === "boolean" ? "BOOL" : typeof datum === "number" ? "NUMBER" : "STRING";
}

export function isTime(datum: Datum): datum is DatumObject & { epoch_time: number; timezone: string } {
  return typeName(datum) === "PTYPE<TIME>";
}

/** Types are ordered by their names; a geometry is an object like others. */
function rank(datum: Datum): string {
  const name = typeName(datum);
  return name === "PTYPE<GEOMETRY>" ? "OBJECT" : name;
}

export function compareText(a: string, b: string): number {
  // UTF-16 and UTF-8 order differ from the surrogates on.
  if (/[\ud800-\uffff]/.test(a) || /[\ud800-\uffff]/.test(b)) return Buffer.compare(Buffer.from(a), Buffer.from(b));
  return a < b ? -1 : a > b ? 1 : 0;
}

export function compare(a: Datum, b: Datum): number {
  const [left, right] = [rank(a), rank(b)];
  if (left !== right) return left < right ? -1 : 1;
  switch (left) {
    case "NULL":
      return 0;
    case "STRING":
      return compareText(a as string, b as string);
    case "BOOL":
    case "NUMBER":
      return Number(a) - Number(b);
    case "ARRAY":
      return compareLists(a as readonly Datum[], b as readonly Datum[]);
    case "PTYPE<TIME>":
      return (a as { epoch_time: number }).epoch_time - (b as { epoch_time: number }).epoch_time;
    case "PTYPE<BINARY>":
      return Buffer.compare(bytesOf(a), bytesOf(b));
    default:
      return compareLists(Object.entries(a as DatumObject).flat(), Object.entries(b as DatumObject).flat());
  }
}

function compareLists(a: readonly Datum[], b: readonly Datum[]): number {
  for (let index = 0; index < Math.min(a.length, b.length); index++) {
    const order = compare(a[index]!, b[index]!);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

function bytesOf(binary: Datum): Buffer {
  return Buffer.from((binary as { data: string }).data, "base64");
}

/** As it is stored: fields in the order of their names' bytes, times in milliseconds, base64 in lines. */
export function normalize(datum: Datum): Datum {
  if (typeof datum !== "object" || datum === null) return datum;
  if (Array.isArray(datum)) return datum.map(normalize);
  const fields = Object.entries(datum as DatumObject).map(([key, value]) => [key, normalize(value)] as const);
  const object = Object.fromEntries(fields.sort(([a], [b]) => compareText(a, b)));
  if (isTime(object)) return { ...object, epoch_time: Math.round(object.epoch_time * 1_000) / 1_000 };
  if (typeName(object) === "PTYPE<BINARY>") return { ...object, data: inLines(bytesOf(object)) };
  return object;
}

function inLines(bytes: Buffer): string {
  return (
    bytes
      .toString("base64")
      .match(/.{1,76}/g)
      ?.join("\r\n") ?? ""
  );
}

export function time(milliseconds: number, timezone = "+00:00"): Datum {
  return { [pseudoType]: "TIME", epoch_time: milliseconds / 1_000, timezone };
}

/** JSON as the server writes it. */
export function print(datum: Datum): string {
  if (typeof datum === "number") return printNumber(datum);
  if (typeof datum === "string") return printText(datum);
  if (Array.isArray(datum)) return `[${datum.map(print).join(",")}]`;
  if (!isObject(datum)) return String(datum);
  return `{${sortedEntries(datum)
    .map(([key, value]) => `${printText(key)}:${print(value)}`)
    .join(",")}}`;
}

/** JavaScript moves keys that look like numbers to the front of an object. */
function sortedEntries(object: DatumObject): [string, Datum][] {
  return Object.entries(object).sort(([a], [b]) => compareText(a, b));
}

/** Whole numbers past 2⁵³ get a `.0`; the recording has the bytes. */
function printNumber(value: number): string {
  if (Object.is(value, -0)) return "-0.0";
  const text = String(value).replace("e+", "e");
  return Math.abs(value) > 2 ** 53 && /^-?\d+$/.test(text) ? `${text}.0` : text;
}

function printText(text: string): string {
  return JSON.stringify(text).replace(/\\u00[0-9a-f]{2}/g, (escape) => `\\u${escape.slice(2).toUpperCase()}`);
}

/** As messages of errors quote a value: indented by tabs. */
export function pretty(datum: Datum, depth = 0): string {
  if (Array.isArray(datum)) return `[${datum.map((item) => pretty(item, depth + 1)).join(", ")}]`;
  if (!isObject(datum)) return print(datum);
  const indent = "\t".repeat(depth + 1);
  const fields = sortedEntries(datum).map(([key, value]) => `${indent}${printText(key)}:\t${pretty(value, depth + 1)}`);
  return fields.length === 0 ? "{}" : `{\n${fields.join(",\n")}\n${"\t".repeat(depth)}}`;
}

/** A primary key longer than this does not fit. */
const longestKey = 127;

/** Why a value can't be a primary key; `null`: it can. */
export function keyProblem(datum: Datum | undefined): string | null {
  if (datum === undefined) return null;
  const type = typeName(datum);
  if (type === "NULL" || type === "OBJECT" || type === "PTYPE<GEOMETRY>") {
    return `Primary keys must be either a number, string, bool, pseudotype or array (got type ${type}):\n${pretty(datum)}`;
  }
  const text = typeof datum === "string" ? datum : print(datum);
  if (Buffer.byteLength(text) <= longestKey) return null;
  return `Primary key too long (max ${longestKey} characters): ${print(datum)}`;
}
