import type { SourceContext } from "../../protocol/source.ts";
import type { Type } from "../../protocol/types.ts";
import { kinds } from "../../wire/reql/document.ts";

/** The types that columns of RethinkDB can have, by detection or by the user's choice. */
export type Kind = "BOOLEAN" | "INT" | "DOUBLE" | "STRING" | "UTC_DATETIME" | "BINARY" | "JSON";

const all: readonly Kind[] = ["BOOLEAN", "INT", "DOUBLE", "STRING", "UTC_DATETIME", "BINARY", "JSON"];

export function isKind(kind: Type["kind"]): kind is Kind {
  return (all as readonly string[]).includes(kind);
}

/**
 * The type for each kind of value. Every number of RethinkDB is a double. A column of whole numbers of 32 bits is INT;
 * the first other number makes it DOUBLE, which is exact.
 */
export const typeOfKind: Readonly<Record<number, Kind>> = {
  [kinds.false]: "BOOLEAN",
  [kinds.true]: "BOOLEAN",
  [kinds.integer]: "INT",
  [kinds.number]: "DOUBLE",
  [kinds.rounded]: "DOUBLE",
  [kinds.text]: "STRING",
  [kinds.escapedText]: "STRING",
  [kinds.time]: "UTC_DATETIME",
  [kinds.binary]: "BINARY",
  [kinds.json]: "JSON",
  [kinds.looseJson]: "JSON",
};

/** How a column takes a kind of value. */
export const takes = {
  /** Not at all: the column must be widened. */
  no: 0,
  /** As it is. */
  plainly: 1,
  /** In its own type, in a batch where the column has that type; the destination turns it into text. */
  apart: 2,
  /** As JSON text, for every kind of value. */
  asJson: 3,
  /** As a moment; an error if the value is not one. */
  asMoment: 4,
  /** Never: the value does not fit the type that the user set. */
  wrongly: 5,
  /** As it is, with a warning to the user that it was rounded. */
  rounded: 6,
} as const;

/** How many kinds of values there are. */
export const kindCount = Object.keys(kinds).length;

/**
 * Who decided a column's type: values `seen` in documents, or the user (`set`). A `key` has a single type; a `json`
 * column holds every value as JSON.
 */
export type Rule = "seen" | "set" | "key" | "json";

/** How a column of this type takes each kind of value. */
export function takenBy(type: Kind, rule: Rule): Uint8Array {
  const table = new Uint8Array(kindCount);
  for (const [kind, natural] of Object.entries(typeOfKind)) table[Number(kind)] = howTaken(type, natural, rule);
  table[kinds.null] = takes.plainly;
  if (table[kinds.rounded] === takes.plainly) table[kinds.rounded] = takes.rounded;
  return table;
}

function howTaken(type: Kind, natural: Kind, rule: Rule): number {
  if (rule === "json") return takes.asJson;
  if (type === natural || (type === "DOUBLE" && natural === "INT")) return takes.plainly;
  if (type === "STRING" && rule !== "key") return takes.apart;
  if (rule !== "set") return takes.no;
  return type === "UTC_DATETIME" && (natural === "INT" || natural === "DOUBLE" || natural === "STRING")
    ? takes.asMoment
    : takes.wrongly;
}

/** The type of a column in which values of this type were seen. `example`: nested values are text, as published. */
export function seenType(kind: Kind, { types }: Pick<SourceContext, "types">): Type {
  return { kind: types === "example" && kind === "JSON" ? "STRING" : kind };
}
