import { HeadwatersError } from "../../protocol/errors.ts";
import type { Json } from "../../protocol/json.ts";
import type { Split } from "../../protocol/pass.ts";
import type { Table } from "../../protocol/table.ts";
import { fieldOf } from "./documents/fields.ts";
import type { FeedPosition } from "./feed/feeds.ts";
import type { KeySplit } from "./splits.ts";

/** What a split reads: keys, or one stretch of an index; for a window, also its start. */
export interface Work {
  /** Keys to read, from one key on and before another. */
  readonly keys: KeySplit | null;
  /** The index to read through: its name, and the number of the window's stretch in `stretches`. */
  readonly index: { readonly name: string; readonly stretch: number } | null;
  /** Only documents whose timestamp is not older: milliseconds since 1970. */
  readonly since: number | null;
  /** Fields whose columns are not selected. */
  readonly skip: readonly string[];
}

export function workJson(work: Work): Json {
  return { ...work } as unknown as Json;
}

export function workOf(split: Split): Work {
  return split.work as unknown as Work;
}

/** The field that a table's windows and versions use. */
export function timestampOf({ cursor }: Pick<Table, "cursor">): string | null {
  return cursor === null ? null : fieldOf(cursor);
}

/** Where the next window starts, and where the stream goes on. */
export function nextOf(table: Table, now: number, lag: number, stream?: FeedPosition): Json {
  const window = table.cursor === null ? null : { since: now - lag * 1_000 };
  return stream === undefined ? window : { ...window, stream: { ...stream } };
}

/** Where the stream went on after the last pass; `null`: nowhere. */
export function feedPositionOf(previous: Json | undefined): FeedPosition | null {
  return (previous as { readonly stream?: FeedPosition } | null | undefined)?.stream ?? null;
}

export function sinceOf(table: Table, previous: Json | undefined): number {
  const since = (previous as { readonly since?: unknown } | null | undefined)?.since;
  if (typeof since === "number") return since;
  throw new HeadwatersError("DEFECT", `table "${table.id}": a window was planned without a start`);
}
