import type { Json } from "../../protocol/json.ts";
import type { PassKind, Split } from "../../protocol/pass.ts";
import type { Table } from "../../protocol/table.ts";
import type { Configuration } from "./config.ts";
import type { Kind } from "./kinds.ts";
import { nativeTypes } from "./types.ts";
import { workJson } from "./work.ts";

/** A SCAN can't be cut, so each pattern is one split. */
export function splitsOf(
  table: Table,
  pass: PassKind,
  previous: Json,
  configuration: Configuration,
  kind: Kind,
): Split[] {
  const from = pass === "window" && typeof previous === "number" ? previous : null;
  const type = typeOf(kind, configuration);
  const globs =
    kind.kind === "expanded" ? [kind.expanded.glob] : configuration.key_pattern.map((pattern) => Buffer.from(pattern));
  return globs.map((glob, index) => ({
    id: String(index),
    tables: [table.id],
    work: workJson({ match: glob.toString("base64"), type, from }),
  }));
}

/** SCAN's TYPE if a single type is wanted. For several types, TYPE is asked of each key instead. */
function typeOf(kind: Kind, { key_types: types }: Configuration): string | null {
  if (kind.kind === "time series" || kind.kind === "streams")
    return nativeTypes.find(({ table }) => table === kind.kind)!.name;
  if (kind.kind === "expanded" || types?.length !== 1) return null;
  return nativeTypes.find(({ dataType }) => dataType === types[0])?.name ?? types[0]!;
}

/** Where the next window begins: samples and entries may come late, by the clocks of their senders. */
export function windowStart(now: number, { late_seconds: late }: Configuration): number {
  return now - late * 1_000;
}
