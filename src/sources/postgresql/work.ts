import type { Json } from "../../protocol/json.ts";
import type { Split } from "../../protocol/pass.ts";

/** A place in the reading order of a split: the first values of that order, as text. */
export type Bound = readonly string[];

/**
 * The range of a cursor column that is read: `low` (`null`: the beginning) to `high`, both included. No window has
 * NULL.
 */
export interface Window {
  readonly column: string;
  readonly low: string | null;
  readonly high: string;
}

/**
 * The order in which a split is read. Bounds and positions of the split are values of this order.
 *
 * - `key`: the key columns. `hash`: YugabyteDB's hash code, then the key. `cursor`: the cursor column, then the key.
 * - `ctid`: the place of a row in its file, which is valid in one snapshot only.
 * - `none`: the server's own order. Such a split has no position and starts over.
 */
export type Order = "key" | "hash" | "cursor" | "ctid" | "none";

/** What a split reads, in the form in which it is stored. */
export interface Work {
  readonly order: Order;
  /** The schema and name of a partition that is read by itself; `null`: the table. */
  readonly heap: readonly [schema: string, name: string] | null;
  /** Included; `null`: the beginning. */
  readonly from: Bound | null;
  /** Not included; `null`: the end. */
  readonly to: Bound | null;
  /** Approximate size: hash codes, blocks of a file, or rows. A read that takes too long halves it. */
  readonly span: number;
  readonly window: Window | null;
}

/** Where a split resumes: after `after`, or at `from`. `span` is as in {@link Work}, once it was halved. */
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
