import type { Json } from "../../protocol/json.ts";
import type { Table } from "../../protocol/table.ts";
import { latestTime } from "../../wire/reql/document.ts";
import type { Kind } from "./types.ts";

/**
 * The type of a table's primary keys. Keys are ordered array < bool < number < binary < time < text, so the first and
 * the last key show whether all are of one type, and no time is too far away. If not, the key column is JSON, in which
 * `1` and `"1"` differ.
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
      const { $reql_type$: type, epoch_time: seconds } = (key ?? {}) as Readonly<Record<string, Json>>;
      if (type === "BINARY") return "binary";
      // Documents with later times are read as JSON, so that the key is JSON for all of them.
      return type === "TIME" && Math.abs(Number(seconds)) < latestTime ? "time" : "mixed";
    }
  }
}

/** `range`: the first and the last key. */
export function keyClass(range: { readonly first: Json; readonly last: Json }): KeyClass {
  const [first, last] = [classOf(range.first), classOf(range.last)];
  return first === last ? first : "mixed";
}

/** A key as JSON; equal keys have equal texts. Times are compared without their time zones. */
export function keyText(key: Json): string {
  return JSON.stringify(key, (_, value: Json) =>
    (value as { readonly $reql_type$?: Json } | null)?.$reql_type$ === "TIME"
      ? { ...(value as object), timezone: "+00:00" }
      : value,
  );
}

/** The identity of a table with this id and these keys; a table that is made again has another id. */
export function identityOf(id: string, of: KeyClass): string {
  return `${id}/${of}`;
}

/**
 * The type of keys of an empty table: the former type, so that a table that lost all its rows keeps its identity. If
 * the former type is unknown: text, as in keys that the server makes.
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

/** The type of a key column, from the known keys of the table: numbers that are not all whole numbers are DOUBLE. */
export function keyKind(of: KeyClass, keys: readonly Json[]): Kind {
  const whole = (key: Json): boolean => Number.isInteger(key) && Math.abs(key as number) <= 0x7fffffff;
  return of === "number" && !keys.every(whole) ? "DOUBLE" : kindsOfClasses[of];
}
