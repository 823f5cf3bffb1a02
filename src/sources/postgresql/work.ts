import type { Json } from "../../protocol/json.ts";
import type { Split } from "../../protocol/pass.ts";

/** A place in the order in which a split is read: values as text, of the first columns of that order. */
export type Bound = readonly string[];

/**
 * What is read of a cursor column: from `low` (`null`: the beginning) to `high`, both included. NULL is in no window.
 */
export interface Window {
  readonly column: string;
  readonly low: string | null;
  readonly high: string;
}

/**
 * The order in which a split is read, in which its bounds lie and its position is told.
 *
 * - `key`: the key columns. `hash`: YugabyteDB's hash code, then the key. `cursor`: the cursor column, then the key.
 * - `ctid`: the place of a row in its file, which holds under one snapshot alone.
 * - `none`: as the server gives them; such a split has no position, and starts over.
 */
export type Order = "key" | "hash" | "cursor" | "ctid" | "none";

/** What a split holds, as it is stored. */
export interface Work {
  readonly order: Order;
  /** The partition that is read by itself: schema and name; `null`: the table. */
  readonly heap: readonly [schema: string, name: string] | null;
  /** Included; `null`: the beginning. */
  readonly from: Bound | null;
  /** Not included; `null`: the end. */
  readonly to: Bound | null;
  /** How large it is, about: hash codes, blocks of a file, or rows. Where a read takes too long, it is halved. */
  readonly span: number;
  readonly window: Window | null;
}

/** Where a split goes on: behind `after`, or at `from`; `span` as in {@link Work} where it was halved. */
export interface Position {
  readonly after: Bound | null;
  readonly from: Bound | null;
  readonly span: number | null;
}

export function workOf(split: Split): Work {
  return split.work as unknown as Work;
}

export function workJson(work: Work): Json {
  return work as unknown as Json;
}

export function positionOf(state: Json): Position {
  const { after = null, from = null, span = null } = (state ?? {}) as Partial<Position>;
  return { after, from, span };
}
