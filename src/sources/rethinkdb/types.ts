import type { SourceContext } from "../../protocol/source.ts";
import type { Type } from "../../protocol/types.ts";
import { kinds } from "../../wire/reql/document.ts";

/** The types that columns of RethinkDB get, of themselves or by the user. */
export type Kind = "BOOLEAN" | "INT" | "DOUBLE" | "STRING" | "UTC_DATETIME" | "BINARY" | "JSON";

const all: readonly Kind[] = ["BOOLEAN", "INT", "DOUBLE", "STRING", "UTC_DATETIME", "BINARY", "JSON"];

export function isKind(kind: Type["kind"]): kind is Kind {
  return (all as readonly string[]).includes(kind);
}

/**
 * What each kind of value becomes. Every number of RethinkDB is a double: a column of whole ones of 32 bits is INT, and
 * becomes DOUBLE with the first other, which is exact.
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
  /** Not at all: the column must become wider. */
  no: 0,
  /** As it is. */
  plainly: 1,
  /** As what it is, in a batch where the column has that type: the destination makes text of it. */
  apart: 2,
  /** As JSON text, whatever it is. */
  asJson: 3,
  /** As the moment that it tells; an error where it tells none. */
  asMoment: 4,
  /** Never: the user said what the type is, and it does not fit. */
  wrongly: 5,
  /** As it is, and the user is told that it was rounded. */
  rounded: 6,
} as const;

/** How many kinds of values there are. */
export const kindCount = Object.keys(kinds).length;

/**
 * Who decided a column's type: what was `seen` in documents, or the user (`set`). A `key` is of one type; in a `json`
 * column stands everything as JSON.
 */
export type Rule = "seen" | "set" | "key" | "json";

/** By kind of value: how a column of a type takes it. */
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

/** The type of a column where values of this one were seen. `example`: nested values are text, as published. */
export function seenType(kind: Kind, { types }: Pick<SourceContext, "types">): Type {
  return { kind: types === "example" && kind === "JSON" ? "STRING" : kind };
}
