/** A type of key, as TYPE answers it, and how such keys are copied. */
export interface NativeType {
  /** The answer of TYPE. */
  readonly name: string;
  /** The value of the column `data_type`. */
  readonly dataType: string;
  /** `dataType` as bytes. */
  readonly bytes: Buffer;
  /** The table of the rows: that of all keys, or one for this type. */
  readonly table: "keys" | "time series" | "streams";
  /** The content of the column `value`, for the README. */
  readonly value: string;
}

/** All known types. Any other type is a module's: its keys are kept as their DUMP or skipped. */
const known: readonly Omit<NativeType, "bytes">[] = [
  { name: "string", dataType: "string", table: "keys", value: "the string" },
  { name: "hash", dataType: "hash", table: "keys", value: "a JSON object of its fields, ordered by their bytes" },
  { name: "list", dataType: "list", table: "keys", value: "a JSON array, in the list's order" },
  { name: "set", dataType: "set", table: "keys", value: "a JSON array, ordered by the members' bytes" },
  { name: "zset", dataType: "zset", table: "keys", value: "a JSON array of [member, score], by score, then member" },
  { name: "ReJSON-RL", dataType: "json", table: "keys", value: "the document, members ordered by their bytes" },
  { name: "TSDB-TYPE", dataType: "timeseries", table: "time series", value: "" },
  { name: "stream", dataType: "stream", table: "streams", value: "" },
];

export const nativeTypes: readonly NativeType[] = known.map((type) => ({ ...type, bytes: Buffer.from(type.dataType) }));

const byName = new Map<string, NativeType>(nativeTypes.map((type) => [type.name, type]));

/** The type for an answer of TYPE; `null`: the key does not exist. */
export function nativeType(name: string): NativeType | null {
  if (name === "none") return null;
  const type = byName.get(name) ?? {
    name,
    dataType: name,
    bytes: Buffer.from(name),
    table: "keys",
    value: "base64 of DUMP",
  };
  byName.set(name, type);
  return type;
}
