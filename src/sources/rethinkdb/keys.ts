import type { Json } from "../../protocol/json.ts";
import type { Kind } from "./types.ts";

/**
 * What the primary keys of a table are. Keys are ordered array < bool < number < binary < time < text, so the first and
 * the last tell whether all are of one type; where they are not, the key column is JSON, in which `1` and `"1"` differ.
 */
export type KeyClass = "text" | "number" | "bool" | "time" | "binary" | "mixed";

function classOf(key: Json): KeyClass {
  switch (typeof key) {
    case "string":
      return "text";
    case "number":
      return "number";
    case "boolean":
      return "bool";
    default: {
      const type = (key as { readonly $reql_type$?: Json } | null)?.$reql_type$;
      return type === "TIME" ? "time" : type === "BINARY" ? "binary" : "mixed";
    }
  }
}

/** Of an empty table: text, as the server's own keys would be. */
export function keyClass(range: { readonly first: Json; readonly last: Json } | null): KeyClass {
  if (range === null) return "text";
  const [first, last] = [classOf(range.first), classOf(range.last)];
  return first === last ? first : "mixed";
}

const kindsOfClasses: Readonly<Record<KeyClass, Kind>> = {
  text: "STRING",
  number: "INT",
  bool: "BOOLEAN",
  time: "UTC_DATETIME",
  binary: "BINARY",
  mixed: "JSON",
};

/** The type of a key column, given keys of the table that are known: numbers that are not all whole ones are DOUBLE. */
export function keyKind(of: KeyClass, keys: readonly Json[]): Kind {
  const whole = (key: Json): boolean => Number.isInteger(key) && Math.abs(key as number) <= 0x7fffffff;
  return of === "number" && !keys.every(whole) ? "DOUBLE" : kindsOfClasses[of];
}
