/** What TYPE answers, and what becomes of such a key. */
export interface NativeType {
  /** As TYPE says it. */
  readonly name: string;
  /** As the column `data_type` has it. */
  readonly dataType: string;
  /** The same as bytes. */
  readonly bytes: Buffer;
  /** Where its rows are: in the table of all keys, or in one of their own. */
  readonly table: "keys" | "time series" | "streams";
  /** What the column `value` holds, for the README. */
  readonly value: string;
}

/** Every type that is known; any other is a module's, and kept as its DUMP or skipped. */
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

/** A type by what TYPE answered; `null`: the key is not there. */
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
