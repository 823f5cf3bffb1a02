import { HeadwatersError } from "../../protocol/errors.ts";
import type { SourceContext } from "../../protocol/source.ts";
import type { Configuration } from "./config.ts";
import { type EntryKind, entryKinds } from "./entries/entries.ts";
import { type Expanded, expandedOf } from "./expanded/expanded.ts";

/** A table with one row for each key. */
export type KeyKind = { readonly kind: "keys" } | { readonly kind: "expanded"; readonly expanded: Expanded };
/** What kind of table one is. */
export type Kind = KeyKind | EntryKind;

export function isKeyKind(kind: Kind): kind is KeyKind {
  return kind.kind === "keys" || kind.kind === "expanded";
}

/** The kind of the table with this name. Throws `TABLE_UNKNOWN` if the configuration does not have it (any more). */
export function kindOf(id: string, configuration: Configuration, context: Pick<SourceContext, "tables">): Kind {
  const expanded = configuration.tables[id];
  if (expanded !== undefined) return { kind: "expanded", expanded: expandedOf(id, expanded, context.tables[id]) };
  if (id === configuration.table_name) return { kind: "keys" };
  const entries = entryKinds.find(({ suffix }) => id === configuration.table_name + suffix);
  if (entries !== undefined) return entries;
  throw new HeadwatersError("TABLE_UNKNOWN", `there is no table "${id}" in the configuration`, {
    hint: "Tables are table_name and those under tables.",
  });
}
