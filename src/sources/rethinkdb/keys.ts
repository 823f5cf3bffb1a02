import type { Json } from "../../protocol/json.ts";
import type { Table } from "../../protocol/table.ts";
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

/** `range`: the first and the last key. */
export function keyClass(range: { readonly first: Json; readonly last: Json }): KeyClass {
  const [first, last] = [classOf(range.first), classOf(range.last)];
  return first === last ? first : "mixed";
}

/** Of the table with this id and these keys: of a table made anew the id is another. */
export function identityOf(id: string, of: KeyClass): string {
  return `${id}/${of}`;
}

/**
 * What the keys of an empty table are: what they were, so that a table that lost all its rows is no other table. Of one
 * that nothing is known of: text, as the server's own keys would be.
 */
export function emptyClass(before: readonly Pick<Table, "identity">[]): KeyClass {
  const [was] = before.map(({ identity }) => identity.slice(identity.indexOf("/") + 1));
  return was !== undefined && Object.hasOwn(kindsOfClasses, was) ? (was as KeyClass) : "text";
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
